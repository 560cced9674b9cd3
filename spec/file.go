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
	// Of several versions: the paths of later ones, by what is theirs; of mappings that have parts
	// of several, what changed them last, and which keys were taken out of them.
	from    map[*yaml.Node]string
	changed map[*yaml.Node]Place
	gone    map[*yaml.Node]map[string]Place
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

// Find returns the place to name for what a path leads to: keys of mappings, and of lists the
// numbers or the words of their items. Where the file ends earlier, because a template or another
// file says the rest, it is the last place on the way, or what took the next key out.
func (f *File) Find(path ...string) Place {
	at, in, rest := f.follow(path)
	if len(rest) > 0 {
		if out, ok := f.gone[in][rest[0]]; ok {
			return out
		}
	}
	return f.place(at)
}

// Exact returns where what a path leads to was first said, the zero Place if that is not there.
func (f *File) Exact(path ...string) Place {
	at, in, rest := f.follow(path)
	if len(rest) > 0 || in == nil {
		return Place{}
	}
	return f.own(at)
}

// Keys returns the place of each key of the mapping that a path leads to.
func (f *File) Keys(path ...string) map[string]Place {
	places := map[string]Place{}
	if _, in, rest := f.follow(path); len(rest) == 0 && in != nil && in.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(in.Content); i += 2 {
			places[in.Content[i].Value] = f.own(in.Content[i])
		}
	}
	return places
}

// follow returns the last key or item on a path, what it holds, and what is left of the path.
func (f *File) follow(path []string) (at, in *yaml.Node, rest []string) {
	at, in = f.root, f.root
	for i, step := range path {
		key, value := child(in, step)
		if key == nil {
			return at, in, path[i:]
		}
		at, in = key, value
	}
	return at, in, nil
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

// place is what to name for a problem with a node: of a mapping that has parts of several
// versions, what changed it last.
func (f *File) place(n *yaml.Node) Place {
	if at, ok := f.changed[n]; ok {
		return at
	}
	return f.own(n)
}

// own is where a node stands.
func (f *File) own(n *yaml.Node) Place {
	if n == nil {
		return Place{}
	}
	return Place{n.Line, n.Column, f.from[n]}
}
