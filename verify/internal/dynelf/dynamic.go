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
	strtab, strsz, symtab, hash, gnuHash uint64
	soname, rpath, runpath, flags1       uint64
	verneed, verneednum                  uint64
	verdef, verdefnum                    uint64
	needed                               []uint64
}

func (r *reader) dynamic() (tables, error) {
	var d tables
	data, err := r.at(r.dyn.addr, r.dyn.n)
	if err != nil {
		if errors.Is(err, ErrMalformed) { // a separate debug file: headers, but no content
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
	if !r.f.whole() {
		return d, fmt.Errorf("dynamic section: %w", ErrNotHeld)
	}
	return d, nil
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
	case dtStrsz:
		d.strsz = value
	case dtSymtab:
		d.symtab = value
	case dtHash:
		d.hash = value
	case dtGNUHash:
		d.gnuHash = value
	}
}

func (r *reader) word(b []byte) uint64 {
	if r.is64 {
		return r.order.Uint64(b)
	}
	return uint64(r.order.Uint32(b))
}

func (r *reader) stringTable(d tables) ([]byte, error) {
	if d.strtab == 0 {
		return nil, nil
	}
	data, err := r.at(d.strtab, d.strsz)
	if err != nil {
		return nil, fmt.Errorf("string table: %w", err)
	}
	if uint64(len(data)) < d.strsz && !r.f.whole() {
		return nil, fmt.Errorf("string table: %w", ErrNotHeld)
	}
	return data, nil
}

// name returns the string at off, cut at MaxNameLen, "" if off is out of range.
func name(table []byte, off uint64) string { return string(nameBytes(table, off)) }

func nameBytes(table []byte, off uint64) []byte { return textAt(table, off, MaxNameLen) }

func textAt(table []byte, off uint64, limit int) []byte {
	if off == 0 || off >= uint64(len(table)) {
		return nil
	}
	s := table[off:]
	s = s[:min(len(s), limit)]
	if end := bytes.IndexByte(s, 0); end >= 0 {
		s = s[:end]
	}
	return s
}
