// SPDX-License-Identifier: Apache-2.0

// Package dynelf reads what the dynamic linker reads of an ELF file: program
// headers, the dynamic section, symbol versions, and the exported symbols.
//
// It exists because debug/elf is documented as not hardened against hostile
// files, allocates from header values, and sees nothing in a file whose section
// headers were cut off. [Read] uses no section header, allocates only in
// proportion to the bytes it was given, and does work linear in them.
//
// Files need not be whole: [File] holds the parts of a big one that were kept.
// A table that lies elsewhere gives [ErrNotHeld], never a wrong answer.
package dynelf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Sentinels of [Read].
var (
	// ErrNotDynamic means that no dynamic linker would load the file: it is not
	// ELF, or an object file, a static program, a core or a separate debug file.
	ErrNotDynamic = errors.New("not a dynamic ELF file")
	// ErrNotHeld means that a table lies in a part of the file that was not kept.
	ErrNotHeld = errors.New("table lies outside the part of the file that was kept")
	// ErrMalformed means that the file claims to be dynamic and contradicts itself.
	ErrMalformed = errors.New("malformed ELF file")
)

// Info is what one dynamic ELF file says about itself.
type Info struct {
	Machine uint16 // e_machine: 62 is x86-64, 183 is aarch64
	Class   byte   // 1 is 32-bit, 2 is 64-bit
	Data    byte   // 1 is little-endian, 2 is big-endian
	Interp  string // the dynamic linker that a program asks for, "" for a library
	SOName  string // "" if it has none
	Needed  []string
	RPath   string // "" where RunPath is set: the dynamic linker ignores it then
	RunPath string
	// NoDefault means that default directories are not searched for what it needs.
	NoDefault bool
	// VersionNeeds and VersionDefs are the symbol versions that it asks of others
	// and that it offers. A table that makes no sense ends where that shows.
	VersionNeeds []VersionNeed
	VersionDefs  []string
	// Exports counts the defined global and weak dynamic symbols.
	Exports int
	// Found holds those names of the wanted ones that are exported.
	Found map[string]bool
	// ExecBytes is the sum of the file bytes of executable segments.
	ExecBytes uint64
}

// MaxNameLen bounds a symbol or library name, in bytes, and MaxPathLen a search
// path; longer ones are cut. Bazel writes search paths of tens of kilobytes.
const (
	MaxNameLen = 256
	MaxPathLen = 64 << 10
)

const (
	ptLoad, ptDynamic, ptInterp                 = 1, 2, 3
	dtNeeded, dtHash, dtStrtab, dtSymtab        = 1, 4, 5, 6
	dtStrsz, dtSoname, dtRPath, dtRunPath       = 10, 14, 15, 29
	dtGNUHash                             int64 = 0x6ffffef5
	dtFlags1                              int64 = 0x6ffffffb
	dtVerdef, dtVerdefnum                 int64 = 0x6ffffffc, 0x6ffffffd
	dtVerneed, dtVerneednum               int64 = 0x6ffffffe, 0x6fffffff
	flagExec                                    = 1
	flagNoDefault                               = 0x800
	maxNeeded                                   = 4096
)

// segment is one PT_LOAD: n file bytes at off appear in memory at addr.
type segment struct{ addr, off, n uint64 }

type reader struct {
	f     File
	order binary.ByteOrder
	is64  bool
	loads []segment
	dyn   segment
	// interp holds file offsets, unlike the others.
	interp segment
}

// Read examines f. wanted tells which exported names the caller cares about.
// Errors are one of the sentinels, wrapped with what was being read.
func Read(f File, wanted map[string]bool) (Info, error) {
	r := &reader{f: f}
	info := Info{Found: map[string]bool{}}
	if err := r.header(&info); err != nil {
		return Info{}, err
	}
	d, err := r.dynamic()
	if err != nil {
		return Info{}, err
	}
	strings, err := r.stringTable(d)
	if err != nil {
		return Info{}, err
	}
	info.Interp = r.interpreter()
	r.names(d, strings, &info)
	if err := r.symbols(d, strings, wanted, &info); err != nil {
		return Info{}, err
	}
	return info, nil
}

