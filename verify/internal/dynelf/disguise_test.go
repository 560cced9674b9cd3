// SPDX-License-Identifier: Apache-2.0

package dynelf_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
)

// segmentOf writes the program header i as a PT_LOAD.
func segmentOf(data []byte, i int, off, addr, n, align uint64) {
	h := data[64+56*i:]
	binary.LittleEndian.PutUint32(h, 1)
	for at, value := range map[int]uint64{8: off, 16: addr, 32: n, 40: n, 48: align} {
		binary.LittleEndian.PutUint64(h[at:], value)
	}
}

// TestDisguises holds that what the dynamic linker makes of a file is found or refused,
// however its program headers and symbols are written. The file has tables of several
// pages at 0x10000 + offset; its second and last program headers are free.
func TestDisguises(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("x%d", i))
	}
	file := func() []byte {
		return imagetest.ELF{SOName: "x", Exports: append(names, "cuInit")}.Bytes()
	}
	size := uint64(len(file()))
	const first, base, page = 64 + 4*56, 0x10000, 0x1000
	for name, tc := range map[string]struct {
		change func(data []byte)
		want   error
	}{
		"as it is": {func([]byte) {}, nil},
		"tables cross segments": {func(data []byte) {
			segmentOf(data, 0, first, base+first, 2*page-first, page)
			segmentOf(data, 1, 2*page, base+2*page, size-2*page, page)
		}, nil},
		"tables go on elsewhere in the file": {func(data []byte) {
			segmentOf(data, 0, first, base+first, 2*page-first, page)
			segmentOf(data, 1, page, base+2*page, page, page)
			segmentOf(data, 3, 3*page, base+3*page, size-3*page, page)
		}, dynelf.ErrMalformed},
		"dynamic section on the page of an empty segment": {func(data []byte) {
			last := size / page * page
			segmentOf(data, 0, first, base+first, last-first, page)
			segmentOf(data, 1, last+page-1, base+last+page-1, 0, page)
		}, dynelf.ErrMalformed},
		"an empty segment covers the dynamic section": {func(data []byte) {
			segmentOf(data, 1, page-1, base+size/page*page+page-1, 0, page)
		}, dynelf.ErrMalformed},
		"an empty segment on its own page": {func(data []byte) {
			segmentOf(data, 1, size, base+size, 0, page)
		}, nil},
		"undefined symbols with a value": {func(data []byte) {
			for at := first + 24; at < first+24*1002; at += 24 {
				binary.LittleEndian.PutUint16(data[at+6:], 0)
				binary.LittleEndian.PutUint64(data[at+8:], base)
			}
		}, nil},
	} {
		data := file()
		tc.change(data)
		got, err := dynelf.Read(dynelf.Whole(data), wanted)
		if !errors.Is(err, tc.want) || tc.want == nil && !got.Found["cuInit"] {
			t.Errorf("%s: found %v, error %v, want %v", name, got.Found, err, tc.want)
		}
	}
}
