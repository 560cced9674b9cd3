// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bytes"
	"encoding/json"

	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
)

// maxNote bounds the forward-compatibility note. It is a list of branches and devices.
const maxNote = 16 << 10

// The section of the note, its type and the name in its header.
const (
	noteSection = ".note.cuda.fwd_compatibility"
	noteType    = 7
	noteOwner   = "NVIDIA Corporation"
)

// compatNote returns the JSON of the section .note.cuda.fwd_compatibility: for which
// drivers and devices a Library of the forward-compatibility package is made. It is "" where the
// hook reads none: it goes by the section headers, and the alignment that they name.
// Source: nvidia-container-toolkit 1.20.1, cmd/nvidia-cdi-hook/cudacompat/cuda-elf-header.go.
// Layout: length of the owner, of the content, type (32 bits each), owner and
// content padded.
func compatNote(f dynelf.File) string {
	s, order, ok := dynelf.FindSection(f, noteSection, noteType)
	if !ok || s.N < 12 || s.N > maxNote || s.Align == 0 {
		return ""
	}
	data, err := f.Slice(s.Off, s.N)
	if err != nil {
		return ""
	}
	owner, size := uint64(order.Uint32(data)), uint64(order.Uint32(data[4:]))
	start := 12 + (owner+s.Align-1)&^(s.Align-1)
	if owner == 0 || start > s.N || string(bytes.Trim(data[12:start], "\x00")) != noteOwner {
		return ""
	}
	var compact bytes.Buffer
	if json.Compact(&compact, bytes.Trim(data[start:min(start+size, s.N)], "\x00")) != nil {
		return ""
	}
	return compact.String()
}

// compatNote is the note as messages put it.
func (t Texts) compatNote() string {
	if t.Note == "" {
		return ""
	}
	return ", for " + t.Note
}
