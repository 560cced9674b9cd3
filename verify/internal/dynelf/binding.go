// SPDX-License-Identifier: Apache-2.0

package dynelf

import (
	"encoding/binary"

	"github.com/cudabuild/cudabuild/verify/internal/symbols"
)

// MaxSymbols bounds the dynamic symbols of a file of which all are looked at: libstdc++ has
// 6,000. More have programs that export all of themselves, and libLLVM, libtorch, ICU.
const MaxSymbols = 8192

const (
	symbolSize     = 24 // of a 64-bit file
	relocationSize = 24
	versionIndex   = 0x7fff // of an entry of DT_VERSYM; the bit above says that it is a former one
)

// relocations are the kinds, on one machine, that a function has which is bound when it is
// called first, and a variable of a library that a program has a copy of. All other kinds are
// alike here.
type relocations struct{ slot, copied uint32 }

var relocationsOf = map[uint16]relocations{62: {7, 5}, 183: {1026, 1024}} // x86-64, aarch64

// use is what relocations do with a symbol.
type use byte

const (
	called use = 1 << iota // bound when it is called first
	bound                  // bound when the file is loaded
	copied                 // the same, to what another file has
)

// binding returns what a file defines and asks for, nil unless all that says so can be read.
// count is how many symbols the hash tables reach: all that it defines.
func (r *reader) binding(d tables, strings texts, count int, info *Info) *symbols.Table {
	kinds, known := relocationsOf[info.Machine]
	if !known || !r.is64 || r.order != binary.ByteOrder(binary.LittleEndian) || info.Interp == "" && info.SOName == "" {
		return nil
	}
	uses, ok := r.uses(d, kinds, count)
	if !ok {
		return nil
	}
	table, err := r.at(d.symtab, uint64(len(uses))*symbolSize)
	versions, versioned := r.versionTable(d, len(uses))
	if len(uses) == 0 {
		return &symbols.Table{}
	}
	if err != nil || len(table) < len(uses)*symbolSize || !versioned {
		return nil
	}
	now := d.bindNow || d.flags&flagBindNow != 0 || d.flags1&flagNow != 0
	t := &symbols.Table{}
	for i, use := range uses {
		s, index := table[i*symbolSize:], versions(i)
		version, known := "", index&versionIndex <= 1
		if !known {
			version, known = r.versions[index&versionIndex]
		}
		if !known {
			return nil
		}
		name, bind := strings.at(uint64(r.order.Uint32(s)), MaxNameLen), s[4]>>4
		defined := r.order.Uint16(s[6:]) != 0 || r.order.Uint64(s[8:]) != 0
		switch {
		case bind == 1 && (use&copied != 0 || !defined && use != 0):
			t.Want(name, version, use == called && !now)
		case defined && (bind == 1 || bind == 2 || bind == 10):
			t.Define(name, version, index > versionIndex && index&versionIndex > 2) // the first answers to all
		}
	}
	if strings.missed {
		return nil
	}
	return t
}

// uses says of each symbol what relocations do with it, of those beyond count too; ok is false if
// they cannot all be read, or there are too many symbols.
func (r *reader) uses(d tables, kinds relocations, count int) (uses []use, ok bool) {
	if d.rel != 0 || d.jmpRel != 0 && d.pltRel != dtRela || count > MaxSymbols {
		return nil, false
	}
	uses = make([]use, count)
	for _, t := range [][2]uint64{{d.relas, d.relasSize}, {d.jmpRel, d.pltRelSize}} {
		if t[0] == 0 || t[1] == 0 {
			continue
		}
		data, err := r.at(t[0], t[1])
		if err != nil || uint64(len(data)) < t[1] {
			return nil, false
		}
		for ; len(data) >= relocationSize; data = data[relocationSize:] {
			symbol, kind := int(r.order.Uint32(data[12:])), r.order.Uint32(data[8:])
			if symbol >= MaxSymbols {
				return nil, false
			}
			if symbol >= len(uses) {
				uses = append(uses, make([]use, symbol+1-len(uses))...)
			}
			switch {
			case symbol == 0:
			case kind == kinds.slot:
				uses[symbol] |= called
			case kind == kinds.copied:
				uses[symbol] |= copied
			default:
				uses[symbol] |= bound
			}
		}
	}
	return uses, true
}

// versionTable returns the version's index of each symbol; ok is false if it cannot be read.
func (r *reader) versionTable(d tables, count int) (index func(i int) uint16, ok bool) {
	if d.verSym == 0 {
		return func(int) uint16 { return 0 }, true
	}
	data, err := r.at(d.verSym, 2*uint64(count))
	if err != nil || len(data) < 2*count {
		return nil, false
	}
	return func(i int) uint16 { return r.order.Uint16(data[2*i:]) }, true
}
