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
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/verify/internal/symbols"
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
	// Symbols are those that it defines and asks for; nil where that is not known: of files with
	// more than MaxSymbols, of libraries without a SONAME, and for processors but x86-64 and arm64.
	Symbols *symbols.Table
	// Built is the libraries that it was built with, where a note says it.
	Built []Built
	// Exports counts the global and weak dynamic symbols that a lookup finds.
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

// MaxDynamic bounds what is read of a dynamic section, in bytes.
const MaxDynamic = 1 << 20

const (
	ptLoad, ptDynamic, ptInterp, ptNote        = 1, 2, 3, 4
	dtNeeded, dtHash, dtStrtab, dtSymtab       = 1, 4, 5, 6
	dtSoname, dtRPath, dtRunPath               = 14, 15, 29
	dtPLTRelSize, dtPLTRel, dtJmpRel           = 2, 20, 23
	dtRela, dtRelaSize, dtRel                  = 7, 8, 17
	dtBindNow, dtFlags                         = 24, 30
	dtGNUHash                            int64 = 0x6ffffef5
	dtFlags1                             int64 = 0x6ffffffb
	dtVerSym                             int64 = 0x6ffffff0
	dtVerdef, dtVerdefnum                int64 = 0x6ffffffc, 0x6ffffffd
	dtVerneed, dtVerneednum              int64 = 0x6ffffffe, 0x6fffffff
	flagExec, flagWrite                        = 1, 2
	flagNoDefault, flagPIE                     = 0x800, 0x08000000
	flagBindNow, flagNow                       = 8, 1 // of DT_FLAGS, of DT_FLAGS_1
	maxNeeded                                  = 4096
)

// segment is one PT_LOAD: n file bytes at off appear in memory at addr, and zeros
// behind them up to mem bytes.
type segment struct {
	addr, off, n, mem, align uint64
	writable                 bool
}

const page = 4096

// bare reports whether a segment has no bytes of its own and yet brings those of the
// file that share the page it begins on.
func (s segment) bare() bool { return s.n == 0 && s.align%page == 0 && s.pages().n > 0 }

// pages widens a segment to what is mapped of the file: whole pages, but for what is
// cleared behind it.
func (s segment) pages() segment {
	front := min(s.addr%page, s.off)
	s.addr, s.off, s.n = s.addr-front, s.off-front, s.n+front
	if rest := -(s.addr + s.n) % page; s.mem+front <= s.n && s.n+rest > s.n {
		s.n += rest
	}
	return s
}

// cleared reports whether addr is among the zeros.
func (s segment) cleared(addr uint64) bool { return addr-s.addr >= s.n && addr-s.addr < s.mem }

type reader struct {
	f     File
	order binary.ByteOrder
	is64  bool
	exec  bool      // of a fixed address: a program
	loads []segment // sorted by address
	dyn   *segment
	// interp holds file offsets, unlike the others.
	interp   segment
	notes    []segment
	headers  Range
	versions map[uint16]string // by the index that symbols have
	missed   bool              // something that is optional is not held
}

// Read examines f. wanted tells which exported names the caller cares about.
// Errors are one of the sentinels, wrapped with what was being read.
func Read(f File, wanted map[string]bool) (Info, error) {
	r := &reader{f: f, versions: map[uint16]string{}}
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
	count, err := r.symbols(d, strings, wanted, &info)
	if err != nil {
		return Info{}, err
	}
	if strings.missed {
		return Info{}, fmt.Errorf("string table: %w", r.short())
	}
	if r.missed {
		return Info{}, fmt.Errorf("interpreter or versions: %w", ErrNotHeld)
	}
	info.Symbols, info.Built = r.binding(d, *strings, count, &info), r.built()
	return info, nil
}

// names fills in what the dynamic section says in words.
func (r *reader) names(d tables, strings *texts, info *Info) {
	info.SOName = strings.name(d.soname, MaxNameLen)
	for _, off := range d.needed {
		info.Needed = append(info.Needed, strings.name(off, MaxNameLen))
	}
	info.RunPath = strings.name(d.runpath, MaxPathLen)
	if d.runpath == 0 {
		info.RPath = strings.name(d.rpath, MaxPathLen)
	}
	info.NoDefault = d.flags1&flagNoDefault != 0
	info.VersionNeeds = r.versionNeeds(d, strings)
	info.VersionDefs = r.versionDefs(d, strings)
}

