// SPDX-License-Identifier: Apache-2.0

package dynelf_test

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
)

func TestMovable(t *testing.T) {
	t.Parallel()
	data := imagetest.ELF{SOName: "x", Exec: 1 << 20, TablesLast: true}.Bytes()
	ranges, ok := dynelf.Movable(dynelf.Whole(data))
	if !ok || len(ranges) == 0 {
		t.Fatalf("Movable = %v, %t", ranges, ok)
	}
	last := ranges[len(ranges)-1]
	if last.Off+last.N > uint64(len(data)) || last.Off < 1<<20 {
		t.Errorf("Movable = %v, want the last segment of %d bytes", ranges, len(data))
	}
	// Program headers that lie in what is not held.
	far := append([]byte(nil), data...)
	binary.LittleEndian.PutUint64(far[32:], 1<<19)
	if ranges, ok := dynelf.Movable(dynelf.File{Size: uint64(len(far)), Parts: []dynelf.Part{{Data: far[:1<<10]}}}); ok {
		t.Errorf("without headers: %v", ranges)
	}
	// What no dynamic linker loads, and what has no segments.
	none := append([]byte(nil), data...)
	for n := range 4 {
		if h := none[64+56*n:]; h[0] == 1 {
			h[0] = 0
		}
	}
	for name, file := range map[string][]byte{"text": []byte("text"), "no segments": none} {
		if ranges, ok := dynelf.Movable(dynelf.Whole(file)); !ok || !cmp.Equal([]dynelf.Range(nil), ranges) {
			t.Errorf("%s: %v, %t", name, ranges, ok)
		}
	}
}
