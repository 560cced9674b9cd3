// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"maps"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"
)

// Version is a file as one of several folders has it.
type Version struct {
	Path string // as the user would open it
	Data []byte
}

// Merge reads several versions of a file as one, each laid over those before it: of mappings,
// at any depth, it has all keys; what else a key holds is that of the last version that has
// the key, and a key that holds nothing there is taken out. Whatever is said about a value
// later names the version that first had it so, and of a mapping, what changed it last. What is whole is replaced like a word. A version
// that changes nothing is reported, and one that changes what is fixed.
func (f *File) Merge(versions []Version, format Format, value any) bool {
	before, last, m := f.Count(), "", mappingOf(reflect.TypeOf(value).Elem())
	for _, v := range versions {
		r := &reader{File: f.File(v.Path), Format: format}
		root := r.parse(v.Data)
		if root == nil {
			return false
		}
		if len(versions) > 1 && !r.once(root, format.What) {
			return false
		}
		if f.root != nil {
			f.mark(root, v.Path)
			merged := f.over(f.root, root, m.merges)
			f.changedBy(root, f.root, merged)
			f.checkFixed(m, f.root, merged, root)
			if equal(f.root, merged) && f.Count() == before {
				f.At(f.place(root), "remove the file, or let a key in it say something else", "changes nothing: all of it is in %s", last)
			}
			root = merged
		}
		f.root, last = root, v.Path
	}
	r := &reader{File: f, Format: format, left: maxValues}
	r.value(f.root, reflect.ValueOf(value).Elem(), field{}, format.What)
	return f.Count() == before
}

// once reports keys that are twice in a mapping of a version, which nobody could tell of the merged.
func (r *reader) once(n *yaml.Node, what string) bool {
	before, mapping := r.Count(), n.Kind == yaml.MappingNode
	first := keys(n)
	for i, child := range n.Content {
		in := what
		if mapping && i%2 == 0 && child.Kind == yaml.ScalarNode && first[child.Value] != i {
			r.node(child, "keep one of the two", "duplicate key %q in %s: first at line %d", child.Value, what, n.Content[first[child.Value]].Line)
		} else if mapping && i%2 == 1 {
			in = n.Content[i-1].Value
		}
		r.once(child, in)
	}
	return r.Count() == before
}

// changedBy says which key or value of a version made a mapping, the second, out of the first.
func (f *File) changedBy(by, old, merged *yaml.Node, keys ...*yaml.Node) {
	if equal(old, merged) {
		return
	}
	for _, n := range append(keys, merged) {
		f.changed = with(f.changed, n, f.own(by))
	}
}

// mark says of all that a later version holds that it is of that version.
func (f *File) mark(n *yaml.Node, path string) {
	f.from = with(f.from, n, path)
	for _, child := range n.Content {
		f.mark(child, path)
	}
}

// merges returns how many levels of mappings below a key are merged.
func (m *mapping) merges(key string) int {
	i := slices.Index(m.known, key)
	switch {
	case i < 0 || !m.fields[i].whole:
		return maxDepth
	case m.fields[i].typ.Kind() == reflect.Map:
		return 1
	}
	return 0
}

// over returns what is left of old under the changes, of which mappings are merged so many levels
// below each key. Neither is changed. An alias stands for itself: what it names is not looked
// into, so that nothing grows.
func (f *File) over(old, changes *yaml.Node, levels func(key string) int) *yaml.Node {
	if old.Kind != yaml.MappingNode || changes.Kind != yaml.MappingNode {
		return changes
	}
	merged := *old
	merged.Content = nil
	f.from[&merged] = f.from[old]
	gone := maps.Clone(f.gone[old])
	there, first := keys(old), keys(changes)
	for i := 0; i+1 < len(old.Content); i += 2 {
		key, value := old.Content[i], old.Content[i+1]
		at, changed := first[key.Value]
		switch {
		case changed && changes.Content[at+1].ShortTag() == "!!null":
			gone = with(gone, key.Value, f.own(changes.Content[at]))
		case !changed || equal(value, changes.Content[at+1]):
			merged.Content = append(merged.Content, key, value)
		case value.Kind == yaml.MappingNode && changes.Content[at+1].Kind == yaml.MappingNode && levels(key.Value) > 0:
			below := levels(key.Value) - 1
			inner := f.over(value, changes.Content[at+1], func(string) int { return below })
			f.changedBy(changes.Content[at], value, inner, key)
			merged.Content = append(merged.Content, key, inner)
		default:
			merged.Content = append(merged.Content, changes.Content[at], changes.Content[at+1])
		}
	}
	for i := 0; i+1 < len(changes.Content); i += 2 {
		key, value := changes.Content[i], changes.Content[i+1]
		_, known := there[key.Value]
		switch {
		case known: // above
		case value.ShortTag() == "!!null":
			f.At(f.place(key), "remove the line", "%q has nothing to take out: no file before this one has it", key.Value)
		default:
			merged.Content = append(merged.Content, key, value)
		}
	}
	if gone != nil {
		f.gone = with(f.gone, &merged, gone)
	}
	return &merged
}

// with sets a key of a map, which may be nil.
func with[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[key] = value
	return m
}

// checkFixed reports what is another in merged, under the changes, of mappings that are fixed.
func (f *File) checkFixed(m *mapping, old, merged, changes *yaml.Node) {
	for _, field := range m.fields {
		_, had := child(old, field.key)
		if !field.fixed || had == nil || had.Kind != yaml.MappingNode {
			continue
		}
		_, has := child(merged, field.key)
		for i := 0; i+1 < len(had.Content); i += 2 {
			name, was := had.Content[i].Value, had.Content[i+1]
			if _, is := child(has, name); is != nil && (is == target(was) || equal(is, was)) {
				continue
			}
			f.At(f.place(changed(changes, was, field.key, name)), "give yours a name of its own", "%s %q is another file's: it stays as it is there", field.each, name)
		}
	}
}

// changed returns the key on a path, or the first one below it, by which what was there is another.
func changed(changes, was *yaml.Node, path ...string) (at *yaml.Node) {
	for _, step := range path {
		key, value := child(changes, step)
		if key == nil {
			return at
		}
		at, changes = key, value
	}
	for i := 0; changes.Kind == yaml.MappingNode && i+1 < len(changes.Content); i += 2 {
		if _, v := child(was, changes.Content[i].Value); v == nil || !equal(v, changes.Content[i+1]) {
			return changes.Content[i]
		}
	}
	return at
}

// keys returns where each key of a mapping is first.
func keys(n *yaml.Node) map[string]int {
	first := map[string]int{}
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		first[n.Content[i].Value] = i
	}
	return first
}

// equal reports whether two values are the same, comments, quotes and places aside: a version stays
// where it is from if somebody quotes it, and "null" in quotes is a word. What an alias stands for
// is not looked at.
func equal(a, b *yaml.Node) bool {
	none := func(n *yaml.Node) bool { return n.ShortTag() == "!!null" }
	return a.Kind != yaml.AliasNode && a.Kind == b.Kind && none(a) == none(b) && (none(a) || a.Value == b.Value) && slices.EqualFunc(a.Content, b.Content, equal)
}
