// SPDX-License-Identifier: Apache-2.0

package fatbin_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/verify/internal/fatbin"
)

// scan writes data in pieces of n bytes and returns what was found, and what was
// reported to lie outside.
func scan(data []byte, n int) (found []fatbin.Entry, outside []byte, s *fatbin.Scanner) {
	s = fatbin.NewScanner(int64(len(data)), func(e fatbin.Entry) { found = append(found, e) })
	s.Outside = func(p []byte) { outside = append(outside, p...) }
	for p := range slices.Chunk(data, n) {
		_, _ = s.Write(p)
	}
	return found, outside, s
}

func names(entries []fatbin.Entry) []string {
	var list []string
	for _, e := range entries {
		s := e.String()
		if e.Empty {
			s += " empty"
		}
		list = append(list, s)
	}
	return list
}

func TestScanner(t *testing.T) {
	t.Parallel()
	const big = 100_000
	plain := []code{
		{Kind: 2, SM: 80, Content: make([]byte, 20_000)},
		{Kind: 2, SM: 90, Content: cubin(90, false, big), Head: 104},
		{Kind: 1, SM: 75, ISA: [2]uint16{8, 4}, Content: ptxText("sm_75")},
	}
	twice := slices.Concat(filler[:64], container(plain...), container(plain[2]), filler)
	for _, tc := range []struct {
		name string
		data []byte
		want []string
	}{
		{"plain", container(plain...), []string{"elf sm_80", "elf sm_90", "ptx 8.4 sm_75"}},
		{"among other bytes", pad(twice, 8, 1), []string{"elf sm_80", "elf sm_90", "ptx 8.4 sm_75", "ptx 8.4 sm_75"}},
		{"off the boundary", append(make([]byte, 4), container(plain...)...), nil},
		{"accelerated cubin", container(code{Kind: 2, SM: 90, Content: cubin(90, true, big)}), []string{"elf sm_90a"}},
		{"in LZ4", container(code{Kind: 2, SM: 90, Content: lz4ed(cubin(90, true, 300)), Flags: 0x2000, Raw: big}), []string{"elf sm_90a"}},
		{"PTX for one architecture", container(code{Kind: 1, SM: 90, ISA: [2]uint16{8, 0}, Content: ptxText("sm_90a")}), []string{"ptx 8.0 sm_90a"}},
		{"PTX for a family, in zstd", container(code{Kind: 1, SM: 100, ISA: [2]uint16{8, 8}, Content: zstded(t, ptxText("sm_100f")), Flags: 0x8000, Raw: 1000}), []string{"ptx 8.8 sm_100f"}},
		{"cubin of CUDA 13", container(code{Kind: 2, SM: 120, Content: zstded(t, cubin13("-arch sm_120f -m 64", big)), Flags: 0x8000, Raw: big}), []string{"elf sm_120f"}},
		{"hint of the entry", container(code{Kind: 2, SM: 121, Content: zstded(t, cubin13("", big)), Flags: 0x1108000, Raw: big}), []string{"elf sm_121a"}},
		{"no code in it", container(code{Kind: 2, SM: 52, Content: withSection(cubin(52, false, 200), 2, 64)}), []string{"elf sm_52 empty"}},
		{"small, with code", container(code{Kind: 2, SM: 52, Content: withSection(cubin(52, false, 200), 6, 64)}), []string{"elf sm_52"}},
		{"other kinds", container(code{Kind: 8, SM: 80}, code{Kind: 16, SM: 90}, code{Kind: 64, SM: 100}), []string{"other sm_80", "other sm_90", "other sm_100"}},
		{"no entries", container(), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{1, 3, 7, 64, 4096, 1 << 20} {
				found, outside, s := scan(tc.data, n)
				if diff := cmp.Diff(tc.want, names(found)); diff != "" {
					t.Fatalf("in pieces of %d (-want +got):\n%s", n, diff)
				}
				if s.Malformed() != 0 {
					t.Errorf("%d malformed containers", s.Malformed())
				}
				whole, _, _ := scan(tc.data, len(tc.data))
				if _, again, _ := scan(tc.data, len(tc.data)); !bytes.Equal(again, outside) || !cmp.Equal(whole, found) {
					t.Errorf("pieces of %d give other results than one piece", n)
				}
			}
		})
	}
}

