// SPDX-License-Identifier: Apache-2.0

package fatbin_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

type code = imagetest.DeviceCode

var (
	container = imagetest.Fatbin
	cubin     = imagetest.Cubin
	ptxText   = imagetest.PTXText
)

// withSection appends a section header table of one section.
func withSection(elf []byte, flags, size uint64) []byte {
	le := binary.LittleEndian
	le.PutUint64(elf[40:], uint64(len(elf)))
	le.PutUint16(elf[58:], 64)
	le.PutUint16(elf[60:], 1)
	section := make([]byte, 64)
	le.PutUint64(section[8:], flags)
	le.PutUint64(section[32:], size)
	return append(elf, section...)
}

func zstded(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// lz4ed stores data as one run of literals, which is a valid block.
func lz4ed(data []byte) []byte {
	out := []byte{0xf0}
	n := len(data) - 15
	for ; n >= 255; n -= 255 {
		out = append(out, 255)
	}
	return append(append(out, byte(n)), data...)
}

// pad aligns what follows to n bytes, or off by some.
func pad(data []byte, n, by int) []byte {
	for len(data)%n != by {
		data = append(data, 0xcc)
	}
	return data
}

var filler = bytes.Repeat([]byte{0x50, 0xed, 0x55, 0, 1}, 100)
