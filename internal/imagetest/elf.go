// SPDX-License-Identifier: Apache-2.0

package imagetest

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// ELF describes a shared library for x86-64, or a program if Interp is set.
type ELF struct {
	Interp  string // the dynamic linker that it asks for
	SOName  string
	Needed  []string
	RPath   string
	RunPath string
	// VersionNeeds holds for each library the versions that are needed of it, and
	// VersionDefs the versions that are offered.
	VersionNeeds map[string][]string
	VersionDefs  []string
	Exports      []string
	Imports      []string // undefined symbols
	// Exec is the size of the executable segment, in bytes of file.
	Exec int
	// Sections adds a section header table, which nothing may depend on.
	Sections bool
	// Note is the JSON of a note of forward compatibility, in a section of its own.
	Note string
	// TablesLast puts all tables behind the code, as patchelf does.
	TablesLast bool
	// GNUHash uses DT_GNU_HASH in place of DT_HASH.
	GNUHash bool
}

const (
	elfHeader = 64
	progHead  = 56
	progHeads = 4
	elfSymbol = 24
)

// Bytes returns the file. Addresses are file offsets plus a base.
func (e ELF) Bytes() []byte {
	const headers = elfHeader + progHeads*progHead
	code := bytes.Repeat([]byte{0x90}, e.Exec)
	start := uint64(headers)
	if e.TablesLast {
		start += uint64(len(code))
	}
	tables, dynOff, dynLen := e.tables(start)
	body := slices.Concat(tables, code)
	codeOff := headers + uint64(len(tables))
	if e.TablesLast {
		body, codeOff = slices.Concat(code, tables), headers
	}
	interpOff, interpLen := headers+uint64(len(body)), uint64(0)
	if e.Interp != "" {
		body = append(body, e.Interp+"\x00"...)
		interpLen = uint64(len(e.Interp) + 1)
	}

	out := make([]byte, headers, headers+len(body))
	copy(out, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(out[16:], 3)  // ET_DYN
	le.PutUint16(out[18:], 62) // EM_X86_64
	le.PutUint32(out[20:], 1)
	le.PutUint64(out[32:], elfHeader)
	le.PutUint16(out[52:], elfHeader)
	le.PutUint16(out[54:], progHead)
	le.PutUint16(out[56:], progHeads)
	tablesOff := start
	programHeader(out[elfHeader:], 1, 4, tablesOff, uint64(len(tables)), elfBase)
	programHeader(out[elfHeader+progHead:], 1, 5, codeOff, uint64(len(code)), codeBase)
	programHeader(out[elfHeader+2*progHead:], 2, 6, dynOff, dynLen, elfBase)
	if e.Interp != "" {
		programHeader(out[elfHeader+3*progHead:], 3, 4, interpOff, interpLen, elfBase)
	}
	out = append(out, body...)
	switch {
	case e.Note != "":
		out = withNote(out, e.Note)
	case e.Sections:
		out = withSections(out, make([]byte, 64))
	}
	return out
}

// withSections adds a table of section headers, of which the last one's has their names.
func withSections(file, table []byte) []byte {
	le := binary.LittleEndian
	count := len(table) / 64
	le.PutUint64(file[40:], uint64(len(file)))
	le.PutUint16(file[58:], 64)
	le.PutUint16(file[60:], uint16(count))
	le.PutUint16(file[62:], uint16(count-1))
	return append(file, table...)
}

// withNote adds NVIDIA's note with this content, as the hook looks for it.
func withNote(file []byte, text string) []byte {
	const owner, names = "NVIDIA Corporation\x00\x00", "\x00.note.cuda.fwd_compatibility\x00"
	le := binary.LittleEndian
	var note []byte
	for _, word := range []int{len(owner) - 1, len(text), 1} {
		note = le.AppendUint32(note, uint32(word))
	}
	note = append(append(note, owner...), text...)
	table := make([]byte, 3*64)
	section := func(i int, name, kind uint32, content []byte) {
		h := table[64*i:]
		le.PutUint32(h, name)
		le.PutUint32(h[4:], kind)
		le.PutUint64(h[24:], uint64(len(file)))
		le.PutUint64(h[32:], uint64(len(content)))
		le.PutUint64(h[48:], 4)
		file = append(file, content...)
	}
	section(1, 1, 7, note)
	section(2, 0, 3, []byte(names))
	return withSections(file, table)
}

// elfBase makes addresses differ from file offsets, so that mixing them up shows, and
// codeBase those of the code from all others: segments share no page.
const (
	elfBase  = 0x10000
	codeBase = 1 << 40
)

func programHeader(h []byte, kind, flags uint32, off, n, base uint64) {
	le := binary.LittleEndian
	le.PutUint32(h, kind)
	le.PutUint32(h[4:], flags)
	le.PutUint64(h[8:], off)
	le.PutUint64(h[16:], off+base)
	le.PutUint64(h[24:], off+base)
	le.PutUint64(h[32:], n)
	le.PutUint64(h[40:], n)
}

// tables returns the string table, symbol table, hash table and dynamic section
// as they stand in the file from start on.
func (e ELF) tables(start uint64) (data []byte, dynOff, dynLen uint64) {
	strings := []byte{0}
	intern := func(s string) uint64 {
		strings = append(strings, s...)
		strings = append(strings, 0)
		return uint64(len(strings) - len(s) - 1)
	}
	symbols := make([]byte, elfSymbol)
	for _, n := range e.Imports {
		symbols = append(symbols, symbol(intern(n), 0)...)
	}
	for _, n := range e.Exports {
		symbols = append(symbols, symbol(intern(n), 1)...)
	}
	var dyn []uint64
	for _, n := range e.Needed {
		dyn = append(dyn, 1, intern(n))
	}
	for tag, text := range []string{14: e.SOName, 15: e.RPath, 29: e.RunPath} {
		if text != "" {
			dyn = append(dyn, uint64(tag), intern(text))
		}
	}
	versionNeeds, versionDefs := e.versionNeeds(intern), e.versionDefs(intern)
	hash, tag := e.hash(uint64(len(symbols) / elfSymbol))

	at := start
	place := func(part []byte) uint64 {
		off := at
		data = append(data, part...)
		for len(data)%8 != 0 {
			data = append(data, 0)
		}
		at = start + uint64(len(data))
		return off
	}
	symOff, hashOff, strOff := place(symbols), place(hash), place(strings)
	if len(e.VersionNeeds) > 0 {
		dyn = append(dyn, 0x6ffffffe, place(versionNeeds)+elfBase, 0x6fffffff, uint64(len(e.VersionNeeds)))
	}
	if len(e.VersionDefs) > 0 {
		dyn = append(dyn, 0x6ffffffc, place(versionDefs)+elfBase, 0x6ffffffd, uint64(len(e.VersionDefs)+1))
	}
	dyn = append(dyn, 6, symOff+elfBase, 11, elfSymbol, tag, hashOff+elfBase, 5, strOff+elfBase, 10, uint64(len(strings)), 0, 0)
	var section []byte
	for _, word := range dyn {
		section = binary.LittleEndian.AppendUint64(section, word)
	}
	dynOff = place(section)
	return data, dynOff, uint64(len(section))
}

func symbol(name uint64, section uint16) []byte {
	s := make([]byte, elfSymbol)
	binary.LittleEndian.PutUint32(s, uint32(name))
	s[4] = 1<<4 | 2 // GLOBAL FUNC
	binary.LittleEndian.PutUint16(s[6:], section)
	return s
}

// hash returns a hash table that leads to all symbols, in one chain; nothing looks
// names up in it.
func (e ELF) hash(count uint64) (table []byte, tag uint64) {
	le := binary.LittleEndian
	if !e.GNUHash {
		for _, word := range []uint32{1, uint32(count), uint32(min(count-1, 1)), 0} { // buckets, chains, the bucket, chain of nothing
			table = le.AppendUint32(table, word)
		}
		for s := uint64(1); s < count; s++ {
			table = le.AppendUint32(table, uint32((s+1)%count))
		}
		return table, 4
	}
	first := uint32(1 + len(e.Imports))
	for _, word := range []uint32{1, first, 1, 6} { // buckets, first symbol, bloom words, shift
		table = le.AppendUint32(table, word)
	}
	table = le.AppendUint64(table, ^uint64(0))
	if len(e.Exports) == 0 {
		return le.AppendUint32(table, 0), 0x6ffffef5
	}
	table = le.AppendUint32(table, first)
	for i := range e.Exports {
		end := uint32(0)
		if i == len(e.Exports)-1 {
			end = 1
		}
		table = le.AppendUint32(table, end)
	}
	return table, 0x6ffffef5
}
