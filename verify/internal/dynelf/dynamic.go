// SPDX-License-Identifier: Apache-2.0

package dynelf

import (
	"bytes"
	"errors"
	"fmt"
)

// tables holds the entries of the dynamic section that matter here: addresses,
// and offsets into the string table. Zero means absent.
type tables struct {
	strtab, symtab, hash, gnuHash  uint64
	soname, rpath, runpath, flags1 uint64
	verneed, verneednum            uint64
	verdef, verdefnum, verSym      uint64
	rel, relas, relasSize          uint64
	jmpRel, pltRel, pltRelSize     uint64
	flags                          uint64
	bindNow                        bool
	needed                         []uint64
}

// dynamic reads entries until one says that it is the last, as the dynamic linker
// does: the size that the program header gives is not believed.
func (r *reader) dynamic() (tables, error) {
	var d tables
	var data []byte
	p, err := r.place(r.dyn.addr)
	if err == nil {
		data, err = r.f.UpTo(p.off, min(p.n, MaxDynamic))
	}
	if err != nil {
		if errors.Is(err, ErrMalformed) && !errors.Is(err, errShared) { // a separate debug file: headers, but no content
			return d, ErrNotDynamic
		}
		return d, fmt.Errorf("dynamic section: %w", err)
	}
	word := 4
	if r.is64 {
		word = 8
	}
	for ; len(data) >= 2*word; data = data[2*word:] {
		tag, value := int64(r.word(data)), r.word(data[word:])
		if tag == 0 {
			return d, nil
		}
		d.set(tag, value)
	}
	if p.zeros && p.n < MaxDynamic && r.f.whole() { // zeros are the end
		return d, nil
	}
	return d, fmt.Errorf("dynamic section without an end: %w", r.short())
}

func (d *tables) set(tag int64, value uint64) {
	switch tag {
	case dtNeeded:
		if len(d.needed) < maxNeeded {
			d.needed = append(d.needed, value)
		}
	case dtSoname:
		d.soname = value
	case dtRPath:
		d.rpath = value
	case dtRunPath:
		d.runpath = value
	case dtFlags1:
		d.flags1 = value
	case dtVerneed:
		d.verneed = value
	case dtVerneednum:
		d.verneednum = value
	case dtVerdef:
		d.verdef = value
	case dtVerdefnum:
		d.verdefnum = value
	case dtStrtab:
		d.strtab = value
	case dtSymtab:
		d.symtab = value
	case dtHash:
		d.hash = value
	case dtGNUHash:
		d.gnuHash = value
	default:
		d.setBinding(tag, value)
	}
}

// setBinding is set for what says how symbols are bound.
func (d *tables) setBinding(tag int64, value uint64) {
	switch tag {
	case dtVerSym:
		d.verSym = value
	case dtRel:
		d.rel = value
	case dtRela:
		d.relas = value
	case dtRelaSize:
		d.relasSize = value
	case dtJmpRel:
		d.jmpRel = value
	case dtPLTRel:
		d.pltRel = value
	case dtPLTRelSize:
		d.pltRelSize = value
	case dtBindNow:
		d.bindNow = true
	case dtFlags:
		d.flags = value
	}
}

func (r *reader) word(b []byte) uint64 {
	if r.is64 {
		return r.order.Uint64(b)
	}
	return uint64(r.order.Uint32(b))
}

// texts is the string table: what follows its address in memory. The dynamic
// linker does not look at the size that the file gives, so it is not believed.
type texts struct {
	data   []byte
	cut    bool // not all of it is held, or in one piece
	missed bool // something was looked up that is not held
}

func (r *reader) stringTable(d tables) (*texts, error) {
	if d.strtab == 0 {
		return &texts{}, nil
	}
	p, err := r.place(d.strtab)
	if err != nil {
		return nil, fmt.Errorf("string table: %w", err)
	}
	data, err := r.f.UpTo(p.off, p.n)
	if err != nil {
		return nil, fmt.Errorf("string table: %w", err)
	}
	return &texts{data: data, cut: uint64(len(data)) < p.n || p.jumps}, nil
}

// name returns the string at off, cut at limit bytes, "" if off is out of range, or
// zero, which means that there is none.
func (t *texts) name(off uint64, limit int) string {
	if off == 0 {
		return ""
	}
	return string(t.at(off, limit))
}

func (t *texts) at(off uint64, limit int) []byte {
	s := t.data[min(off, uint64(len(t.data))):]
	s = s[:min(len(s), limit)]
	if end := bytes.IndexByte(s, 0); end >= 0 {
		return s[:end]
	}
	if t.cut && len(s) < limit {
		t.missed = true
	}
	return s
}
