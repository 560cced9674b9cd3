// SPDX-License-Identifier: Apache-2.0

package fatbin_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// header is the beginning of a container of so many bytes.
func header(body uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0}, body)
}

// claim is a container of one entry that claims payload bytes and has none.
func claim(kind uint16, sm uint32, payload int) []byte {
	c := container(code{Kind: kind, SM: sm})
	binary.LittleEndian.PutUint64(c[8:], uint64(64+payload))
	binary.LittleEndian.PutUint64(c[24:], uint64(payload))
	return c
}

// TestScannerDecoys puts what looks like a container, or like its beginning, just before
// one, so that it covers all or some of it.
func TestScannerDecoys(t *testing.T) {
	t.Parallel()
	const room = 160
	genuine := container(
		code{Kind: 2, SM: 80, Content: make([]byte, 9000)},
		code{Kind: 2, SM: 90, Content: cubin(90, true, 40_000), Head: 104},
		code{Kind: 1, SM: 75, ISA: [2]uint16{8, 4}, Content: ptxText("sm_75")},
	)
	want := []string{"elf sm_80", "elf sm_90a", "ptx 8.4 sm_75"}
	size := len(genuine)
	decoys := map[string][]byte{"magic": header(0)[:4], "half a header": header(0)[:8]}
	for _, body := range []int{0, 1, 8, 40, 63, 64, 65, 100, size, size + 16, size + room} {
		decoys[fmt.Sprint("header of ", body)] = header(uint64(body))
	}
	claims := map[string][]byte{
		"entry that is passed over": claim(8, 80, size+8), "entry that is held": claim(2, 90, size+8),
		"text": claim(1, 90, size+8), "entry that ends in it": claim(8, 80, 700),
	}
	maps.Copy(decoys, claims)
	for distance := 4; distance <= room-8; distance += 4 {
		for name, decoy := range decoys {
			data := slices.Concat(make([]byte, room), genuine, make([]byte, room))
			copy(data[room-distance:room], decoy)
			for _, n := range []int{1, 7, 64, len(data)} {
				found, _, s := scan(data, n)
				got := names(found)
				got = got[max(0, len(got)-len(want)):]
				// Only what has a whole header of an entry cannot be told from a container.
				covered := claims[name] != nil && distance%8 == 0 && distance >= 48
				if !slices.Equal(got, want) || (s.Malformed() > 0) != covered || !covered && len(found) > len(want) {
					t.Errorf("%s, %d bytes before, in pieces of %d: %v, %d malformed, want %v", name, distance, n, names(found), s.Malformed(), want)
				}
			}
		}
	}
}

// TestScannerWork: decoys upon decoys take no more than bytes do, whatever they cover.
func TestScannerWork(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for name, unit := range map[string][]byte{
		"magic": header(0)[:8], "headers": header(1 << 16), "claims": claim(2, 90, 1<<19), "claims of text": claim(1, 90, 1<<17), "empty": claim(8, 80, 0),
	} {
		data := slices.Concat(slices.Repeat(unit, size/len(unit)), make([]byte, size))
		_, _, s := scan(data, len(data))
		if most := 12 * len(data); s.Work() > most {
			t.Errorf("%s: %d bytes looked at for %d, want at most %d", name, s.Work(), len(data), most)
		}
	}
}