// names fills in what the dynamic section says in words.
func (r *reader) names(d tables, strings []byte, info *Info) {
	info.SOName = name(strings, d.soname)
	for _, off := range d.needed {
		info.Needed = append(info.Needed, name(strings, off))
	}
	info.RunPath = string(textAt(strings, d.runpath, MaxPathLen))
	if d.runpath == 0 {
		info.RPath = string(textAt(strings, d.rpath, MaxPathLen))
	}
	info.NoDefault = d.flags1&flagNoDefault != 0
	info.VersionNeeds = r.versionNeeds(d, strings)
	info.VersionDefs = r.versionDefs(d, strings)
}

// interpreter returns the dynamic linker that the file names.
func (r *reader) interpreter() string {
	data, err := r.f.Slice(r.interp.off, min(r.interp.n, MaxPathLen))
	if err != nil {
		return ""
	}
	text, _, _ := bytes.Cut(data, []byte{0})
	return string(text)
}

// header reads the file header and the program headers.
func (r *reader) header(info *Info) error {
	ident, err := r.f.Slice(0, 52)
	if err != nil || string(ident[:4]) != "\x7fELF" {
		return ErrNotDynamic
	}
	r.is64, r.order = ident[4] == 2, binary.LittleEndian
	if ident[5] == 2 {
		r.order = binary.BigEndian
	}
	if r.is64 {
		if ident, err = r.f.Slice(0, 64); err != nil {
			return ErrNotDynamic
		}
	}
	kind := r.order.Uint16(ident[16:])
	if kind != 2 && kind != 3 { // ET_EXEC, ET_DYN
		return ErrNotDynamic
	}
	info.Machine, info.Class, info.Data = r.order.Uint16(ident[18:]), ident[4], ident[5]
	phoff, phentsize, phnum := uint64(r.order.Uint32(ident[28:])), 42, 44
	if r.is64 {
		phoff, phentsize, phnum = r.order.Uint64(ident[32:]), 54, 56
	}
	return r.programHeaders(phoff, int(r.order.Uint16(ident[phentsize:])), int(r.order.Uint16(ident[phnum:])), info)
}

func (r *reader) programHeaders(off uint64, size, count int, info *Info) error {
	least := 32
	if r.is64 {
		least = 56
	}
	if count == 0 {
		return ErrNotDynamic
	}
	if size < least {
		return fmt.Errorf("program headers of %d bytes: %w", size, ErrMalformed)
	}
	table, err := r.f.Slice(off, uint64(size)*uint64(count))
	if err != nil {
		return fmt.Errorf("program headers: %w", err)
	}
	for ; len(table) >= size; table = table[size:] {
		r.programHeader(table[:size], info)
	}
	if r.dyn.n == 0 {
		return ErrNotDynamic
	}
	return nil
}

func (r *reader) programHeader(h []byte, info *Info) {
	var s segment
	var flags uint32
	if r.is64 {
		flags = r.order.Uint32(h[4:])
		s = segment{off: r.order.Uint64(h[8:]), addr: r.order.Uint64(h[16:]), n: r.order.Uint64(h[32:])}
	} else {
		flags = r.order.Uint32(h[24:])
		s = segment{off: uint64(r.order.Uint32(h[4:])), addr: uint64(r.order.Uint32(h[8:])), n: uint64(r.order.Uint32(h[16:]))}
	}
	switch r.order.Uint32(h) {
	case ptLoad:
		r.loads = append(r.loads, s)
		if flags&flagExec != 0 && s.off < r.f.Size {
			info.ExecBytes += min(s.n, r.f.Size-s.off)
		}
	case ptDynamic:
		r.dyn = s
	case ptInterp:
		r.interp = s
	}
}

// at returns the file bytes mapped at addr, from there to the end of their
// segment, at most limit bytes. The dynamic linker goes by addresses, so the
// offsets of PT_DYNAMIC and of sections are not believed.
func (r *reader) at(addr, limit uint64) ([]byte, error) {
	for _, s := range r.loads {
		if addr < s.addr || addr-s.addr >= s.n {
			continue
		}
		off := s.off + (addr - s.addr)
		if off < s.off || off >= r.f.Size {
			break
		}
		return r.f.UpTo(off, min(limit, s.n-(addr-s.addr)))
	}
	return nil, ErrMalformed
}
