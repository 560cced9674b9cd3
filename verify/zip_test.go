// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// changed is data with other bytes at an offset.
func changed(data []byte, at int, other string) []byte {
	data = bytes.Clone(data)
	copy(data[at:], other)
	return data
}

// TestZipDirectoryDisagrees has zip files of which the directory and the headers in front of
// the files do not say the same: what counts is what readers go by, the directory.
func TestZipDirectoryDisagrees(t *testing.T) {
	t.Parallel()
	unreadable, lib := []string{"unreadable x"}, []string{"driver-library x!/helper.bin"}
	stored := zipFile(false, map[string][]byte{"helper.bin": realCUDA})
	deflated := zipFile(true, map[string][]byte{"helper.bin": realCUDA})
	dir := bytes.LastIndex(stored, []byte("PK\x01\x02"))
	// Bytes that deflate leaves over, in which the next file and all of the directory are.
	rest := changed(deflated, 6, "\x00\x00")
	dirAt := bytes.LastIndex(deflated, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(rest[18:], uint32(len(rest)-40))
	binary.LittleEndian.PutUint32(rest[22:], uint32(len(realCUDA)))
	for _, tc := range []struct {
		name string
		data []byte
		want []string
	}{
		{"they agree", stored, lib},
		{"they agree, streamed", deflated, lib},
		{"with a later end", slices.Concat(stored, []byte("\x05\x00")), lib},
		{"no size in front", changed(stored, 18, string(make([]byte, 8))), lib},
		{"no size in the directory", changed(stored, dir+20, string(make([]byte, 8))), nil},
		{"stored in front", changed(deflated, 6, "\x00\x00\x00\x00"), lib},
		{"stored in the directory", changed(deflated, dirAt+10, "\x00"), unreadable},
		{"other size of a streamed file", changed(deflated, dirAt+24, "\x01\x00\x00\x00"), unreadable},
		{"other name", changed(stored, dir+46, "H"), []string{"driver-library x!/Helper.bin"}},
		{"other place", changed(stored, dir+42, "\x07"), unreadable},
		{"all in the rest of a file", rest, lib},
		{"shorter than the file", changed(stored, 22, "\x10\x00\x00\x00"), lib},
		{"end that tells of less", changed(stored, len(stored)-22+12, "\x01"), lib},
		{"end behind the end", slices.Concat(stored, stored[len(stored)-22:]), lib},
		{"end in the comment of a record", slices.Concat(stored, changed(stored[dir:dir+46], 28, "\x00\x00\x00\x00\x16\x00"), stored[len(stored)-22:]), lib},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			wantOf(t, true, "x", tc.data, tc.want)
		})
	}
}

// TestZipsAgree reads zip files in which nothing is wrong.
func TestZipsAgree(t *testing.T) {
	t.Parallel()
	wantOf(t, true, "x", manyNames(1<<16), []string{"driver-library x!/lib/libcuda.so.1"}) // which takes 64-bit fields
	many := map[string][]byte{"dir/": nil, "empty": nil, "a.txt": bytes.Repeat([]byte("text "), 1000)}
	var empty bytes.Buffer
	_ = zip.NewWriter(&empty).Close()
	shell := []byte("#!/bin/sh\nexec true\n")
	for name, data := range map[string][]byte{
		"stored": zipFile(false, many), "streamed": zipFile(true, many),
		"behind a script":  slices.Concat(shell, zipFile(true, many)),
		"in a zip":         zipFile(false, map[string][]byte{"x.zip": zipFile(true, many)}),
		"in gzip":          imagetest.Encode(imagetest.Gzip, zipFile(true, many)),
		"and an empty one": slices.Concat(zipFile(true, many), empty.Bytes()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantOf(t, true, "x", data, nil)
		})
	}
}
