// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/suggest"
)

// maxValues bounds what aliases can make of a file.
const maxValues = 1 << 20

// reader reads nodes into values, reporting what does not fit and going on.
type reader struct {
	*File
	Format

	left int // values that may still be read
	lost int // those that were left out
}

func (r *reader) node(n *yaml.Node, hint, format string, args ...any) {
	r.At(r.place(n), hint, format, args...)
}

// value reads what n stands for into v. It returns whether there is something in v to go on
// with; what is what messages call it.
func (r *reader) value(n *yaml.Node, v reflect.Value, f field, what string) bool {
	ok := r.read(target(n), v, f, what)
	if !ok {
		r.lost++
	}
	return ok
}

func (r *reader) read(n *yaml.Node, v reflect.Value, f field, what string) bool {
	if r.Loose && n.ShortTag() == "!!null" {
		return true
	}
	if r.left--; r.left == 0 {
		r.node(n, "write values out in place of aliases", "more than %d values", maxValues)
	}
	if r.left <= 0 {
		return false
	}
	switch v.Kind() {
	case reflect.String:
		w, ok := r.word(n, f.form, what)
		v.SetString(w.Text)
		return ok
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return r.read(n, v.Elem(), f, what)
	case reflect.Int:
		return r.number(n, v, f, what)
	case reflect.Slice:
		return r.list(n, v, f, what)
	case reflect.Map:
		return r.table(n, v, f, what)
	}
	if v.Type() == wordType {
		w, ok := r.word(n, f.form, what)
		v.Set(reflect.ValueOf(w))
		return ok
	}
	return r.mapping(n, v, what)
}

func (r *reader) number(n *yaml.Node, v reflect.Value, f field, what string) bool {
	var number int64
	switch {
	case n.ShortTag() == "!!int" && n.Decode(&number) == nil:
		v.SetInt(number)
		return true
	case f.constant != "":
		r.node(n, fmt.Sprintf("write %s: %s", what, f.constant), "%s: want the number %s, got %s", what, f.constant, kind(n))
	default:
		r.node(n, f.hint, "%s: want a whole number, got %s", what, kind(n))
	}
	return false
}

