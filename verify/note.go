// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/binary"
	"encoding/json"

	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
)

// maxNote bounds the forward-compatibility note. It is a list of branches and devices.
const maxNote = 16 << 10

// noteOwner is the name in the header of NVIDIA's ELF notes.
const noteOwner = "NVIDIA Corporation\x00"

// compatNote returns the JSON of the section .note.cuda.fwd_compatibility: for which
// drivers and devices a library of the forward-compatibility package is made. It goes by
// the note's own header, so cut section headers do not hide it.
func compatNote(parts []dynelf.Part) string {
	for _, p := range parts {
		for at := 0; ; at++ {
			next := bytes.Index(p.Data[at:], []byte(noteOwner))
			if next < 0 {
				break
			}
			at += next
			if text := noteAt(p.Data, at); text != "" {
				return text
			}
		}
	}
	return ""
}

// noteAt returns the JSON object of the note whose owner stands at data[at].
// Layout: length of the owner, of the content, type (32 bits each), owner and
// content padded to 4 bytes.
func noteAt(data []byte, at int) string {
	start := at + (len(noteOwner)+3)&^3
	if at < 12 || start > len(data) || binary.LittleEndian.Uint32(data[at-12:]) != uint32(len(noteOwner)) {
		return ""
	}
	size := binary.LittleEndian.Uint32(data[at-8:])
	if size > maxNote || int(size) > len(data)-start {
		return ""
	}
	var object map[string]any
	var compact bytes.Buffer
	text := bytes.Trim(data[start:start+int(size)], "\x00 \n")
	if json.Unmarshal(text, &object) != nil || json.Compact(&compact, text) != nil {
		return ""
	}
	return compact.String()
}

// compatNote is the note as messages put it.
func (s said) compatNote() string {
	if s.note == "" {
		return ""
	}
	return ", for " + s.note
}
