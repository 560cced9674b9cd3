// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"reflect"
	"slices"
	"strings"
)

// field is what a struct says of a key and its value.
type field struct {
	key, form, keys, each, constant, hint, doc string

	required, some, one, fixed, whole bool

	typ   reflect.Type
	index []int
}

// mapping is what a struct says of a mapping.
type mapping struct {
	fields  []field // in the order of the struct, those of embedded structs in their place
	known   []string
	alone   *field // the word that may stand in place of the mapping
	place   []int
	partial []int
	others  bool // there may be keys that are not known here
	doc     string
}

func mappingOf(t reflect.Type) *mapping {
	m := &mapping{}
	m.add(t, nil)
	for _, f := range m.fields {
		m.known = append(m.known, f.key)
	}
	return m
}

// add adds the fields of a struct that stands at an index.
func (m *mapping) add(t reflect.Type, at []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(slices.Clone(at), i)
		key, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		has := func(option string) bool { return strings.Contains(","+options+",", ","+option+",") }
		f := field{
			key: key, form: sf.Tag.Get("form"), keys: sf.Tag.Get("keys"), each: sf.Tag.Get("each"), constant: sf.Tag.Get("const"),
			hint: sf.Tag.Get("hint"), doc: sf.Tag.Get("doc"), required: has("required"), some: has("some"), one: has("one"), fixed: has("fixed"), whole: has("whole"),
			typ: sf.Type, index: index,
		}
		switch {
		case has("alone"):
			m.alone = &f
		case key != "":
			m.fields = append(m.fields, f)
		case sf.Type == placeType:
			m.place, m.doc = index, f.doc
		case sf.Type == othersType:
			m.others = true
		case sf.Type == partialType:
			m.partial = index
		case sf.Anonymous && sf.Type.Kind() == reflect.Struct:
			m.add(sf.Type, index)
		}
	}
}
