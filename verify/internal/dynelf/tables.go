// SPDX-License-Identifier: Apache-2.0

package dynelf

import (
	"cmp"
	"errors"
	"slices"
)

// Range is N bytes of a file from Off on.
type Range struct{ Off, N uint64 }

// Lead returns where in the file lies, at most, what leads to all else: the program
// headers, or the dynamic section if f holds those; ok is false if f does not tell.
func Lead(f File) (lead Range, ok bool) {
	r := &reader{f: f}
	err := r.header(&Info{})
	if errors.Is(err, ErrNotHeld) {
		return Range{r.headers.Off, min(r.headers.N, MaxDynamic)}, true
	}
	if err != nil {
		return Range{}, false
	}
	p, err := r.place(r.dyn.addr)
	return Range{p.off, min(p.n, MaxDynamic)}, err == nil
}

// maxMoved bounds the last segment of a file that may be nothing but tables, in bytes.
const maxMoved = 128 << 20

// Movable returns where in the file tools that rewrite one put tables, beside its beginning, where
// linkers have them: in segments that programs may write to, as patchelf's are, and in the last of the
// file, unless that is larger than such tables are: it has code for GPUs then. ok is false if f does not hold the program headers.
func Movable(f File) (ranges []Range, ok bool) {
	r := &reader{f: f}
	if err := r.header(&Info{}); err != nil || len(r.loads) == 0 {
		return nil, !errors.Is(err, ErrNotHeld)
	}
	last := slices.MaxFunc(r.loads, func(a, b segment) int { return cmp.Compare(a.off, b.off) })
	for _, s := range r.loads {
		if s.writable || s == last && s.n <= maxMoved {
			ranges = append(ranges, Range{s.off, s.n})
		}
	}
	return ranges, true
}

// maxVersionTable bounds what Tables asks for of a table of symbol versions, in bytes.
const maxVersionTable = 1 << 20

// Tables returns where in the file lies what Read looks at beside the program headers
// and the dynamic section: sorted, apart, at most budget bytes in all. If f does not
// hold the dynamic section, that is among it, and nothing is if it lacks program headers.
//
// Where a table ends shows only in the table. So each is taken to reach as far as the
// next one, or its segment; where that is more than budget, the longest are cut.
func Tables(f File, budget uint64) []Range {
	r := &reader{f: f}
	if r.header(&Info{}) != nil {
		return nil
	}
	var ranges []Range
	add := func(addr, most uint64) {
		if p, err := r.place(addr); addr != 0 && err == nil {
			ranges = append(ranges, Range{p.off, min(p.n, most)})
		}
	}
	d, err := r.dynamic()
	if errors.Is(err, ErrNotHeld) {
		add(r.dyn.addr, MaxDynamic)
	}
	for _, addr := range []uint64{d.symtab, d.strtab, d.hash, d.gnuHash} {
		add(addr, f.Size)
	}
	add(d.verneed, maxVersionTable)
	add(d.verdef, maxVersionTable)
	if i := r.interp; i.n > 0 && i.off < f.Size {
		ranges = append(ranges, Range{i.off, min(i.n, MaxPathLen, f.Size-i.off)})
	}
	separate(ranges)
	share(ranges, budget)
	return join(ranges)
}

// separate sorts ranges and ends each where the next one begins.
func separate(ranges []Range) {
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Or(cmp.Compare(a.Off, b.Off), cmp.Compare(a.N, b.N)) })
	for i := range ranges[:max(len(ranges), 1)-1] {
		ranges[i].N = min(ranges[i].N, ranges[i+1].Off-ranges[i].Off)
	}
}

// share cuts ranges to budget bytes in all: none is cut below what its equal share is.
func share(ranges []Range, budget uint64) {
	var shortest []*Range
	for i := range ranges {
		shortest = append(shortest, &ranges[i])
	}
	slices.SortFunc(shortest, func(a, b *Range) int { return cmp.Compare(a.N, b.N) })
	for i, r := range shortest {
		r.N = min(r.N, budget/uint64(len(shortest)-i))
		budget -= r.N
	}
}

// join makes one of ranges that touch: a table may go on in the next one.
func join(ranges []Range) (joined []Range) {
	for _, r := range ranges {
		if n := len(joined); n > 0 && joined[n-1].Off+joined[n-1].N == r.Off {
			joined[n-1].N += r.N
		} else {
			joined = append(joined, r)
		}
	}
	return joined
}
