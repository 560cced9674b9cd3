// SPDX-License-Identifier: Apache-2.0

package verify

import "github.com/cudabuild/cudabuild/verify/internal/dynelf"

// Where the tables of a big ELF file lie is known when its dynamic section was read,
// and then they may have passed. Such a layer is read a second time, all of it: the
// walk is the same, but of these files it holds the tables too. What the first reading
// said of where they are is a hint: what is judged was read, and its digest
// checked, by the second.

// maxRevisits bounds the files of a layer that a second reading is for.
const maxRevisits = 10_000

// elfTables says of files over wholeELF, by their number in the layer, what to hold of
// them beside the rest.
type elfTables map[int][]dynelf.Range

// revisit is shared by the walks over a layer and the archives in it.
type revisit struct {
	known  elfTables // from the first reading
	lacked elfTables // in this one
	count  int       // of files over wholeELF so far
}

// tables returns what holds the tables of the next file, which begins with head.
func (r *revisit) tables(size int64, head []byte) *tableBuffer {
	t := &tableBuffer{}
	if size > wholeELF {
		r.count++
		t.reserve(r.known[r.count])
	}
	_, _ = t.Write(head)
	return t
}

// lacks notes that the tables of the last file, f, were not held.
func (r *revisit) lacks(f dynelf.File) {
	if ranges := dynelf.Tables(f, wholeELF); len(ranges) > 0 && len(r.lacked) < maxRevisits {
		r.lacked[r.count] = ranges
	}
}

// tableBuffer holds parts of a file that is written to it from its first byte on.
type tableBuffer struct {
	buf   *elfBuffer // nil if there are none
	parts []dynelf.Part
	at    uint64 // in the file
}

// reserve makes room for ranges of at most wholeELF bytes.
func (t *tableBuffer) reserve(ranges []dynelf.Range) {
	if len(ranges) == 0 {
		return
	}
	t.buf = newELFBuffer()
	room := t.buf.head[:wholeELF]
	for _, r := range ranges {
		t.parts = append(t.parts, dynelf.Part{Off: r.Off, Data: room[:0:r.N]})
		room = room[r.N:]
	}
}

// Write implements io.Writer; it never fails.
func (t *tableBuffer) Write(b []byte) (int, error) {
	end := t.at + uint64(len(b))
	for i := range t.parts {
		p := &t.parts[i]
		next, left := p.Off+uint64(len(p.Data)), uint64(cap(p.Data)-len(p.Data))
		if next < end && left > 0 {
			p.Data = append(p.Data, b[next-t.at:min(end, next+left)-t.at]...)
		}
	}
	t.at = end
	return len(b), nil
}

func (t *tableBuffer) free() {
	if t.buf != nil {
		t.buf.free()
	}
}
