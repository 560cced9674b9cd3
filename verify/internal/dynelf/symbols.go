// SPDX-License-Identifier: Apache-2.0

package dynelf

import "fmt"

// symbols counts the exports and looks for the wanted ones. It returns how many symbols there are that
// a lookup may find.
func (r *reader) symbols(d tables, strings *texts, wanted map[string]bool, info *Info) (found int, err error) {
	if d.symtab == 0 {
		return 0, nil
	}
	size := 16
	if r.is64 {
		size = 24
	}
	count, err := r.symbolCount(d, size)
	if err != nil || count == 0 {
		return 0, err
	}
	table, err := r.at(d.symtab, count*uint64(size))
	if err != nil {
		return 0, fmt.Errorf("symbol table: %w", err)
	}
	if hashed := d.hash != 0 || d.gnuHash != 0; uint64(len(table)) < count*uint64(size) && (hashed || !r.f.whole()) {
		return 0, fmt.Errorf("symbol table: %w", r.short())
	}
	program := r.exec || d.flags1&flagPIE != 0
	for ; len(table) >= size; table = table[size:] {
		r.symbol(table[:size], program, strings, wanted, info)
		found++
	}
	return found, nil
}

// symbol takes an undefined symbol that has a value for an export, as dlsym(3) does; in a
// program it is the address of a function of another library.
func (r *reader) symbol(s []byte, program bool, strings *texts, wanted map[string]bool, info *Info) {
	bind, section, value := s[12]>>4, r.order.Uint16(s[14:]), uint64(r.order.Uint32(s[4:]))
	if r.is64 {
		bind, section, value = s[4]>>4, r.order.Uint16(s[6:]), r.order.Uint64(s[8:])
	}
	if section == 0 && (value == 0 || program) || bind != 1 && bind != 2 && bind != 10 { // GLOBAL, WEAK, GNU_UNIQUE
		return
	}
	info.Exports++
	if n := strings.at(uint64(r.order.Uint32(s)), MaxNameLen); wanted[string(n)] {
		info.Found[string(n)] = true
	}
}

// symbolCount reports how many symbols the hash tables reach. Nothing else in
// the dynamic section gives the length; without a hash table the string table
// that conventionally follows is the bound.
func (r *reader) symbolCount(d tables, size int) (uint64, error) {
	var count uint64
	if d.hash != 0 {
		n, err := r.hashCount(d.hash)
		if err != nil {
			return 0, fmt.Errorf("hash table: %w", err)
		}
		count = n
	}
	if d.gnuHash != 0 {
		n, err := r.gnuHashCount(d.gnuHash)
		if err != nil {
			return 0, fmt.Errorf("hash table: %w", err)
		}
		count = max(count, n)
	}
	if d.hash == 0 && d.gnuHash == 0 && d.strtab > d.symtab {
		count = (d.strtab - d.symtab) / uint64(size)
	}
	return min(count, r.f.Size/uint64(size)), nil
}

// hashCount finds the highest symbol that a chain leads to: the length of the chains,
// which is in the table as well, is nothing that the dynamic linker looks at.
// Layout: nbuckets, nchains, buckets, chains.
func (r *reader) hashCount(addr uint64) (uint64, error) {
	data, err := r.at(addr, r.f.Size)
	if err != nil {
		return 0, err
	}
	words := uint64(len(data) / 4)
	if words < 2 {
		return 0, r.short()
	}
	word := func(i uint64) uint64 { return uint64(r.order.Uint32(data[4*i:])) }
	buckets, last := word(0), word(1)
	if 2+buckets+last > words {
		return 0, r.short()
	}
	steps := words
	for b := range buckets {
		for s := word(2 + b); s != 0; s = word(2 + buckets + s) {
			if 2+buckets+s >= words {
				return 0, r.short()
			}
			if steps--; steps == 0 {
				return 0, ErrMalformed
			}
			last = max(last, s+1)
		}
	}
	return last, nil
}

// gnuHashCount finds the end of the chain of the highest bucket.
// Layout: nbuckets, symoffset, bloom size, bloom shift, bloom, buckets, chains.
func (r *reader) gnuHashCount(addr uint64) (uint64, error) {
	data, err := r.at(addr, r.f.Size)
	if err != nil {
		return 0, err
	}
	if len(data) < 16 {
		return 0, r.short()
	}
	buckets, first := uint64(r.order.Uint32(data)), uint64(r.order.Uint32(data[4:]))
	bloom := uint64(r.order.Uint32(data[8:])) * 4
	if r.is64 {
		bloom *= 2
	}
	start := 16 + bloom
	if start+4*buckets > uint64(len(data)) {
		return 0, r.short()
	}
	var last uint64
	for i := range buckets {
		last = max(last, uint64(r.order.Uint32(data[start+4*i:])))
	}
	if last < first {
		return first, nil
	}
	for chain := start + 4*buckets + 4*(last-first); chain+4 <= uint64(len(data)); chain += 4 {
		if last++; r.order.Uint32(data[chain:])&1 == 1 {
			return last, nil
		}
	}
	return 0, r.short()
}

// short says why a table ended early: the file is broken, or was not kept whole.
func (r *reader) short() error {
	if r.f.whole() {
		return ErrMalformed
	}
	return ErrNotHeld
}
