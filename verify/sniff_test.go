// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// tarStarting is an archive with a driver library of which the first member has this
// name, with the magic of a format or without.
func tarStarting(name, format string) []byte {
	data := imagetest.Files(entries{"a": {Data: "x"}})
	lib := imagetest.Files(entries{"opt/helper.bin": imagetest.File(realCUDA)})
	data = append(data[:1024:1024], lib...)
	clear(data[:100])
	copy(data, name)
	for h := data; h[0] != 0; h = h[1024:] { // both headers; the first has one block of content
		if format == "v7" {
			clear(h[257:512])
		}
		sign(h)
		if h[0] == 'o' {
			break
		}
	}
	return data
}

// sign writes the checksum of a tar header.
func sign(h []byte) {
	copy(h[148:156], "        ")
	sum := 0
	for _, b := range h[:512] {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00", sum))
}

// ustarZip is a zip of which the first name puts the magic of tar where tar has it.
func ustarZip(files map[string][]byte) []byte {
	first := zipFile(false, map[string][]byte{strings.Repeat("n", 257-30) + "ustar": []byte("x")})
	return concatZips(first, zipFile(false, files))
}

// concatZips is two zip files as one: the files of both, the directory of the second.
func concatZips(a, b []byte) []byte {
	return append(bytes.Clone(a[:bytes.Index(a, []byte("PK\x01\x02"))]), b...)
}

// methodZip is one file, stored, under a name that another method of compression gives it.
func methodZip(name string, data []byte, method byte) []byte {
	out := zipFile(false, map[string][]byte{name: data})
	out[8] = method
	out[bytes.Index(out, []byte("PK\x01\x02"))+10] = method
	return out
}

// badPAX is an extended header of a tar that makes no sense, which ends in the middle of a block.
func badPAX() []byte {
	h := make([]byte, 1024)
	copy(h, "x")
	copy(h[100:], "0000644\x000000000\x000000000\x0000000000003\x0000000000000\x00")
	h[156] = 'x'
	copy(h[257:], "ustar\x0000")
	copy(h[512:], "bad")
	sign(h)
	return h
}

func cpioFile(name string, data []byte) []byte {
	entry := func(name string, mode int, data []byte) (out []byte) {
		out = fmt.Appendf(nil, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
		out = append(append(out, make([]byte, -len(out)&3)...), data...)
		return append(out, make([]byte, -len(out)&3)...)
	}
	return append(entry(name, 0o100755, data), entry("TRAILER!!!", 0, nil)...)
}

// tarELF is an ELF file, by its first 16 bytes, with the checksum of a tar header.
func tarELF() []byte {
	data := slices.Concat(realCUDA[:16:16], make([]byte, 496), realCUDA[512:])
	sign(data)
	return data
}

// TestDisguisedArchives holds archives that look like something else, and the reverse.
func TestDisguisedArchives(t *testing.T) {
	t.Parallel()
	const lib, named, helper = "driver-library x!/opt/helper.bin", "driver-library x!/lib/libcuda.so.1", "driver-library x!/helper.bin"
	wheel := zipFile(true, map[string][]byte{"lib/libcuda.so.1": realCUDA})
	plain := zipFile(true, map[string][]byte{"helper.bin": realCUDA})
	sh := []byte("#!/bin/sh\nexec true\n")
	python := []byte("#!/usr/bin/env python3\n")
	elf := imagetest.ELF{SOName: "x", Exec: 1000}.Bytes()
	png := []byte("\x89PNG\r\n\x1a\n")
	tarball := imagetest.Files(entries{"opt/helper.bin": imagetest.File(realCUDA)})
	gz := imagetest.Encode(imagetest.Gzip, tarball)
	text := imagetest.Files(entries{"a": {Data: "x"}})
	far := make([]byte, 70_000)
	skippable := binary.LittleEndian.AppendUint32([]byte("\x53\x2a\x4d\x18"), 4)
	for _, tc := range []struct {
		name   string
		data   []byte
		listed []string
		nested []string
	}{
		{"tar that starts as a script", tarStarting("#!x", ""), []string{lib}, []string{lib}},
		{"tar that starts as an ELF file", tarStarting("\x7fELF", ""), []string{lib}, []string{lib}},
		{"tar that starts as a zip", tarStarting("PK\x03\x04", ""), []string{lib}, []string{lib}},
		{"tar that starts as gzip", tarStarting("\x1f\x8b\x08", ""), []string{lib}, []string{lib}},
		{"tar of 1979", tarStarting("x", "v7"), []string{lib}, []string{lib}},
		{"tar and ELF file", tarELF(), []string{"unreadable x"}, []string{"unreadable x"}},
		{"ELF file with the magic of tar", append(realCUDA[:257:257], append([]byte("ustar"), realCUDA[262:]...)...), []string{"driver-library x"}, []string{"driver-library x"}},
		{"wheel with the magic of tar", ustarZip(map[string][]byte{"lib/libcuda.so.1": realCUDA}), []string{named}, []string{named}},
		{"pex", slices.Concat(python, wheel), []string{named}, []string{named}},
		{"pex, other names", slices.Concat(python, plain), nil, []string{helper}},
		{"jar behind a script", slices.Concat(sh, bytes.Repeat([]byte("# long\n"), 2000), wheel), []string{named}, []string{named}},
		{"zip that was to be split", slices.Concat([]byte("PK00"), wheel), []string{named}, []string{named}},
		{"module of a JDK", slices.Concat([]byte("JM\x01\x00"), wheel), []string{named}, []string{named}},
		{"zip with a comment", append(wheel[:len(wheel)-2:len(wheel)-2], "\x05\x00hello"...), []string{named}, []string{named}},
		{"zip with junk behind", append(bytes.Clone(wheel), "junk"...), []string{named}, []string{named}},
		{"zip behind a zip", slices.Concat(zipFile(true, map[string][]byte{"a": {1}}), plain), nil, []string{helper}},
		{"zip of another system", zipFile(true, map[string][]byte{`lib\libcuda.so.1`: realCUDA}), []string{named}, []string{named}},
		{"zip behind a program", slices.Concat(elf, wheel), []string{named}, []string{"unreadable x", named}},
		{"zip behind a picture", slices.Concat(png, wheel), []string{named}, []string{"unreadable x", named}},
		{"zip between pictures", slices.Concat(png, wheel, png), []string{named}, []string{"unreadable x", named}},
		{"zip that no reader finds in a picture", slices.Concat(png, wheel, far), nil, nil},
		{"zip with much junk behind", slices.Concat(wheel, far, far), nil, []string{"unreadable x"}},
		{"pex with much junk behind", slices.Concat(python, wheel, far), nil, []string{"unreadable x"}},
		{"zip with an entry that is not decoded", methodZip("lib/libcuda.so.1", realCUDA, 93), []string{named}, []string{"unreadable x", named}},
		{"zip behind a program, gzipped", imagetest.Encode(imagetest.Gzip, slices.Concat(elf, wheel)), nil, []string{"unreadable x", named}},
		{"tar behind a tar", slices.Concat(text, tarball), []string{lib}, []string{lib}},
		{"tar behind a single block of zeros", slices.Concat(text[:1024], make([]byte, 512), text[:1024], tarball), []string{lib}, []string{"unreadable x", lib}},
		{"tar behind junk", slices.Concat(text[:1024], bytes.Repeat([]byte("junk"), 200), make([]byte, 224), tarball), []string{lib}, []string{"unreadable x", lib}},
		{"tar with junk behind", slices.Concat(text, []byte("junk")), nil, []string{"unreadable x"}},
		{"tar with a broken extension in front", slices.Concat(badPAX(), tarball), []string{lib}, []string{"unreadable x", lib}},
		{"cut off zip", wheel[:len(wheel)-30], nil, []string{"unreadable x"}},
		{"start of a zip", []byte("PK\x03\x04"), nil, []string{"unreadable x"}},
		{"zip of a zip, gzipped", imagetest.Encode(imagetest.Gzip, wheel), nil, []string{named}},
		{"installer that unpacks itself", slices.Concat(sh, gz), nil, []string{lib}},
		{"script with a word like bzip2's", slices.Concat(sh, []byte("BZhang was here\n")), nil, nil},
		{"zstd that starts with another frame", slices.Concat(skippable, []byte("size"), imagetest.Encode(imagetest.Zstd, tarball)), nil, []string{lib}},
		{"cpio", cpioFile("helper.bin", realCUDA), nil, []string{helper}},
		{"cpio.gz", imagetest.Encode(imagetest.Gzip, cpioFile("helper.bin", realCUDA)), nil, []string{helper}},
		{"cpio with something behind", append(cpioFile("a", []byte("x")), gz...), nil, []string{"unreadable x"}},
		{"text like cpio", []byte(strings.Repeat("0707010 ", 30)), nil, nil},
		{"cpio with another behind", slices.Concat(cpioFile("a", nil), cpioFile("helper.bin", realCUDA)), nil, []string{"unreadable x"}},
		{"lzma", []byte("\x5d\x00\x00\x80\x00" + strings.Repeat("\xff", 8) + "\x00\x37\x9c\x0a"), nil, []string{"unreadable x"}},
		{"lzma -lc0 -lp2, 3 MiB", []byte("\x6c\x00\x00\x30\x00" + strings.Repeat("\xff", 8) + "\x00\x37\x9c\x0a"), nil, []string{"unreadable x"}},
		{"lzma of a known size", []byte("\x5d\x00\x00\x80\x00\x00\xf0\x37\x00\x00\x00\x00\x00\x00\x37\x9c\x0a"), nil, []string{"unreadable x"}},
		{"picture like lzma", []byte("\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00\x01\x00\x20\x00\x68\x04\x00"), nil, nil},
		{"7z", []byte("7z\xbc\xaf\x27\x1cdata"), nil, []string{"unreadable x"}},
		{"rar", []byte("Rar!\x1a\x07\x01\x00data"), nil, []string{"unreadable x"}},
		{"squashfs", []byte("hsqsdata"), nil, []string{"unreadable x"}},
		{"lz4", []byte("\x04\x22\x4d\x18data"), nil, []string{"unreadable x"}},
		{"lz4 -l", []byte("\x02\x21\x4c\x18data"), nil, []string{"unreadable x"}},
		{"lz4 behind a frame to skip", slices.Concat(skippable, []byte("size\x04\x22\x4d\x18data")), nil, []string{"unreadable x"}},
		{"lzip", []byte("LZIP\x01data"), nil, []string{"unreadable x"}},
		{"text like bzip2", []byte("BZh is the magic of bzip2\n"), nil, nil},
		{"gzip with zeros behind", append(bytes.Clone(gz), far...), nil, []string{lib}},
		{"gzip with zeros and gzip behind", slices.Concat(imagetest.Encode(imagetest.Gzip, text), make([]byte, 9), gz), nil, []string{lib}},
		{"gzip with zeros and junk behind", slices.Concat(gz, make([]byte, 9), []byte("junk")), nil, []string{"unreadable x", lib}},
		{"static library", []byte("!<arch>\nx.o/            0           0     0     644     1         `\nx\n"), nil, nil},
		{"hidden name in a tar", imagetest.Files(entries{"opt/.wh.x": imagetest.File(realCUDA)}), []string{"driver-library x!/opt/.wh.x"}, []string{"driver-library x!/opt/.wh.x"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			wantOf(t, false, "x", tc.data, tc.listed)
			wantOf(t, true, "x", tc.data, tc.nested)
		})
	}
}

// TestBigZipDirectory has a directory that is longer than what is held: in a zip file it is
// not, so that its names are read; behind other content its names stay unknown, which is no pass.
func TestBigZipDirectory(t *testing.T) {
	t.Parallel()
	data := manyNames(5000)
	const named = "driver-library x!/lib/libcuda.so.1"
	wantOf(t, false, "x", data, []string{named})
	wantOf(t, false, "x", slices.Concat([]byte("#!/bin/sh\n"), data), []string{named})
	wantOf(t, false, "x", slices.Concat([]byte("JM\x01\x00"), data), []string{named})
	wantOf(t, false, "x", slices.Concat([]byte("\x89PNG"), data), []string{"unreadable x"})
	wantOf(t, false, "x", manyNames(1<<16), []string{named}) // which takes 64-bit fields
}

func manyNames(n int) []byte {
	files := map[string][]byte{"lib/libcuda.so.1": {1}}
	for i := range n {
		files[fmt.Sprintf("%060d", i)] = nil
	}
	return zipFile(false, files)
}
