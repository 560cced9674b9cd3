// SPDX-License-Identifier: Apache-2.0

// Package fatbin lists the GPU device code in a file: which architectures there is
// machine code for, and PTX of which versions.
//
// A [Scanner] takes the file as a stream. Containers ("fatbins") are recognised
// anywhere on an 8-byte boundary, so section headers are not needed, and their
// entries are listed by hopping from header to header: the code itself, most of a
// big library, is passed over. It allocates nothing in proportion to what headers
// claim, does work linear in the bytes it is given, and holds at most one entry's
// first [MaxHead] bytes.
//
// Layout of containers and entries: NVIDIA does not document them; what is used
// here was read off libraries of CUDA 11.1 to 13.1 and is compared with cuobjdump
// (bench/cuobjdump).
package fatbin

import "fmt"

// Kind is what an entry holds.
type Kind int

// The kinds of entries.
const (
	Other Kind = iota // intermediate code for the linker, and what is not known
	PTX
	SASS // a cubin: an ELF file with machine code
)

// Entry is one piece of device code.
type Entry struct {
	Kind Kind
	// SM is the architecture, 90 for sm_90. Suffix is "a", "f" or "".
	SM     int
	Suffix string
	// ISA is the version of the PTX language, such as "8.4"; "" for other kinds.
	ISA string
	// Compressed says that the code is stored compressed.
	Compressed bool
	// Empty says that a cubin holds no code at all.
	Empty bool
}

// String returns the entry as cuobjdump names it: "elf sm_90a", "ptx 8.4 sm_90".
func (e Entry) String() string {
	arch := fmt.Sprintf("sm_%d%s", e.SM, e.Suffix)
	switch e.Kind {
	case PTX:
		return "ptx " + e.ISA + " " + arch
	case SASS:
		return "elf " + arch
	}
	return "other " + arch
}