// list reads the items of a list, and leaves out what it reports.
func (r *reader) list(n *yaml.Node, v reflect.Value, f field, what string) bool {
	items := n.Content
	switch {
	case n.Kind == yaml.ScalarNode && f.one:
		items = []*yaml.Node{n}
	case n.Kind != yaml.SequenceNode:
		r.node(n, f.hintOr(n), "%s: want a list, got %s", what, kind(n))
		return false
	case len(items) == 0 && (f.some || f.one):
		r.node(n, f.hint, "%s: the list is empty", what)
	}
	if v.Type() == wordsType {
		v.Set(reflect.ValueOf(r.words(items, f, what)))
		return true
	}
	if v.Type().Elem().Kind() == reflect.Struct {
		what = "an entry of " + what
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	read := 0
	for _, item := range items {
		if r.value(item, list.Index(read), f, what) {
			read++
		} else {
			list.Index(read).SetZero()
		}
	}
	v.Set(list.Slice(0, read))
	return true
}

// hintOr is the field's hint, or how a word is written as a list.
func (f field) hintOr(n *yaml.Node) string {
	switch {
	case f.hint != "" || n.Kind != yaml.ScalarNode || n.Value == "":
		return f.hint
	case n.ShortTag() == "!!str" && n.Style == 0:
		return fmt.Sprintf("write [%s]", n.Value)
	}
	return fmt.Sprintf("write [%q]", n.Value)
}

// words reads different words, in the order of the file. A glob stands for all words of the
// form that it matches, less what the list has already.
func (r *reader) words(items []*yaml.Node, f field, what string) []Word {
	form, list, first := r.Forms[f.form], []Word{}, map[string]Place{}
	for _, item := range items {
		w, ok := r.wordOrGlob(target(item), f.form, what)
		if p, twice := first[w.Text]; ok && twice {
			r.node(item, "remove one of the two", "%s: %q is listed twice, first at line %d", what, w.Text, p.Line)
		} else if ok {
			first[w.Text] = w.Place
			list = append(list, w)
		} else {
			r.lost++
		}
	}
	if !slices.ContainsFunc(list, func(w Word) bool { return w.Glob }) {
		return list
	}
	all := []Word{}
	for _, w := range list {
		if !w.Glob {
			all = append(all, w)
			continue
		}
		for _, name := range form.matching(w.Text) {
			if _, there := first[name]; !there {
				first[name] = w.Place
				all = append(all, Word{name, w.Place, true})
			}
		}
	}
	return all
}

// table reads a mapping whose keys are words of the file's own.
func (r *reader) table(n *yaml.Node, v reflect.Value, f field, what string) bool {
	t := v.Type()
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 && f.some {
		r.node(n, f.hint, "%s: there is none", what)
	}
	v.Set(reflect.MakeMapWithSize(t, len(n.Content)/2))
	return r.pairs(n, f.hint, what, func(key, value *yaml.Node) {
		k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		r.value(key, k, field{form: f.keys}, what)
		name := what + " " + key.Value
		if f.each != "" {
			name = fmt.Sprintf("%s %q", f.each, key.Value)
		}
		r.value(value, e, f, name)
		v.SetMapIndex(k, e)
	})
}

// mapping reads a mapping whose keys are the fields of a struct. It reports keys that are
// unknown, there twice, or missing.
func (r *reader) mapping(n *yaml.Node, v reflect.Value, what string) bool {
	m := r.mappingOf(v.Type())
	if m.alone != nil && n.Kind != yaml.MappingNode {
		return r.value(n, v.FieldByIndex(m.alone.index), *m.alone, what)
	}
	before, seen := r.lost, make([]bool, len(m.fields))
	if m.place != nil {
		v.FieldByIndex(m.place).Set(reflect.ValueOf(r.place(n)))
	}
	if r.otherVersion(n, m) {
		return false
	}
	is := r.pairs(n, "", what, func(key, value *yaml.Node) {
		i := slices.Index(m.known, key.Value)
		if i < 0 && m.others {
			return
		}
		if i < 0 {
			r.node(key, meant(key.Value, m.known), "unknown key %q in %s", key.Value, what)
			return
		}
		seen[i] = true
		r.value(value, v.FieldByIndex(m.fields[i].index), m.fields[i], key.Value)
	})
	for i, f := range m.fields {
		if is && f.required && !seen[i] {
			r.node(n, "known keys: "+strings.Join(m.known, ", "), "missing key %q in %s", f.key, what)
		}
	}
	if m.partial != nil {
		v.FieldByIndex(m.partial).SetBool(r.lost > before)
	}
	return is
}

// meant is the key that was probably meant, or all that there are: they are few.
func meant(key string, known []string) string {
	if near := suggest.Nearest(key, known, 1); len(near) > 0 {
		return fmt.Sprintf("did you mean %q?", near[0])
	}
	return "known: " + strings.Join(known, ", ")
}

func (r *reader) mappingOf(t reflect.Type) *mapping {
	m := r.mappings[t]
	if m == nil {
		m = mappingOf(t)
		if r.mappings == nil {
			r.mappings = map[reflect.Type]*mapping{}
		}
		r.mappings[t] = m
	}
	return m
}

// otherVersion reports a file of another version, which is not looked into: what it says may
// well be right there.
func (r *reader) otherVersion(n *yaml.Node, m *mapping) bool {
	for _, f := range m.fields {
		if f.constant == "" {
			continue
		}
		if _, value := child(n, f.key); value != nil && value.ShortTag() == "!!int" && value.Value != f.constant {
			r.node(value, fmt.Sprintf("this cudabuild reads %s %s", f.key, f.constant), "%s %s is not supported", f.key, value.Value)
			return true
		}
	}
	return false
}

// pairs calls each for every key of a mapping, a second use of a key excepted.
func (r *reader) pairs(n *yaml.Node, hint, what string, each func(key, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		r.node(n, hint, "%s: want a mapping, got %s", what, kind(n))
		return false
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if _, ok := r.text(key, "", "a key of "+what); !ok {
			continue
		}
		if line, twice := first[key.Value]; twice {
			r.node(key, "keep one of the two", "duplicate key %q in %s: first at line %d", key.Value, what, line)
			continue
		}
		first[key.Value] = key.Line
		each(key, value)
	}
	return true
}

// kind says what a node is, for "want X, got Y".
func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "nothing"
	case n.ShortTag() == "!!int" || n.ShortTag() == "!!float":
		return "the number " + n.Value
	case n.ShortTag() == "!!str":
		return fmt.Sprintf("the string %q", n.Value)
	}
	return fmt.Sprintf("%q, which YAML reads as %s", n.Value, strings.TrimPrefix(n.ShortTag(), "!!"))
}
