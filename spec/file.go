// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"cmp"
	"fmt"
	"strconv"

	"gopkg.in/yaml.v3"
)

// File is one file that is read, and where its problems are collected.
type File struct {
	*Report

	Path string // as the user would open it
	root *yaml.Node
	from map[*yaml.Node]string // paths of later versions, by what is theirs
}

// File returns a file whose problems are collected in r.
func (r *Report) File(path string) *File { return &File{Report: r, Path: path} }

// At adds a problem at a place.
func (f *File) At(p Place, hint, format string, args ...any) {
	f.Add(Problem{File: cmp.Or(p.File, f.Path), Line: p.Line, Column: p.Column, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Read reads data into value, a pointer to a struct, and returns whether all fits. What does
// not is reported and left out.
func (f *File) Read(data []byte, format Format, value any) bool {
	return f.Merge([]Version{{f.Path, data}}, format, value)
}

// Find returns the place that a path leads to: keys of mappings, and of lists the numbers
// or the words of their items. Where the file ends earlier, because a template or another
// file says the rest, it is the last place on the way.
func (f *File) Find(path ...string) Place {
	at, _, _ := f.follow(path)
	return f.place(at)
}

// Exact returns the place of what a path leads to, the zero Place if that is not there.
func (f *File) Exact(path ...string) Place {
	at, _, whole := f.follow(path)
	if !whole {
		return Place{}
	}
	return f.place(at)
}

// Keys returns the place of each key of the mapping that a path leads to.
func (f *File) Keys(path ...string) map[string]Place {
	places := map[string]Place{}
	if _, in, whole := f.follow(path); whole && in.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(in.Content); i += 2 {
			places[in.Content[i].Value] = f.place(in.Content[i])
		}
	}
	return places
}

// follow returns the last key or item on a path, what it holds, and whether it is the path's end.
func (f *File) follow(path []string) (at, in *yaml.Node, whole bool) {
	at, in = f.root, f.root
	for _, step := range path {
		key, value := child(in, step)
		if key == nil {
			return at, in, false
		}
		at, in = key, value
	}
	return at, in, in != nil
}

// child returns the key of a mapping or the item of a list, and what it holds.
func child(n *yaml.Node, step string) (key, value *yaml.Node) {
	switch {
	case n == nil:
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i], target(n.Content[i+1])
			}
		}
	case n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			if item.Value == step || strconv.Itoa(i) == step {
				return item, target(item)
			}
		}
	}
	return nil, nil
}

// target is what an alias stands for, and anything else itself.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func (f *File) place(n *yaml.Node) Place {
	if n == nil {
		return Place{}
	}
	return Place{n.Line, n.Column, f.from[n]}
}
