// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/internal/yamlerr"
)

// file is one recipe file, and where its problems are collected.
type file struct {
	path     string // as the user would open it
	root     *yaml.Node
	problems *Problems
}

// at adds a problem at a node; nil means the file as a whole.
func (f *file) at(n *yaml.Node, hint, format string, args ...any) {
	p := Problem{File: f.path, Message: fmt.Sprintf(format, args...), Hint: hint}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	*f.problems = append(*f.problems, p)
}

// bad adds a problem with a key of the file, at the top of the file if it lacks it.
func (f *file) bad(key, hint, format string, args ...any) {
	f.at(f.find(key), hint, format, args...)
}

// find returns the node that a path leads to: keys of mappings, and of lists the numbers
// or the words of their items. Where the file ends earlier, because a template or another
// file says the rest, it is the last node on the way.
func (f *file) find(path ...string) *yaml.Node {
	at, in := f.root, f.root
	for _, step := range path {
		if in.Kind == yaml.AliasNode {
			in = in.Alias
		}
		key, value := child(in, step)
		if key == nil {
			break
		}
		at, in = key, value
	}
	return at
}

// child returns the key of a mapping or the item of a list, and what it holds.
func child(n *yaml.Node, step string) (key, value *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i], n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			if item.Value == step || strconv.Itoa(i) == step {
				return item, item
			}
		}
	}
	return nil, nil
}

// decode reads the file into value, a pointer to a struct. It reports everything
// that does not fit and returns whether all did.
func (f *file) decode(data []byte, value any) bool {
	before := len(*f.problems)
	var document yaml.Node
	switch err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&document); {
	case errors.Is(err, io.EOF):
		f.at(nil, "", "the file is empty")
	case err != nil:
		line, message := yamlerr.Split(err)
		f.at(&yaml.Node{Line: max(line, 1), Column: 1}, "check indentation, brackets and quotes on this line and the next", "not YAML: %s", message)
	case document.Content[0].ShortTag() == "!!null":
		f.at(nil, "", "the file is empty")
	default:
		f.root = document.Content[0]
		f.fit(f.root, reflect.TypeOf(value).Elem(), "", "the recipe")
	}
	if len(*f.problems) == before {
		if err := f.root.Decode(value); err != nil { // of what fit does not know
			f.at(f.root, "", "%v", err)
		}
	}
	return len(*f.problems) == before
}

// fit reports what does not fit a type, in words of the recipe and not of Go: unknown
// keys, keys that are there twice, values of another kind, and words of another form than
// the field's tags name. A value may be left empty.
func (f *file) fit(n *yaml.Node, t reflect.Type, tags reflect.StructTag, what string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.ShortTag() == "!!null" {
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		f.fitStruct(n, t, what)
	case reflect.Map:
		f.pairs(n, what, func(key, value *yaml.Node) {
			f.fitForm(key, tags.Get("keys"), what)
			f.fit(value, t.Elem(), tags, fmt.Sprintf("%s %s", what, key.Value))
		})
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			f.at(n, "", "%s: want a list, got %s", what, kind(n))
			return
		}
		for _, item := range n.Content {
			f.fit(item, t.Elem(), tags, what)
		}
	case reflect.Int:
		if n.ShortTag() != "!!int" {
			f.at(n, "", "%s: want a whole number, got %s", what, kind(n))
		}
	case reflect.String:
		if n.Kind != yaml.ScalarNode {
			f.at(n, "", "%s: want a string, got %s", what, kind(n))
			return
		}
		f.fitForm(n, tags.Get("form"), what)
	}
}

func (f *file) fitStruct(n *yaml.Node, t reflect.Type, what string) {
	fields := map[string]reflect.StructField{}
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" {
			fields[key] = t.Field(i)
		}
	}
	f.pairs(n, what, func(key, value *yaml.Node) {
		if field, ok := fields[key.Value]; ok {
			f.fit(value, field.Type, field.Tag, key.Value)
			return
		}
		f.at(key, suggest.Hint(key.Value, sortedKeys(fields)), "unknown key %q in %s", key.Value, what)
	})
}

// pairs calls each for every key of a mapping, a second use of a key excepted.
func (f *file) pairs(n *yaml.Node, what string, each func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		f.at(n, "", "%s: want a mapping, got %s", what, kind(n))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if line, twice := first[key.Value]; twice {
			f.at(key, "keep one of the two", "duplicate key %q in %s: first at line %d", key.Value, what, line)
			continue
		}
		first[key.Value] = key.Line
		each(key, n.Content[i+1])
	}
}

// kind says what a node is, for "want X, got Y".
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}
