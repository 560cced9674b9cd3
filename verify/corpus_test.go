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

// corpus has files for every parser there is.
func corpus(t *testing.T) entries {
	t.Helper()
	all := entries{}
	for _, part := range []entries{elves(), recordFiles(t), packages(t), compressedFiles(t), zips(), scripts(), odds()} {
		for name, e := range part {
			all[name] = e
		}
	}
	return all
}

const closedModule = "\x00license=NVIDIA\x00supported=external\x00version=550.54.15\x00"

// smallModule is a kernel module of 1 KiB.
func smallModule() []byte {
	data := make([]byte, 1024)
	copy(data, objectFile()[:64])
	copy(data[500:], closedModule)
	return data
}

// elves are ELF files, and what else holds device code.
func elves() entries {
	last := imagetest.ELF{SOName: "last.so", Exports: bigCUDA.Exports, Exec: 300 << 10, TablesLast: true, Sections: true, GNUHash: true}
	return entries{
		"usr/lib/libcuda.so.550.54.15":      imagetest.File(realCUDA),
		"usr/lib/last.so":                   imagetest.File(last.Bytes()),
		"usr/local/cuda/stubs/libcuda.so":   imagetest.File(stubCUDA),
		"usr/lib/broken.so":                 imagetest.File(brokenELF),
		"usr/lib/libcudart.so.12.4.127":     gpuFile("libcudart.so.12", 12040),
		"usr/lib/libcublas.so.12":           gpuFile("libcublas.so.12", 11080, all124, imagetest.Fatbin(imagetest.PTX(8, 7, 100))),
		"usr/share/kernels.fatbin":          imagetest.File(all124),
		"usr/share/kernel.cubin":            imagetest.File(imagetest.Cubin(90, true, 5000)),
		"usr/share/module":                  imagetest.File(append(objectFile()[:1<<20-20], closedModule...)), // across windows
		"usr/share/both":                    imagetest.File(tarELF()),
		"usr/bin/app":                       imagetest.File(imagetest.ELF{Interp: "/lib64/ld-linux-x86-64.so.2", Needed: []string{"libcuda.so.1"}, RunPath: "$ORIGIN/../lib"}.Bytes()),
		"usr/local/cuda-12.4/compat/x.so":   imagetest.File(imagetest.ELF{SOName: "libcuda.so.1", Exec: 300 << 10, Note: `{"Driver": ["535"]}`}.Bytes()),
		"usr/lib/firmware/nvidia/x/gsp.bin": imagetest.File(objectFile("\x01535.261.03\x00", ".fwimage\x00.fwversion\x00.fwsignature_ga10x\x00")),
	}
}

// recordFiles are those of package managers and of the linker.
func recordFiles(t *testing.T) entries {
	t.Helper()
	status := "Package: other\nStatus: install ok installed\nVersion: 1\n\nPackage: libcuda1\nStatus: install ok installed\nVersion: 550.54.15-1\n"
	return entries{
		"var/lib/dpkg/status":               {Data: status},
		"var/lib/dpkg/status.d/libcuda1":    {Data: "Package: libcuda1\nVersion: 550"},
		"var/lib/dpkg/info/libcuda1.list":   {Data: "/.\n/usr/lib/libcuda.so.550.54.15\n"},
		"lib/apk/db/installed":              {Data: "P:musl\nV:1\n\nP:nvidia-utils\nV:550.54.15-r0\nF:usr/bin\nR:nvidia-smi\n"},
		"opt/conda/conda-meta/cuda.json":    {Data: `{"name":"cuda-drivers","version":"550","files":["lib/libcuda.so.1"]}`},
		"opt/conda/conda-meta/history.json": {Data: `{`},
		"opt/py/evil-2.dist-info/RECORD":    {Data: "evil.libs/libcuda-1a2b3c4d.so.1,sha256=x,1\nlast.so,,"},
		"var/lib/rpm/rpmdb.sqlite":          imagetest.File(fixture(t, "small.sqlite")),
		"var/lib/rpm/Packages":              imagetest.File(fixture(t, "Packages")),
		"usr/lib/sysimage/rpm/Packages.db":  imagetest.File(ndb(rpmHeader("nvidia-driver", "550", "/usr/bin/nvidia-smi"))),
		"etc/ld.so.cache":                   imagetest.File(append([]byte("ld.so-1.7.0\x00\x00\x00\x00\x00"), linkerCache("libcuda.so.1", "/usr/lib/libcuda.so.1")...)),
		"etc/ld.so.conf":                    {Data: "include ld.so.conf.d/*.conf\n"},
		"etc/ld.so.conf.d/stubs.conf":       {Data: "/usr/local/cuda/stubs"},
		"etc/ld-musl-x86_64.path":           {Data: "/lib:/opt/lib"},
	}
}

