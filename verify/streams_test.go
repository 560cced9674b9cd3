// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/require"
)

// TestStreams has compressed files of several streams, in every format. What is behind
// the first one of a tar is part of it; what is behind something else must not hide there.
func TestStreams(t *testing.T) {
	t.Parallel()
	lib, unreadable := []string{"driver-library x!/opt/helper.bin"}, []string{"unreadable x"}
	tarball := imagetest.Files(entries{"opt/helper.bin": imagetest.File(realCUDA)})
	text := []byte("nothing to see here\n")
	elf := imagetest.ELF{SOName: "x", Exec: 1000}.Bytes()
	for format, encode := range map[string]func(*testing.T, []byte) []byte{
		"gzip":  func(_ *testing.T, b []byte) []byte { return imagetest.Encode(imagetest.Gzip, b) },
		"zstd":  func(_ *testing.T, b []byte) []byte { return imagetest.Encode(imagetest.Zstd, b) },
		"xz":    func(t *testing.T, b []byte) []byte { return filter(t, b, "xz") },
		"bzip2": func(t *testing.T, b []byte) []byte { return filter(t, b, "bzip2") },
	} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			streams := func(parts ...[]byte) (out []byte) {
				for _, p := range parts {
					out = append(out, encode(t, p)...)
				}
				return out
			}
			for name, tc := range map[string]struct {
				data []byte
				want []string
			}{
				"one":                   {streams(tarball), lib},
				"pieces of a tar":       {streams(tarball[:700], tarball[700:1024], nil, tarball[1024:]), lib},
				"headers, then library": {streams(tarball[:512], tarball[512:]), lib},
				"two tars":              {streams(imagetest.Files(entries{"a": {Data: "x"}}), tarball), lib},
				"texts":                 {streams(text, text), nil},
				"text, tar":             {streams(text, tarball), unreadable},
				"text, text, library":   {streams(text, text, realCUDA), unreadable},
				"nothing, library":      {streams(nil, realCUDA), []string{"driver-library x"}},
				"program, library":      {streams(elf, realCUDA), unreadable},
				"text, package":         {streams(text, debFile("", nil)), unreadable},
				"text, junk":            {append(streams(text), "junk"...), unreadable},
				"tar, junk":             {append(streams(tarball), "junk"...), append(unreadable, lib...)},
				"damaged":               {damaged(streams(text)), unreadable},
				"second damaged":        {damaged(streams(text, text)), unreadable},
				"cut off":               {streams(text, text)[:len(streams(text))+8], unreadable},
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					wantOf(t, true, "x", tc.data, tc.want)
				})
			}
		})
	}
}

// damaged is data with another byte where all formats have what is checked.
func damaged(data []byte) []byte {
	data[len(data)-3] ^= 1
	return data
}

// filter has a program of the machine turn data into what it writes.
func filter(t *testing.T, data []byte, name string, args ...string) []byte {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		require.Missing(t, name, err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}
