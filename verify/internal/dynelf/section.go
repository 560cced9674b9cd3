// SPDX-License-Identifier: Apache-2.0

package dynelf

import (
	"bytes"
	"encoding/binary"
)

// Section is one row of a file's section headers, which debuggers and NVIDIA's hook go by
// and no dynamic linker does.
type Section struct {
	Off, N, Align uint64
}

// sectionLayout is where the fields of section headers are, in files of one class.
type sectionLayout struct{ table, entry, least, off, n, align int }

var sectionLayouts = map[byte]sectionLayout{
	1: {table: 32, entry: 46, least: 40, off: 16, n: 20, align: 32},
	2: {table: 40, entry: 58, least: 64, off: 24, n: 32, align: 48},
}

// FindSection returns the first section of a name and type; ok is false if there is none,
// or none that is held.
func FindSection(f File, name string, kind uint32) (s Section, order binary.ByteOrder, ok bool) {
	head, err := f.Slice(0, 64)
	if err != nil || string(head[:4]) != "\x7fELF" {
		return s, nil, false
	}
	l, known := sectionLayouts[head[4]]
	r := &reader{f: f, is64: head[4] == 2, order: binary.LittleEndian}
	if head[5] == 2 {
		r.order = binary.BigEndian
	}
	size, count, names := r.order.Uint16(head[l.entry:]), r.order.Uint16(head[l.entry+2:]), r.order.Uint16(head[l.entry+4:])
	off := r.word(head[l.table:])
	table, err := f.Slice(off, uint64(size)*uint64(count))
	if !known || err != nil || int(size) < l.least || names >= count || off == 0 {
		return s, nil, false
	}
	row := func(i uint16) []byte { return table[int(i)*int(size):] }
	at := func(h []byte) Section { return Section{r.word(h[l.off:]), r.word(h[l.n:]), r.word(h[l.align:])} }
	texts, err := f.UpTo(at(row(names)).Off, at(row(names)).N)
	for i := range count {
		h := row(i)
		start := r.order.Uint32(h)
		if err != nil || r.order.Uint32(h[4:]) != kind || uint64(start) >= uint64(len(texts)) {
			continue
		}
		if found, _, ended := bytes.Cut(texts[start:], []byte{0}); ended && string(found) == name {
			return at(h), r.order, true
		}
	}
	return s, nil, false
}