// ndb is a database of rpm, as SUSE has it, of one package.
func ndb(header []byte) []byte {
	le := binary.LittleEndian
	out := make([]byte, 4096)
	copy(out, "RpmP")
	le.PutUint32(out[12:], 1)
	for at := 32; at < len(out); at += 16 {
		copy(out[at:], "Slot")
	}
	le.PutUint32(out[36:], 1)
	le.PutUint32(out[40:], 4096/16)
	out = append(out, "BlbS"...)
	for _, n := range []uint32{1, 0, uint32(len(header))} {
		out = le.AppendUint32(out, n)
	}
	return append(out, header...)
}

// packages are those of Debian and RPM.
func packages(t *testing.T) entries {
	t.Helper()
	const control = "Package: libcuda1\nVersion: 550.54.15-1\n"
	files := imagetest.Files(entries{"./usr/lib/helper.bin": imagetest.File(realCUDA)})
	controlTar := imagetest.Files(entries{"./control": {Data: control}})
	return entries{
		"p/x.deb":     imagetest.File(debFile(control, entries{"./usr/lib/helper.bin": imagetest.File(realCUDA)})),
		"p/xz.deb":    imagetest.File(arFile("debian-binary", []byte("2.0\n"), "control.tar.xz", filter(t, controlTar, "xz"), "data.tar.xz", filter(t, files, "xz"))),
		"p/bzip2.deb": imagetest.File(arFile("control.tar", controlTar, "data.tar.bz2", filter(t, files, "bzip2"))),
		"p/x.rpm":     imagetest.File(rpmFile("nvidia-driver-cuda", map[string][]byte{"usr/lib/libnvidia-ml.so.1": realCUDA})),
		"p/x.cpio":    imagetest.File(cpioFile("usr/lib/libcuda.so.1", realCUDA)),
	}
}