// cubin13 is a cubin as CUDA 13 writes it, with the note of its command line.
func cubin13(note string, size int) []byte {
	out := make([]byte, size)
	copy(out, "\x7fELF\x02\x01\x01\x41\x08")
	binary.LittleEndian.PutUint16(out[18:], 190)
	binary.LittleEndian.PutUint32(out[48:], 0x06007802)
	copy(out[2000:], note)
	return out
}

func TestScannerRefuses(t *testing.T) {
	t.Parallel()
	good := container(code{Kind: 2, SM: 80, Content: make([]byte, 100)}, code{Kind: 2, SM: 86, Content: make([]byte, 100)})
	second := 16 + 64 + 104
	change := func(at int, b ...byte) []byte {
		data := slices.Clone(good)
		copy(data[at:], b)
		return data
	}
	for _, tc := range []struct {
		name      string
		data      []byte
		found     int
		malformed int
	}{
		{"good", good, 2, 0},
		{"another version", change(4, 2), 0, 0},
		{"larger than the file", change(8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 0, 0},
		{"first entry makes no sense", change(18, 9), 0, 0},
		{"second entry makes no sense", change(second+2, 9), 1, 1},
		{"second entry leaves the container", change(second+8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 1, 1},
		{"header leaves the container", change(second+4, 0xff, 0xff, 0xff, 0xff), 1, 1},
		{"header too short", change(second+4, 8, 0, 0, 0), 1, 1},
		{"no architecture", change(second+28, 0, 0, 0, 0), 1, 1},
		{"a good one follows", append(change(second+2, 9), good...), 3, 1},
		{"file ends early", good[:len(good)-150], 0, 0},
	} {
		found, _, s := scan(tc.data, len(tc.data))
		if len(found) != tc.found || s.Malformed() != tc.malformed {
			t.Errorf("%s: %d entries, %d malformed, want %d, %d", tc.name, len(found), s.Malformed(), tc.found, tc.malformed)
		}
	}
}

func TestCubin(t *testing.T) {
	t.Parallel()
	if e, ok := fatbin.Cubin(cubin(90, true, 100)); !ok || e.String() != "elf sm_90a" {
		t.Errorf("Cubin = %v, %v, want sm_90a", e, ok)
	}
	if e, ok := fatbin.Cubin(cubin13("", 3000)); !ok || e.String() != "elf sm_120" {
		t.Errorf("Cubin = %v, %v, want sm_120", e, ok)
	}
	if e, ok := fatbin.Cubin(make([]byte, 100)); ok {
		t.Errorf("Cubin of zeros = %v", e)
	}
}

// FuzzScanner asserts that what is found does not depend on the pieces, that no
// more is found than there is room for, and that what is outside is in the file.
func FuzzScanner(f *testing.F) {
	f.Add(container(code{Kind: 2, SM: 90, Content: cubin(90, true, 200)}, code{Kind: 1, SM: 100, ISA: [2]uint16{8, 8}, Content: zstded(f, ptxText("sm_100f")), Flags: 0x8000}), uint8(7))
	f.Add(slices.Concat(filler, container(code{Kind: 2, SM: 52, Content: lz4ed(cubin(52, false, 300)), Flags: 0x2000, Raw: 300})), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, n uint8) {
		found, outside, s := scan(data, max(len(data), 1))
		pieces, outsideToo, _ := scan(data, max(int(n), 1))
		if !cmp.Equal(found, pieces) || !bytes.Equal(outside, outsideToo) {
			t.Fatalf("in one piece %v, in pieces of %d %v", found, n, pieces)
		}
		if len(found) > len(data)/64 || s.Malformed() > len(data)/64 || len(outside) > len(data) {
			t.Fatalf("%d entries, %d malformed, %d bytes outside of %d", len(found), s.Malformed(), len(outside), len(data))
		}
		for _, e := range found {
			if (e.ISA != "") != (e.Kind == fatbin.PTX) || e.SM < 10 || e.SM > 999 {
				t.Fatalf("entry %+v", e)
			}
		}
	})
}
