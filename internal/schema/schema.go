// SPDX-License-Identifier: Apache-2.0

// Package schema makes JSON Schemas (draft 7, the one that editors know) of the Go
// types that are printed as JSON. [Of] is what most callers need.
//
// A schema of a type says what encoding/json writes: a field without omitempty or omitzero is
// required, a list is a list and never null, a pointer may be null. Objects are open,
// because fields may be added to what we print. It refuses, by a panic, types that
// need a MarshalJSON of their own.
package schema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Draft is the URI that a schema's own document names.
const Draft = "http://json-schema.org/draft-07/schema#"

// Schema is a JSON Schema, or part of one. Its zero value takes anything.
type Schema struct {
	Draft       string `json:"$schema,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`

	Type   string    `json:"type,omitempty"`
	Const  any       `json:"const,omitempty"`
	Enum   []string  `json:"enum,omitempty"`
	Format string    `json:"format,omitempty"`
	AnyOf  []*Schema `json:"anyOf,omitempty"`

	Pattern   string `json:"pattern,omitempty"`
	MinLength int    `json:"minLength,omitempty"`
	MaxLength int    `json:"maxLength,omitempty"`

	Items       *Schema `json:"items,omitempty"`
	MinItems    int     `json:"minItems,omitempty"`
	UniqueItems bool    `json:"uniqueItems,omitempty"`

	Required      []string           `json:"required,omitempty"`
	Properties    map[string]*Schema `json:"properties,omitempty"`
	PropertyNames *Schema            `json:"propertyNames,omitempty"`
	MinProperties int                `json:"minProperties,omitempty"`
	// Additional is what properties that are not listed may be: a *Schema, or false for none.
	Additional any `json:"additionalProperties,omitempty"`
}

// Of returns the schema of what encoding/json writes for a value of v's type. Words are
// the values of string types that have only some, by any value of the type.
func Of(v any, words map[any][]string) *Schema {
	g := generator{}
	for value, list := range words {
		g[reflect.TypeOf(value)] = list
	}
	return g.of(reflect.TypeOf(v))
}

type generator map[reflect.Type][]string

var (
	textual = reflect.TypeFor[encoding.TextMarshaler]()
	special = reflect.TypeFor[json.Marshaler]()
	instant = reflect.TypeFor[time.Time]()
)

func (g generator) of(t reflect.Type) *Schema {
	switch {
	case t == instant:
		return &Schema{Type: "string", Format: "date-time"}
	case t.Implements(textual):
		return &Schema{Type: "string"}
	case t.Implements(special):
		panic(fmt.Sprintf("schema: %v writes its own JSON", t))
	}
	switch t.Kind() {
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.String:
		return &Schema{Type: "string", Enum: g[t]}
	case reflect.Float32, reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.Slice, reflect.Array:
		return &Schema{Type: "array", Items: g.of(t.Elem())}
	case reflect.Map:
		return &Schema{Type: "object", Additional: g.of(t.Elem())}
	case reflect.Pointer:
		return &Schema{AnyOf: []*Schema{g.of(t.Elem()), {Type: "null"}}}
	case reflect.Struct:
		s := &Schema{Type: "object", Properties: map[string]*Schema{}}
		g.fields(s, t)
		return s
	case reflect.Interface:
		return &Schema{}
	}
	if t.ConvertibleTo(reflect.TypeFor[int64]()) {
		return &Schema{Type: "integer"}
	}
	panic(fmt.Sprintf("schema: %v has no JSON", t))
}

// fields adds the fields of a struct, and those of the structs embedded in it.
func (g generator) fields(s *Schema, t reflect.Type) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			g.fields(s, f.Type)
			continue
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			panic(fmt.Sprintf("schema: field %s of %v has no JSON name", f.Name, t))
		}
		s.Properties[name] = g.of(f.Type)
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			s.Required = append(s.Required, name)
		} else if f.Type.Kind() == reflect.Pointer {
			s.Properties[name] = g.of(f.Type.Elem())
		}
	}
}

// Document is the schema as a document of its own: with the draft and a title.
func (s Schema) Document(title, description string) *Schema {
	s.Draft, s.Title, s.Description = Draft, title, description
	return &s
}
