// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/json"
	"reflect"

	"github.com/cudabuild/cudabuild/internal/schema"
)

// Schema returns the JSON Schema of the files that [File.Read] reads into a value of that
// type, for editors. It sees less: not what a Check finds that no pattern can say.
func (format Format) Schema(value any) *schema.Schema {
	return format.schema(reflect.TypeOf(value), field{}, false)
}

// schema returns that of a field's value of a type; item says that it is one of a list.
func (format Format) schema(t reflect.Type, f field, item bool) *schema.Schema {
	switch {
	case t == wordType || t.Kind() == reflect.String:
		return format.word(f, item)
	case t.Kind() == reflect.Slice:
		return format.list(t, f)
	case t.Kind() == reflect.Map:
		s := &schema.Schema{Type: "object", Additional: format.schema(t.Elem(), f, false)}
		if keys, ok := format.Forms[f.keys]; ok {
			s.PropertyNames = &schema.Schema{Pattern: keys.Pattern.String()}
		}
		if f.some {
			s.MinProperties = 1
		}
		return s
	case t.Kind() == reflect.Struct:
		return format.object(t)
	case f.constant != "":
		return &schema.Schema{Const: json.Number(f.constant)}
	}
	return &schema.Schema{Type: "integer"}
}

// list is one of values, which are different unless they are mere texts.
func (format Format) list(t reflect.Type, f field) *schema.Schema {
	s := &schema.Schema{Type: "array", Items: format.schema(t.Elem(), f, true), UniqueItems: t.Elem().Kind() != reflect.String}
	if f.some || f.one {
		s.MinItems = 1
	}
	if f.one {
		return &schema.Schema{AnyOf: []*schema.Schema{s.Items, s}}
	}
	return s
}

func (format Format) object(t reflect.Type) *schema.Schema {
	m := mappingOf(t)
	s := &schema.Schema{Type: "object", Description: m.doc, Properties: map[string]*schema.Schema{}, Additional: false}
	for _, f := range m.fields {
		p := format.schema(f.typ, f, false)
		p.Description = f.doc
		s.Properties[f.key] = p
		if f.required {
			s.Required = append(s.Required, f.key)
		}
	}
	if m.alone == nil {
		return s
	}
	word := format.schema(m.alone.typ, *m.alone, false)
	word.Description = m.alone.doc
	return &schema.Schema{AnyOf: []*schema.Schema{s, word}}
}

func (format Format) word(of field, item bool) *schema.Schema {
	f := format.Forms[of.form]
	s := &schema.Schema{Type: "string", Enum: f.Words, MinLength: f.Min, MaxLength: f.Max, Description: f.Doc}
	if f.Pattern != nil {
		s.Pattern = f.Pattern.String()
	}
	if format.Loose { // nothing and numbers are words, too
		s.Type = ""
		if s.Pattern != "" {
			s.Pattern = "^$|" + s.Pattern
		}
	}
	if item && f.Globs {
		return &schema.Schema{AnyOf: []*schema.Schema{s, {Type: "string", Pattern: `[*?\[]`, Description: "Glob: *, ?, [a-z]."}}}
	}
	return s
}
