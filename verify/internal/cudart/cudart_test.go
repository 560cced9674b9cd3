// SPDX-License-Identifier: Apache-2.0

package cudart_test

import (
	"slices"
	"testing"

	"github.com/cudabuild/cudabuild/verify/internal/cudart"
)

// body is cudaRuntimeGetVersion with this version and ending.
func body(version uint32, end ...byte) []byte {
	return append([]byte{0xc7, 0x07, byte(version), byte(version >> 8), 0, 0}, end...)
}

func TestFinder(t *testing.T) {
	t.Parallel()
	var (
		noise = []byte{0xc7, 0x07, 1, 2, 3, 4, 0x90, 0xc7, 0x07}
		name  = []byte("/tmp\x00cudart.shm.%x\x00")
		pads  = make([]byte, 50)
	)
	for _, tc := range []struct {
		title   string
		data    []byte
		arm     bool
		release string
		found   bool
	}{
		{"shared library", slices.Concat(noise, body(12040, 0x31, 0xc0, 0xc3), pads, name), false, "12.4", true},
		{"with a frame", slices.Concat(body(11080, 0x5d, 0xc3), name), false, "11.8", true},
		{"name before code", slices.Concat(name, pads, noise, body(9000, 0x31, 0xc0, 0xc3)), false, "9.0", true},
		{"the first counts", slices.Concat(body(11020, 0x31, 0xc0, 0xc3), body(12040, 0x31, 0xc0, 0xc3), name), false, "11.2", true},
		{"another function", slices.Concat(body(12040, 0x90, 0x90, 0xc3), name), false, "", true},
		{"no version", slices.Concat(body(12041, 0x31, 0xc0, 0xc3), name), false, "", true},
		{"no runtime", slices.Concat(body(12040, 0x31, 0xc0, 0xc3), pads), false, "", false},
		{"another machine", slices.Concat(body(12040, 0x31, 0xc0, 0xc3), name), true, "", true},
		{"nothing", nil, false, "", false},
	} {
		for _, n := range []int{1, 2, 5, 9, 10, 11, 1000} {
			f := cudart.Finder{X86: !tc.arm}
			for p := range slices.Chunk(tc.data, n) {
				_, _ = f.Write(p)
			}
			if release, found := f.Release(); release != tc.release || found != tc.found {
				t.Errorf("%s, in pieces of %d: %q, %v, want %q, %v", tc.title, n, release, found, tc.release, tc.found)
			}
		}
	}
}

// FuzzFinder asserts that the answer does not depend on the pieces.
func FuzzFinder(f *testing.F) {
	f.Add(slices.Concat([]byte("cudart.shm"), body(12040, 0x31, 0xc0, 0xc3)), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, n uint8) {
		whole, pieces := cudart.Finder{X86: true}, cudart.Finder{X86: true}
		_, _ = whole.Write(data)
		for p := range slices.Chunk(data, max(int(n), 1)) {
			_, _ = pieces.Write(p)
		}
		a, foundA := whole.Release()
		b, foundB := pieces.Release()
		if a != b || foundA != foundB {
			t.Fatalf("in one piece %q, %v, in pieces of %d %q, %v", a, foundA, n, b, foundB)
		}
	})
}
