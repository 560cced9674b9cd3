// SPDX-License-Identifier: Apache-2.0

package fatbin

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Bounds of what is looked at beyond an entry's header.
const (
	// MaxHead is the most that is held of an entry's content.
	MaxHead = 129 << 10
	// maxDecoded bounds what is decompressed for one file.
	maxDecoded = 64 << 20
	// firstSuffix is the first architecture that has variants with a suffix.
	firstSuffix = 90
	// smallCubin is below the size of any cubin with code; see isEmpty.
	smallCubin = 8 << 10
)

// Flags of an entry.
const (
	flagLZ4  = 0x2000
	flagZstd = 0x8000
	// flagSpecific is set on cubins of architecture-specific targets of CUDA 13.
	flagSpecific = 0x1100000
)

// entry is an entry's header.
type entry struct {
	kind          uint16
	head, payload int64 // sizes
	raw           uint64
	major, minor  uint16
	sm            uint32
	flags         uint64
}

// parseEntry reads a header of which room bytes of its container follow and
// reports whether it makes sense.
func parseEntry(b []byte, room int64) (entry, bool) {
	le := binary.LittleEndian
	head, payload := le.Uint32(b[4:]), le.Uint64(b[8:])
	e := entry{
		kind: le.Uint16(b), head: int64(head), payload: int64(payload), raw: le.Uint64(b[56:]),
		minor: le.Uint16(b[24:]), major: le.Uint16(b[26:]), sm: le.Uint32(b[28:]), flags: le.Uint64(b[40:]),
	}
	if le.Uint16(b[2:]) != 0x0101 || head < entryHead || int64(head) > room {
		return e, false
	}
	if payload > uint64(room-int64(head)) || e.sm < 10 || e.sm > 999 || e.major > 99 || e.minor > 99 {
		return e, false
	}
	return e, true
}

func (e *entry) compressed() bool { return e.flags&(flagLZ4|flagZstd) != 0 }

// kindOf maps the numbers in headers. 1 is PTX, 2 and 4 are cubins; 8 is code for
// link-time optimisation and 16 another form of machine code, neither listed.
func (e *entry) kindOf() Kind {
	switch e.kind {
	case 1:
		return PTX
	case 2, 4:
		return SASS
	}
	return Other
}

// small reports a cubin that may have no code.
func (e *entry) small() bool {
	size := e.raw
	if !e.compressed() {
		size = uint64(e.payload)
	}
	return e.kindOf() == SASS && size <= smallCubin
}

// wanted returns how many bytes of the content are needed to describe the entry.
func (e *entry) wanted() int {
	want := int64(512)
	switch {
	case e.kindOf() == Other || e.sm < firstSuffix && !e.small():
		want = 0
	case e.small():
		want = 2 * smallCubin
	case e.flags&flagZstd != 0 || !e.compressed():
		want = MaxHead
	case e.kindOf() == PTX:
		want = 4 << 10
	}
	return int(min(want, e.payload))
}

// describe turns the header and the first bytes of the content into an Entry.
// budget is what may still be decompressed for the file.
func (e *entry) describe(content []byte, budget *int) Entry {
	found := Entry{Kind: e.kindOf(), SM: int(e.sm), Compressed: e.compressed()}
	if found.Kind == PTX {
		found.ISA = fmt.Sprintf("%d.%d", e.major, e.minor)
	}
	if len(content) == 0 {
		return found
	}
	text := e.decode(content, budget)
	switch {
	case found.Kind == PTX:
		found.Suffix = targetSuffix(text, ".target sm_", e.sm)
	case e.sm >= firstSuffix:
		found.Suffix = e.cubinSuffix(text)
	}
	found.Empty = e.small() && isEmpty(text)
	return found
}

// decode returns the first bytes of the content, decompressed.
func (e *entry) decode(content []byte, budget *int) []byte {
	if !e.compressed() {
		return content
	}
	limit := min(decodedFor(e), *budget)
	var text []byte
	if e.flags&flagZstd != 0 {
		text = unzstd(content, limit)
	} else {
		text = unlz4(content, limit)
	}
	*budget -= len(text)
	return text
}

// decodedFor returns how much decompressed content is of use. Cubins compressed
// with LZ4 are of CUDA 12 or older, and there the ELF header tells all.
func decodedFor(e *entry) int {
	switch {
	case e.small():
		return smallCubin
	case e.kindOf() == PTX:
		return 4 << 10
	case e.flags&flagZstd != 0:
		return 2 * MaxHead
	}
	return 64
}

// targetSuffix returns the letter behind the architecture in text that names it.
func targetSuffix(text []byte, before string, sm uint32) string {
	name := fmt.Appendf([]byte(before), "%d", sm)
	i := bytes.Index(text, name)
	if i < 0 || i+len(name) >= len(text) {
		return ""
	}
	if c := text[i+len(name)]; c == 'a' || c == 'f' {
		return string(c)
	}
	return ""
}

// cubinSuffix tells the variant of a cubin. Up to CUDA 12 a flag in its ELF header
// says it; later ones note the compiler's command line, which may lie beyond what is
// held: then a flag of the entry hints at it.
func (e *entry) cubinSuffix(elf []byte) string {
	const accelerated = 0x800 // EF_CUDA_ACCELERATORS of LLVM's BinaryFormat/ELF.h
	if len(elf) < 52 || string(elf[:4]) != "\x7fELF" {
		return ""
	}
	if elf[8] < 8 {
		if binary.LittleEndian.Uint32(elf[48:])&accelerated != 0 {
			return "a"
		}
		return ""
	}
	if suffix := targetSuffix(elf, "-arch sm_", e.sm); suffix != "" {
		return suffix
	}
	if e.flags&flagSpecific == flagSpecific {
		return "a"
	}
	return ""
}

// isEmpty reports whether a cubin that is held whole has no executable section.
func isEmpty(elf []byte) bool {
	le := binary.LittleEndian
	if len(elf) < 64 || string(elf[:5]) != "\x7fELF\x02" {
		return false
	}
	off, size, count := le.Uint64(elf[40:]), uint64(le.Uint16(elf[58:])), uint64(le.Uint16(elf[60:]))
	if size < 64 || off > uint64(len(elf)) || size*count > uint64(len(elf))-off {
		return false
	}
	for ; count > 0; count-- {
		const executable = 4
		if section := elf[off:]; le.Uint64(section[8:])&executable != 0 && le.Uint64(section[32:]) > 0 {
			return false
		}
		off += size
	}
	return true
}
