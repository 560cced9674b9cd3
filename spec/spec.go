// SPDX-License-Identifier: Apache-2.0

// Package spec reads the YAML files that people write, recipes and matrix.yaml, into structs,
// and makes the JSON Schema of a file from the same struct.
//
// [File.Read] is what most callers need, [File.Merge] reads a file that others change;
// [Format.Schema] is its other face. A struct is the
// one description of a mapping: its fields are the keys, and their tags say the rest.
//
//	yaml   the key, then of required (the key must be there), some (no empty list or mapping) and
//	       one (a word alone is a list of it). The key "" with alone is a word in place of the mapping.
//	       Where others change the file a mapping that is fixed keeps what it has, so that they can
//	       only add to it, and one that is whole says one thing, so that they replace it; of a
//	       mapping of mappings that is meant of each.
//	form   the name of the [Form] of its words; keys, that of a mapping's keys
//	each   what messages call a value of the mapping, before its key
//	const  the one value of a number, by which a format of another version is known
//	hint   what to do if the value is of another kind, or empty
//	doc    the description in the schema; on a [Place] that of the mapping as a whole
//
// A number may be a pointer, nil where the file does not have it.
//
// It promises to report everything that is wrong with a file, each [Problem] with its place
// and, where one is near, the word that was meant; to take no key twice and none that it does
// not know; and to expand nothing that grows. What a file means is its callers' to say.
package spec

import "reflect"

// Format is a kind of file.
type Format struct {
	What  string          // what messages call the whole: "the matrix"
	Forms map[string]Form // by the names in the tags of fields
	Start string          // what to write into an empty file
	// Write is what to do in place of anchors and aliases.
	Write string
	// Loose takes what people write by hand: numbers and dates where words are wanted, values
	// left empty, anchors and aliases, and tags.
	Loose bool
}

// Place is a position in a file, both counted from 1, columns in characters. The zero Place
// is the file as a whole. A field of this type is where its mapping stands.
type Place struct {
	Line, Column int
	// File is the path of the later [Version] that the place is in, "" for the first.
	File string
}

// Before orders places as they stand in a file.
func (p Place) Before(q Place) bool {
	return p.Line < q.Line || p.Line == q.Line && p.Column < q.Column
}

// Word is a string of a file and where it stands.
type Word struct {
	Text string
	Place

	Glob bool // one of those that a glob there stands for
}

// Others in a mapping says that keys which it does not know are somebody else's.
type Others struct{}

// Partial is true in a mapping of which something was left out, because of a problem.
type Partial bool

var (
	wordType    = reflect.TypeFor[Word]()
	wordsType   = reflect.TypeFor[[]Word]()
	placeType   = reflect.TypeFor[Place]()
	partialType = reflect.TypeFor[Partial]()
	othersType  = reflect.TypeFor[Others]()
)
