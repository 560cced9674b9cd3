// SPDX-License-Identifier: Apache-2.0

package dynelf_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
)

// note is one of an owner and a type, padded to align bytes.
func note(owner string, kind uint32, text string, align int) (n []byte) {
	for _, word := range []uint32{uint32(len(owner)), uint32(len(text)), kind} {
		n = binary.LittleEndian.AppendUint32(n, word)
	}
	for _, part := range []string{owner, text} {
		n = append(n, part...)
		n = append(n, make([]byte, -len(n)&(align-1))...)
	}
	return n
}

// noted is a program with notes, in place of the name of its dynamic linker.
func noted(align uint64, notes ...[]byte) []byte {
	data := imagetest.ELF{SOName: "x", Exports: []string{"f"}, Interp: "/lib64/ld.so", Exec: 64}.Bytes()
	all := slices.Concat(notes...)
	le := binary.LittleEndian
	header := data[64+3*56:]
	le.PutUint32(header, 4) // PT_NOTE
	le.PutUint64(header[8:], uint64(len(data)))
	le.PutUint64(header[32:], uint64(len(all)))
	le.PutUint64(header[48:], align)
	return append(data, all...)
}

func TestBuilt(t *testing.T) {
	t.Parallel()
	const owner = "cudabuild\x00"
	curand := note(owner, 1, "libcurand.so 10.3.5\n", 4)
	want := []dynelf.Built{{Lib: "libcurand.so", Version: "10.3.5"}}
	for name, tc := range map[string]struct {
		file []byte
		want []dynelf.Built
	}{
		"none":            {noted(4), nil},
		"one":             {noted(4, curand), want},
		"behind another":  {noted(4, note("GNU\x00", 3, "12345", 4), curand), want},
		"aligned to 8":    {noted(8, note("GNU\x00", 5, "12345", 8), note(owner, 1, "libcurand.so 10.3.5\n", 8)), want},
		"several":         {noted(4, note(owner, 1, "libcublas.so 12\nlibcublasLt.so 12.4\n", 4), curand), append([]dynelf.Built{{Lib: "libcublas.so", Version: "12"}, {Lib: "libcublasLt.so", Version: "12.4"}}, want...)},
		"other type":      {noted(4, note(owner, 2, "libcurand.so 10.3.5\n", 4)), nil},
		"other owner":     {noted(4, note("cudabuilds\x00", 1, "libcurand.so 10.3.5\n", 4)), nil},
		"no such lines":   {noted(4, note(owner, 1, "libcurand.so\n../libx.so 1\nlibcurand.so v1\nlibcurand.so 1.2.3.4.5.6\n\n", 4)), nil},
		"cut":             {noted(4, curand[:len(curand)-4]), nil},
		"length is a lie": {noted(4, note(owner, 1, strings.Repeat("x", 8), 4)[:8], []byte{0xff, 0xff, 0xff, 0xff}), nil},
	} {
		got, err := dynelf.Read(dynelf.Whole(tc.file), nil)
		if diff := cmp.Diff(tc.want, got.Built); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// FuzzRead asserts of any file: an error, or no more of anything than the bytes account for, and the
// same twice.
func FuzzRead(f *testing.F) {
	f.Add(noted(4, note("cudabuild\x00", 1, "libcurand.so 10.3.5\n", 4)))
	f.Add(imagetest.ELF{
		SOName: "x", Needed: []string{"libc.so.6"}, Exports: []string{"f"}, Imports: []string{"g"}, Exec: 64, GNUHash: true,
		VersionNeeds: map[string][]string{"libc.so.6": {"GLIBC_2.4"}}, VersionDefs: []string{"X_1"},
	}.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := dynelf.Read(dynelf.Whole(data), wanted)
		if err != nil {
			return
		}
		if len(got.Built) > len(data) || got.Symbols != nil && got.Symbols.Weight() > 64+dynelf.MaxSymbols*(16+2*dynelf.MaxNameLen) {
			t.Errorf("%d bytes: %d libraries, symbols of %d bytes", len(data), len(got.Built), got.Symbols.Weight())
		}
		again, err := dynelf.Read(dynelf.Whole(data), wanted)
		if diff := cmp.Diff(got, again, unexported); err != nil || diff != "" {
			t.Errorf("read again: %v (-first +second):\n%s", err, diff)
		}
	})
}
