// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os/exec"
	"slices"
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
				"noise, library":        {streams(imagetest.Files(entries{"a": {Data: noise(3000)}}), tarball), lib},
				"noise, library, text":  {streams([]byte(noise(3000)), realCUDA, text), unreadable},
				"texts":                 {streams(text, text), nil},
				"text, tar":             {streams(text, tarball), unreadable},
				"text, text, library":   {streams(text, text, realCUDA), unreadable},
				"nothing, library":      {streams(nil, realCUDA), []string{"driver-library x"}},
				"much of nothing first": {slices.Concat(bytes.Repeat(streams(nil), 150), streams(realCUDA)), []string{"driver-library x"}},
				"much of nothing":       {slices.Concat(streams(tarball[:512]), bytes.Repeat(streams(nil), 150), streams(tarball[512:])), lib},
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

// noise is text that nothing compresses much.
func noise(n int) string {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	return hex.EncodeToString(data)
}

// TestModuleBehindNothing has modules, which are decoded in any case, behind streams of nothing: as many
// as a reader of Go's library waits for something in.
func TestModuleBehindNothing(t *testing.T) {
	t.Parallel()
	skippable := []byte("\x50\x2a\x4d\x18\x01\x00\x00\x00x")
	for name, data := range map[string][]byte{
		"lib/x.ko.gz":  slices.Concat(bytes.Repeat(imagetest.Encode(imagetest.Gzip, nil), 150), imagetest.Encode(imagetest.Gzip, smallModule())),
		"lib/x.ko.zst": slices.Concat(bytes.Repeat(skippable, 150), imagetest.Encode(imagetest.Zstd, smallModule())),
		"lib/x.ko.xz":  slices.Concat(bytes.Repeat(filter(t, nil, "xz"), 150), xzModule()),
	} {
		wantOf(t, false, name, data, []string{"kernel-module " + name})
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
