// SPDX-License-Identifier: Apache-2.0

package dynelf

import (
	"bytes"
	"regexp"
	"strings"
)

// Built is a library and the version of it that a file was built with, as its note says.
type Built struct {
	Lib     string `json:"lib"`     // "libcurand.so"
	Version string `json:"version"` // "10.3.5"
}

// The note of cudabuild's samples. Of notes, no more than so many are looked at, and no more
// bytes of them.
const (
	noteOwner    = "cudabuild\x00"
	noteType     = 1
	maxNotes     = 16
	maxNoteBytes = 16 << 10
)

var builtLine = regexp.MustCompile(`^(lib[A-Za-z0-9_+-]{1,64}\.so) ([0-9]{1,9}(?:\.[0-9]{1,9}){0,4})$`)

// built reads the notes of a file that say which libraries it was built with. Layout of each:
// length of the owner and of the content, type (32 bits each), owner and content, padded.
func (r *reader) built() (all []Built) {
	for _, n := range r.notes {
		data, err := r.f.Slice(n.off, min(n.n, maxNoteBytes))
		if err != nil {
			continue
		}
		align := uint64(4)
		if n.align == 8 {
			align = 8
		}
		for len(data) >= 12 {
			owner, size := uint64(r.order.Uint32(data)), uint64(r.order.Uint32(data[4:]))
			start := (12 + owner + align - 1) &^ (align - 1)
			end := start + size
			if end > uint64(len(data)) {
				break
			}
			if r.order.Uint32(data[8:]) == noteType && bytes.Equal(data[12:12+owner], []byte(noteOwner)) {
				all = append(all, builtWith(string(data[start:end]))...)
			}
			data = data[min((end+align-1)&^(align-1), uint64(len(data))):]
		}
	}
	return all
}

// builtWith reads the lines of a note; what is none is left out.
func builtWith(text string) (all []Built) {
	for line := range strings.Lines(text) {
		if m := builtLine.FindStringSubmatch(strings.TrimRight(line, "\n\x00")); m != nil {
			all = append(all, Built{m[1], m[2]})
		}
	}
	return all
}
