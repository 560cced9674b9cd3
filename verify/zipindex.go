// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"slices"
)

// maxZipFiles is how many files of a zip are held against its directory.
const maxZipFiles = 1 << 18

// zipIndex holds the directory of a zip against the files that were examined, which were
// found in the order of the stream: readers go by the directory, and so both must say the
// same of a file. Files that the directory leaves out are no harm.
type zipIndex struct {
	seed       maphash.Seed
	files      []zipMark // by offset
	records    []zipMark // those that follow each other without a gap, from start to end
	start, end uint64
	big        *zipEnd64 // in front of the end
	closed     bool      // an end that fits is the last thing read
}

// zipMark is where a file is, and a hash of what is said of it.
type zipMark struct{ at, sum uint64 }

type zipEnd64 struct{ at, size, off uint64 }

var errZipDisagrees = errors.New("the directory of the zip file and the files in it disagree")

func (x *zipIndex) mark(at uint64, h localHeader) zipMark {
	h.flags, h.big = 0, false // these may differ
	return zipMark{at, maphash.Comparable(x.seed, h)}
}

// file notes a file that was examined.
func (x *zipIndex) file(at uint64, h localHeader) error {
	x.closed = false
	if len(x.files) == maxZipFiles {
		return fmt.Errorf("zip file of more than %d files", maxZipFiles)
	}
	x.files = append(x.files, x.mark(at, h))
	return nil
}

// read reads a part of the directory, which begins at an offset with a signature.
func (x *zipIndex) read(signature uint32, at uint64, r *bufio.Reader) error {
	x.closed = false
	switch signature {
	case zipRecord:
		return x.record(at, r)
	case zipEnd64Record:
		b, err := r.Peek(zip64Size)
		if err == nil {
			x.big = &zipEnd64{at, binary.LittleEndian.Uint64(b[40:]), binary.LittleEndian.Uint64(b[48:])}
		}
		return cmp.Or(noEOF(err), discard(r, 4))
	}
	b, err := r.Peek(zipEndSize)
	if err != nil {
		return cmp.Or(discard(r, 4), noEOF(err))
	}
	end := zipEnd64{at, uint64(binary.LittleEndian.Uint32(b[12:])), uint64(binary.LittleEndian.Uint32(b[16:]))}
	x.closed = x.fits(end)
	x.records, x.big = x.records[:0], nil
	if !x.closed {
		return cmp.Or(discard(r, 4), errZipDisagrees)
	}
	return discard(r, 4) // and no more: another end may begin in this one
}

// record reads what the directory says of one file.
func (x *zipIndex) record(at uint64, r *bufio.Reader) error {
	var b [zipDirSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return noEOF(err)
	}
	le := binary.LittleEndian
	h := localHeader{method: le.Uint16(b[10:]), packed: uint64(le.Uint32(b[20:])), size: uint64(le.Uint32(b[24:]))}
	name, extra := int(le.Uint16(b[28:])), int(le.Uint16(b[30:]))
	rest := make([]byte, name+extra+int(le.Uint16(b[32:])))
	if _, err := io.ReadFull(r, rest); err != nil {
		return noEOF(err)
	}
	off := uint64(le.Uint32(b[42:]))
	h.name = string(rest[:name])
	zip64Fields(rest[name:name+extra], &h.size, &h.packed, &off)
	if len(x.records) == 0 || at != x.end {
		x.records, x.start = x.records[:0], at
	}
	if len(x.records) == maxZipFiles {
		return fmt.Errorf("zip file of more than %d files", maxZipFiles)
	}
	x.records, x.end = append(x.records, x.mark(off, h)), at+zipDirSize+uint64(len(rest))
	return nil
}

// zip64Fields reads the fields that have no room in a record of the directory.
func zip64Fields(extra []byte, fields ...*uint64) {
	for value := range zip64(extra) {
		for _, f := range fields {
			if *f == math.MaxUint32 && len(value) >= 8 {
				*f, value = binary.LittleEndian.Uint64(value), value[8:]
			}
		}
	}
}

// fits reports whether the records in front of an end are the directory that it describes,
// and all of them tell of files that were examined. Offsets count from wherever they fit.
func (x *zipIndex) fits(end zipEnd64) bool {
	if b := x.big; b != nil && b.at+zip64Size+zip64At == end.at {
		if end.size != b.size && end.size != math.MaxUint32 || end.off != b.off && end.off != math.MaxUint32 {
			return false
		}
		end = *b
	}
	if len(x.records) == 0 {
		return end.size == 0
	}
	shift := x.start - end.off
	return x.end == end.at && end.at-x.start == end.size && !slices.ContainsFunc(x.records, func(r zipMark) bool {
		i, found := slices.BinarySearchFunc(x.files, r.at+shift, func(f zipMark, at uint64) int { return cmp.Compare(f.at, at) })
		return !found || x.files[i].sum != r.sum
	})
}

// complete reports what is wrong with a zip that was read to its end.
func (x *zipIndex) complete() error {
	if !x.closed {
		return errors.New("zip file without the end of a directory")
	}
	return nil
}

func discard(r *bufio.Reader, n int) error {
	_, err := r.Discard(n)
	return err
}