// compressedFiles are of one stream and of several.
func compressedFiles(t *testing.T) entries {
	t.Helper()
	tarball := imagetest.Files(entries{"a/helper.bin": imagetest.File(realCUDA), "b/x.txt": {Data: "x"}})
	gz := func(b []byte) []byte { return imagetest.Encode(imagetest.Gzip, b) }
	zst := func(b []byte) []byte { return imagetest.Encode(imagetest.Zstd, b) }
	skippable := append(binary.LittleEndian.AppendUint32([]byte("\x53\x2a\x4d\x18"), 4), "skip"...)
	return entries{
		"lib/modules/a.ko.gz":  imagetest.File(gz(smallModule())),
		"lib/modules/b.ko.xz":  imagetest.File(xzModule()),
		"lib/modules/c.ko.zst": imagetest.File(zst(smallModule())),
		"lib/modules/d.ko.gz":  imagetest.File(slices.Concat(bytes.Repeat(gz(nil), 150), gz(smallModule()))),
		"lib/modules/e.ko.zst": imagetest.File(slices.Concat(bytes.Repeat(skippable, 150), zst(smallModule()))),
		"c/helper.gz":          imagetest.File(gz(realCUDA)),
		"c/x.tar":              imagetest.File(tarball),
		"c/two.tar":            imagetest.File(slices.Concat(imagetest.Files(entries{"a": {Data: "x"}}), tarball)),
		"c/x.tar.gz":           imagetest.File(slices.Concat(gz(tarball[:700]), gz(nil), gz(tarball[700:]), make([]byte, 600))),
		"c/x.tar.xz":           imagetest.File(slices.Concat(filter(t, tarball[:700], "xz"), filter(t, tarball[700:], "xz"))),
		"c/x.tar.bz2":          imagetest.File(slices.Concat(filter(t, tarball[:700], "bzip2"), filter(t, tarball[700:], "bzip2"))),
		"c/x.tar.zst":          imagetest.File(slices.Concat(skippable, zst(tarball[:700]), skippable, zst(tarball[700:]))),
		"c/in.tar.zst":         imagetest.File(zst(imagetest.Files(entries{"y.tar.gz": imagetest.File(gz(tarball))}))),
		"c/texts.gz":           imagetest.File(slices.Concat(gz([]byte("text\n")), gz(realCUDA))),
		"c/zip.gz":             imagetest.File(gz(slices.Concat([]byte("GIF89a"), make([]byte, 5000), zipFile(false, manyFiles(9000))))), // more than is held of its end
	}
}

// manyFiles makes a zip's directory long.
func manyFiles(n int) map[string][]byte {
	files := map[string][]byte{"lib/libcuda.so.1": []byte("x")}
	for i := range n {
		files[fmt.Sprintf("%05d", i)] = nil
	}
	return files
}

func zips() entries {
	helper := map[string][]byte{"x/helper.bin": realCUDA, "x.libs/libcuda-1a2b3c4d.so.1": []byte("x"), "y.tar.gz": imagetest.Encode(imagetest.Gzip, fuzzArchive)}
	return entries{
		"z/x.whl":      imagetest.File(zipFile(true, helper)),
		"z/x.jar":      imagetest.File(zipFile(false, helper)),
		"z/behind.gif": imagetest.File(append([]byte("GIF89a"), zipFile(true, helper)...)),
		"z/cut.zip":    imagetest.File(zipFile(true, helper)[:500]),
		"z/x.conda":    imagetest.File(zipFile(false, map[string][]byte{"pkg-x.tar.zst": imagetest.Encode(imagetest.Zstd, imagetest.Files(entries{"lib/libcuda.so.1": imagetest.File(realCUDA)}))})),
	}
}

func scripts() entries {
	const installer = "#! /bin/sh\nlabel=\"NVIDIA Accelerated Graphics Driver for Linux-x86_64 550.54.15\"\n"
	return entries{
		"s/setup":   {Data: installer + strings.Repeat("x\n", 10_000), Mode: 0o755},
		"s/app.pex": imagetest.File(append([]byte("#!/usr/bin/env python3\n"), zipFile(true, map[string][]byte{"lib/libcuda.so.1": realCUDA})...)),
		"s/sfx.sh":  imagetest.File(append([]byte("#!/bin/sh\nexit\n"), imagetest.Encode(imagetest.Gzip, fuzzArchive)...)),
	}
}

// odds are entries that are no files, and files that are nothing.
func odds() entries {
	return entries{
		"usr/lib/libnvidia-ml.so.1": {Symlink: "libnvidia-ml.so.550.54.15"}, "usr/lib/libcuda.so.1": {Link: "usr/lib/libcuda.so.550.54.15"},
		"usr/lib/.wh.gone": {}, "opt/.wh..wh..opq": {}, "dev/nvidia0": {Device: &imagetest.Device{Major: 195}},
		"empty/libcuda.so.1": {}, "etc/os-release": {Data: "ID=debian\n"}, "srv": {Dir: true},
	}
}
