// SPDX-License-Identifier: Apache-2.0

// Package symbols tells which symbols the files of a process ask for and none of them
// defines, as glibc's dynamic linker looks them up.
//
// A [Table] is what one file says, small enough to be kept of every file of an image: what it
// defines as hashes, what it asks for by name. [Lacking] compares the tables of all files that
// are loaded together. Where they differ from what is really looked up, a symbol counts as
// defined: what is said to be lacking is.
package symbols

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// Table is what one file defines for others and asks of them, packed: of most files nobody asks. The
// zero value is that of a file that does neither.
type Table struct {
	defined []byte // hashes, 8 bytes each
	// wanted has a line for each symbol that is asked for, "name" or "name@version", with a mark
	// in front where it is a function that is looked up when it is called first.
	wanted []byte
}

const lazyMark = '\t'

// anyVersion stands for the version of a definition that those find who ask for none.
const anyVersion = "*"

// Define adds a definition. One without a version answers to all. former says that
// one with a version answers only to those who ask for it: foo@V, where foo@@V answers to those
// who ask for none as well.
func (t *Table) Define(name []byte, version string, former bool) {
	if !isPromised(version) { // nobody's Wants are about those
		t.add(hash(name, version))
	}
	if version != "" && !former {
		t.add(hash(name, anyVersion))
	}
}

func (t *Table) add(h uint64) { t.defined = binary.LittleEndian.AppendUint64(t.defined, h) }

// promised are the families of versions that never lack a symbol: who has the version has all
// that is of it. GLIBC_PRIVATE promises nothing.
var promised = []string{"GLIBC_", "GLIBCXX_", "CXXABI_", "GCC_"}

func isPromised(version string) bool {
	return version != "GLIBC_PRIVATE" && slices.ContainsFunc(promised, func(family string) bool { return strings.HasPrefix(version, family) })
}

// Want adds a symbol that the file asks for, unless its version promises that it is there, or its
// name is none that a compiler makes.
func (t *Table) Want(name []byte, version string, lazy bool) {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '@' }
	if isPromised(version) || len(name) == 0 || bytes.ContainsFunc(name, odd) || strings.ContainsFunc(version, odd) {
		return
	}
	if lazy {
		t.wanted = append(t.wanted, lazyMark)
	}
	if t.wanted = append(t.wanted, name...); version != "" {
		t.wanted = append(append(t.wanted, '@'), version...)
	}
	t.wanted = append(t.wanted, '\n')
}

// Weight is the bytes that t keeps in memory, nearly.
func (t *Table) Weight() int { return 64 + len(t.defined) + len(t.wanted) }

// Clone is a copy with no more memory than it needs, nearly.
func (t *Table) Clone() *Table {
	return &Table{bytes.Clone(t.defined), bytes.Clone(t.wanted)}
}

// Append adds tables to b in a form that Read reads.
func Append(b []byte, tables []*Table) []byte {
	n := binary.MaxVarintLen64
	for _, t := range tables {
		n += t.Weight()
	}
	b = binary.AppendUvarint(slices.Grow(b, n), uint64(len(tables)))
	for _, t := range tables {
		for _, part := range [][]byte{t.defined, t.wanted} {
			b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
		}
	}
	return b
}

// Read returns the tables that b begins with, and the rest of b; ok is false if it does not.
func Read(b []byte) (tables []*Table, rest []byte, ok bool) {
	number := func(most int) int {
		n, size := binary.Uvarint(b)
		if ok = size > 0 && n <= uint64(most); ok {
			b = b[size:]
		}
		return int(min(n, uint64(most)))
	}
	for left := number(len(b)); ok && left > 0; left-- {
		var parts [2][]byte
		for i := range parts {
			n := number(len(b))
			if !ok || n > len(b) {
				return nil, nil, false
			}
			parts[i], b = bytes.Clone(b[:n]), b[n:]
		}
		tables = append(tables, &Table{parts[0], parts[1]})
	}
	return tables, b, ok
}

// Lack is a symbol that a file asks for and none defines.
type Lack struct {
	File          int    // in the tables
	Name, Version string // Version is "" if none is asked for
	Lazy          bool   // it is a function that is looked up when it is called first
}

// Lacking returns what the files of a process lack, in their order.
func Lacking(tables []*Table) (lacking []Lack) {
	var defined []uint64
	for _, t := range tables {
		for at := t.defined; len(at) >= 8; at = at[8:] {
			defined = append(defined, binary.LittleEndian.Uint64(at))
		}
	}
	slices.Sort(defined)
	has := func(name, version string) bool {
		_, found := slices.BinarySearch(defined, hash(name, version))
		return found
	}
	for i, t := range tables {
		for line := range strings.Lines(string(t.wanted)) {
			symbol, lazy := strings.CutPrefix(strings.TrimSuffix(line, "\n"), string(lazyMark))
			name, version, _ := strings.Cut(symbol, "@")
			if !has(name, "") && !has(name, cmp.Or(version, anyVersion)) {
				lacking = append(lacking, Lack{i, name, version, lazy})
			}
		}
	}
	return lacking
}

// hash is FNV-1a of "name", or "name@version".
func hash[S []byte | string](name S, version string) uint64 {
	h := uint64(14695981039346656037)
	add := func(c byte) { h = (h ^ uint64(c)) * 1099511628211 }
	for i := range len(name) {
		add(name[i])
	}
	if version != "" {
		add('@')
		for i := range len(version) {
			add(version[i])
		}
	}
	return h
}