// interpreter returns the dynamic linker that the file names.
func (r *reader) interpreter() string {
	data, err := r.f.Slice(r.interp.off, min(r.interp.n, MaxPathLen))
	if err != nil {
		r.missed = r.missed || errors.Is(err, ErrNotHeld)
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
	r.exec = kind == 2
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
	r.headers = Range{off, uint64(size) * uint64(count)}
	table, err := r.f.Slice(off, r.headers.N)
	if err != nil {
		return fmt.Errorf("program headers: %w", err)
	}
	for ; len(table) >= size; table = table[size:] {
		r.programHeader(table[:size], info)
	}
	if r.dyn == nil {
		return ErrNotDynamic
	}
	return r.overlap()
}

// overlap refuses segments that share memory: which of them is seen there depends on
// who maps them, and no linker writes such a file.
func (r *reader) overlap() error {
	slices.SortStableFunc(r.loads, func(a, b segment) int { return cmp.Compare(a.addr, b.addr) })
	var end uint64
	for _, s := range r.loads {
		if s.n == 0 {
			continue
		}
		s = s.pages()
		if s.off+s.n < s.off {
			return fmt.Errorf("segment of %d bytes: %w", s.n, ErrMalformed)
		}
		if s.addr < end || s.addr+s.n < s.addr {
			return errShared
		}
		end = s.addr + s.n
	}
	return nil
}

var errShared = fmt.Errorf("segments that share memory: %w", ErrMalformed)

func (r *reader) programHeader(h []byte, info *Info) {
	var s segment
	var flags uint32
	if r.is64 {
		flags = r.order.Uint32(h[4:])
		s = segment{off: r.order.Uint64(h[8:]), addr: r.order.Uint64(h[16:]), n: r.order.Uint64(h[32:]), mem: r.order.Uint64(h[40:]), align: r.order.Uint64(h[48:])}
	} else {
		flags = r.order.Uint32(h[24:])
		s = segment{off: uint64(r.order.Uint32(h[4:])), addr: uint64(r.order.Uint32(h[8:])), n: uint64(r.order.Uint32(h[16:])), mem: uint64(r.order.Uint32(h[20:])), align: uint64(r.order.Uint32(h[28:]))}
	}
	switch r.order.Uint32(h) {
	case ptLoad:
		s.writable = flags&flagWrite != 0
		r.loads = append(r.loads, s)
		if flags&flagExec != 0 && s.off < r.f.Size {
			info.ExecBytes += min(s.n, r.f.Size-s.off)
		}
	case ptDynamic:
		r.dyn = &s
	case ptInterp:
		r.interp = s
	case ptNote:
		if len(r.notes) < maxNotes {
			r.notes = append(r.notes, s)
		}
	}
}

// at returns the file bytes mapped at addr, from there to the end of their
// segment, at most limit bytes. The dynamic linker goes by addresses, so the
// offsets of PT_DYNAMIC and of sections are not believed.
func (r *reader) at(addr, limit uint64) ([]byte, error) {
	p, err := r.place(addr)
	if err != nil {
		return nil, err
	}
	return r.f.UpTo(p.off, min(limit, p.n))
}

// place is where in the file an address is.
type place struct {
	off, n uint64 // offset, and what of the file follows there in memory
	zeros  bool   // what is behind that is cleared
	jumps  bool   // what is behind that is from elsewhere in the file
}

// place looks into the segments themselves before it looks at what their pages hold.
// What only a bare segment brings, or brings in the place of other bytes, is errShared.
func (r *reader) place(addr uint64) (place, error) {
	exact := func(s segment) bool { return addr-s.addr < s.n }
	i := slices.IndexFunc(r.loads, exact)
	cleared := i < 0 && slices.ContainsFunc(r.loads, func(s segment) bool { return s.cleared(addr) })
	if i < 0 && !cleared {
		i = slices.IndexFunc(r.loads, func(s segment) bool { return s.n > 0 && exact(s.pages()) })
	}
	p := place{n: 1}
	if i >= 0 {
		p = r.follow(i, addr)
	}
	for _, s := range r.loads {
		if b := s.pages(); s.bare() && (i < 0 || b.off-b.addr != p.off-addr) {
			if addr-b.addr < b.n {
				return place{}, errShared
			}
			if b.addr-addr < p.n {
				p.n, p.jumps = b.addr-addr, true
			}
		}
	}
	if i < 0 || p.off >= r.f.Size {
		return place{}, ErrMalformed
	}
	p.n = min(p.n, r.f.Size-p.off)
	return p, nil
}

// follow returns the place of an address in the segment i, and goes on from there to the
// segments that memory goes on with.
func (r *reader) follow(i int, addr uint64) place {
	s := r.loads[i].pages()
	p := place{off: s.off + (addr - s.addr), n: s.n - (addr - s.addr), zeros: s.mem > r.loads[i].n}
	for _, next := range r.loads[i+1:] {
		mapped := next.pages()
		switch {
		case p.zeros || mapped.addr > addr+p.n:
			return p
		case next.n == 0 || mapped.addr < addr+p.n:
		case mapped.off == p.off+p.n:
			p.n, p.zeros = p.n+mapped.n, next.mem > next.n
		default:
			p.jumps = true
			return p
		}
	}
	return p
}
