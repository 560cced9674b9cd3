// SPDX-License-Identifier: Apache-2.0

// Package cudart tells which release of the CUDA runtime is inside a file: the
// shared library itself, or a program that it was linked into.
//
// A [Finder] takes the file as a stream. It knows the runtime by the name of its
// shared memory, which survives stripping, and the release by the instructions of
// cudaRuntimeGetVersion, which store it as a constant; so far only those of x86-64.
// It also knows files that name a library of the driver, as those do that open it while
// they run.
package cudart

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The body of cudaRuntimeGetVersion on x86-64, in all copies from CUDA 11.1 to 12.4
// that were looked at: movl $version, (%rdi); xorl %eax, %eax; [popq %rbp;] retq.
var (
	store   = []byte{0xc7, 0x07}
	endings = [][]byte{{0x31, 0xc0, 0xc3}, {0x31, 0xc0, 0x5d, 0xc3}, {0x5d, 0xc3}}
)

// runtime is in every copy of the runtime: the shared memory that MPS clients use.
const runtime = "cudart.shm"

// drivers are the libraries of the driver that programs open while they run.
var drivers = []string{"libcuda.so", "libnvidia-ml.so", "libnvcuvid.so", "libnvidia-encode.so", "libnvidia-opticalflow.so", "libnvoptix.so"}

// dot is in all of these names once, and seldom in anything else.
var dot = []byte(".s")

// bodyLen is the longest of what is looked for; as many bytes less one of each piece
// are looked at again with the next.
const bodyLen = len("libnvidia-opticalflow.so")

// Finder looks for the runtime in a file that is written to it in pieces. Write
// never fails.
type Finder struct {
	// X86 says that the file holds instructions for x86-64.
	X86 bool

	tail    []byte
	version uint32
	named   bool
	opens   [6]bool // of drivers
}

var _ io.Writer = (*Finder)(nil)

// Write implements io.Writer.
func (f *Finder) Write(p []byte) (int, error) {
	n := len(p)
	if len(f.tail) > 0 {
		seam := append(f.tail, p[:min(len(p), bodyLen-1)]...)
		f.look(seam)
		f.tail = seam[:0]
		if len(p) < bodyLen-1 {
			f.tail = append(f.tail, seam[max(0, len(seam)-bodyLen+1):]...)
			return n, nil
		}
	}
	f.look(p)
	f.tail = append(f.tail[:0], p[max(0, len(p)-bodyLen+1):]...)
	return n, nil
}

// Release returns the CUDA release of the runtime, "12.4", and whether there is a
// runtime at all. The release is "" where it cannot be told.
func (f *Finder) Release() (release string, found bool) {
	if !f.named || f.version == 0 {
		return "", f.named
	}
	return fmt.Sprintf("%d.%d", f.version/1000, f.version%1000/10), true
}

// Opens returns the first of the driver's libraries, libcuda before all others, that
// the file has by name: "libcuda.so". It returns "" for a file that names none.
func (f *Finder) Opens() string {
	if i := slices.Index(f.opens[:], true); i >= 0 {
		return drivers[i]
	}
	return ""
}

// lookForNames looks no further once the file names the runtime and libcuda.
func (f *Finder) lookForNames(p []byte) {
	for at := 0; !f.named || !f.opens[0]; at += len(dot) {
		next := bytes.Index(p[at:], dot)
		if next < 0 {
			return
		}
		at += next
		f.named = f.named || around(p, at, runtime)
		for i, name := range drivers {
			f.opens[i] = f.opens[i] || around(p, at, name)
		}
	}
}

// around reports whether the name of which p[at] is the dot is name.
func around(p []byte, at int, name string) bool {
	from := at - strings.IndexByte(name, '.')
	return from >= 0 && bytes.HasPrefix(p[from:], []byte(name))
}

func (f *Finder) look(p []byte) {
	f.lookForNames(p)
	for f.X86 && f.version == 0 {
		i := bytes.Index(p, store)
		if i < 0 || len(p)-i < 6 {
			return
		}
		f.version = constant(p[i+2:])
		p = p[i+1:]
	}
}

// constant returns the version that the bytes behind a store are, 0 if they are none.
func constant(p []byte) uint32 {
	version := binary.LittleEndian.Uint32(p)
	if version < 5000 || version > 19990 || version%10 != 0 {
		return 0
	}
	for _, end := range endings {
		if bytes.HasPrefix(p[4:], end) {
			return version
		}
	}
	return 0
}
