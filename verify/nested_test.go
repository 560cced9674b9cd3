// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

type entries = map[string]imagetest.Entry

// debFile is a Debian package: an ar archive.
func debFile(control string, data entries) []byte {
	return arFile(
		"debian-binary", []byte("2.0\n"),
		"control.tar.zst", imagetest.Encode(imagetest.Zstd, imagetest.Files(entries{"./control": {Data: control}})),
		"data.tar.gz", imagetest.Encode(imagetest.Gzip, imagetest.Files(data)),
	)
}

// arFile is an archive of names and contents by turns.
func arFile(members ...any) []byte {
	out := []byte("!<arch>\n")
	for ; len(members) > 0; members = members[2:] {
		content := members[1].([]byte)
		out = fmt.Appendf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", members[0], 0, 0, 0, "100644", len(content))
		out = append(out, content...)
		if len(content)%2 == 1 {
			out = append(out, '\n')
		}
	}
	return out
}

// zipFile writes sizes behind the data, as Go does, or before it, as Python does.
func zipFile(streamed bool, files map[string][]byte) []byte {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for name, data := range files {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		if streamed {
			f, _ := w.CreateHeader(h)
			_, _ = f.Write(data)
			continue
		}
		h.Method, h.UncompressedSize64, h.CompressedSize64 = zip.Store, uint64(len(data)), uint64(len(data))
		f, _ := w.CreateRaw(h)
		_, _ = f.Write(data)
	}
	_ = w.Close()
	return buf.Bytes()
}

// rpmHeader is a header structure of an RPM package.
func rpmHeader(name, version string, files ...string) []byte {
	be := binary.BigEndian
	var index, data []byte
	add := func(tag, kind, count uint32, value []byte) {
		for kind == 4 && len(data)%4 != 0 {
			data = append(data, 0)
		}
		for _, n := range []uint32{tag, kind, uint32(len(data)), count} {
			index = be.AppendUint32(index, n)
		}
		data = append(data, value...)
	}
	add(1000, 6, 1, []byte(name+"\x00"))
	add(1001, 6, 1, []byte(version+"\x00"))
	add(1002, 6, 1, []byte("1\x00"))
	var numbers, dirs, bases []byte
	for i, file := range files {
		at := strings.LastIndexByte(file, '/') + 1
		numbers = be.AppendUint32(numbers, uint32(i))
		dirs, bases = append(dirs, file[:at]+"\x00"...), append(bases, file[at:]+"\x00"...)
	}
	add(1116, 4, uint32(len(files)), numbers)
	add(1117, 8, uint32(len(files)), bases)
	add(1118, 8, uint32(len(files)), dirs)
	return append(be.AppendUint32(be.AppendUint32(nil, uint32(len(index)/16)), uint32(len(data))), append(index, data...)...)
}

// rpmFile is an RPM package with its payload, a cpio archive.
func rpmFile(name string, files map[string][]byte) []byte {
	magic := []byte("\x8e\xad\xe8\x01\x00\x00\x00\x00")
	out := append([]byte("\xed\xab\xee\xdb\x03\x00"), make([]byte, 90)...)
	signature := rpmHeader("x", "1")
	out = append(append(out, magic...), signature...)
	out = append(out, make([]byte, -len(signature)&7)...)
	var names []string
	var payload []byte
	entry := func(name string, mode int, data []byte) {
		payload = append(payload, fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)...)
		payload = append(payload, make([]byte, -len(payload)&3)...)
		payload = append(payload, data...)
		payload = append(payload, make([]byte, -len(payload)&3)...)
	}
	for name, data := range files {
		names = append(names, "/"+name)
		entry("./"+name, 0o100755, data)
	}
	entry("usr/lib/libcuda.so", 0o120777, []byte("libcuda.so.1"))
	entry("TRAILER!!!", 0, nil)
	out = append(append(out, magic...), rpmHeader(name, "550", names...)...)
	return append(out, imagetest.Encode(imagetest.Zstd, payload)...)
}

var realCUDA = realLibrary("helper", "cuInit", "cuDriverGetVersion", "cuGetExportTable", "cudbgIpcFlag")

func TestNested(t *testing.T) {
	t.Parallel()
	driverDeb := debFile("Package: libcuda1\nVersion: 550.54.15-1\n", entries{"./usr/lib/helper.bin": imagetest.File(realCUDA), "./usr/lib/libcuda.so.1": {Symlink: "libcuda.so.550.54.15"}})
	otherDeb := debFile("Package: other\nVersion: 1\n", entries{"./usr/lib/helper.bin": imagetest.File(realCUDA)})
	helper := map[string][]byte{"x/helper.bin": realCUDA}
	named := map[string][]byte{"x.libs/libcuda-1a2b3c4d.so.1": []byte("x")}
	tarball := imagetest.Files(entries{"a/helper.bin": imagetest.File(realCUDA)})
	inTar := "driver-library x.tar!/usr/lib/libcuda.so.1"
	cut := imagetest.Files(entries{"usr/lib/libcuda.so.1": imagetest.File(realCUDA)})
	text := imagetest.Files(entries{"usr/lib/notes": imagetest.File(realCUDA[:600])})
	const deb, whl = "var/cache/apt/archives/x.deb", "root/x.whl"
	for _, tc := range []struct {
		name   string
		path   string
		data   []byte
		listed []string // findings without Nested: rule and path
		nested []string // with it
	}{
		{"driver package", deb, driverDeb, []string{"driver-package " + deb}, []string{"driver-package " + deb, "driver-library " + deb + "!/usr/lib/helper.bin", "driver-library " + deb + "!/usr/lib/libcuda.so.1"}},
		{"other package", deb, otherDeb, nil, []string{"driver-library " + deb + "!/usr/lib/helper.bin"}},
		{"rpm", "x.rpm", rpmFile("nvidia-driver-cuda", map[string][]byte{"usr/lib/libnvidia-ml.so.1": realCUDA}), []string{"driver-package x.rpm", "driver-library x.rpm!/usr/lib/libnvidia-ml.so.1"}, []string{"driver-package x.rpm", "driver-library x.rpm!/usr/lib/libcuda.so", "driver-library x.rpm!/usr/lib/libnvidia-ml.so.1"}},
		{"wheel, names", whl, zipFile(true, named), []string{"driver-library " + whl + "!/x.libs/libcuda-1a2b3c4d.so.1"}, []string{"driver-library " + whl + "!/x.libs/libcuda-1a2b3c4d.so.1"}},
		{"wheel, streamed", whl, zipFile(true, helper), nil, []string{"driver-library " + whl + "!/x/helper.bin"}},
		{"wheel, stored", whl, zipFile(false, helper), nil, []string{"driver-library " + whl + "!/x/helper.bin"}},
		{"tar", "x", tarball, []string{"driver-library x!/a/helper.bin"}, []string{"driver-library x!/a/helper.bin"}},
		{"tar.gz", "x", imagetest.Encode(imagetest.Gzip, tarball), nil, []string{"driver-library x!/a/helper.bin"}},
		{"tar.zst in a tar.gz", "x", imagetest.Encode(imagetest.Gzip, imagetest.Files(entries{"y": imagetest.File(imagetest.Encode(imagetest.Zstd, tarball))})), nil, []string{"driver-library x!/y!/a/helper.bin"}},
		{"library, gzipped", "x.gz", imagetest.Encode(imagetest.Gzip, realCUDA), nil, []string{"driver-library x.gz"}},
		{"module, gzipped", "lib/x.ko.gz", imagetest.Encode(imagetest.Gzip, objectFile("name=nvidia_uvm\x00")), []string{"kernel-module lib/x.ko.gz"}, []string{"kernel-module lib/x.ko.gz"}},
		{"module, xz", "lib/x.ko.xz", xzModule(), []string{"kernel-module lib/x.ko.xz"}, []string{"kernel-module lib/x.ko.xz"}},
		{"tar, cut in a file", "x.tar", cut[:512+len(realCUDA)/2], []string{inTar}, []string{"unreadable x.tar", inTar}},
		{"tar, cut in a file's first bytes", "x.tar", cut[:512+10], []string{inTar}, []string{"unreadable x.tar", inTar}},
		{"tar, cut in another file", "x.tar", text[:512+100], nil, []string{"unreadable x.tar"}},
		{"broken zip", "x.zip", zipFile(true, helper)[:100], nil, []string{"unreadable x.zip"}},
		{"broken gzip", "x.gz", imagetest.Encode(imagetest.Gzip, tarball)[:100], nil, []string{"unreadable x.gz"}},
		{"broken package", "x.deb", driverDeb[:100], nil, []string{"unreadable x.deb"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for nested, want := range map[bool][]string{false: tc.listed, true: tc.nested} {
				wantOf(t, nested, tc.path, tc.data, want)
			}
		})
	}
}

// wantOf judges an image with one file, and wants these findings: rule and path.
func wantOf(t *testing.T, nested bool, name string, data []byte, want []string) {
	t.Helper()
	report, err := verify.New(verify.Options{Nested: nested}).Image(t.Context(), "x", imagetest.New(layer(entries{name: imagetest.File(data)})))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range report.Findings {
		got = append(got, f.Rule+" "+f.Path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nested %t (-want +got):\n%s\n%+v", nested, diff, report.Findings)
	}
}

// xzModule is objectFile("name=nvidia_uvm\x00") as xz(1) compresses it.
func xzModule() []byte {
	data, err := base64.StdEncoding.DecodeString(xzModuleText)
	if err != nil {
		panic(err)
	}
	return data
}

// xzTexts is one text as xz(1) compresses it with each of its checks: CRC32, CRC64, SHA-256.
var xzTexts = []string{
	"/Td6WFoAAAFpIt42AgAhAQAAAAA3J5fW4AAkABtdADSbgAZx8LxvPdneQ84Q5ogGiS74gADOrBG3AAAAto/7aQABMyVcBOmfkEKZDQEAAAAAAVla",
	"/Td6WFoAAATm1rRGAgAhAQAAAAA3J5fW4AAkABtdADSbgAZx8LxvPdneQ84Q5ogGiS74gADOrBG3AAAA0o9e6XjEeeMAATclWMGF+x+2830BAAAAAARZWg==",
	"/Td6WFoAAArh+wyhAgAhAQAAAAA3J5fW4AAkABtdADSbgAZx8LxvPdneQ84Q5ogGiS74gADOrBG3AAAAg8VAsLWJ7A6llbkx7KH+VtzRfTeqyGWLdwGZAhVHx8AAAU8lpjJjHBibS5oBAAAAAApZWg==",
}

// TestXzIntegrity cuts xz files at each place and changes each byte, and wants all of it noticed.
func TestXzIntegrity(t *testing.T) {
	t.Parallel()
	const magic = 6    // without it, it is no xz file
	const ignored = 30 // the first byte of the range coder, which says nothing
	files := entries{}
	for n, text := range xzTexts {
		good, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		for i := magic; i < len(good); i++ {
			files[fmt.Sprintf("%d-%03d-cut.xz", n, i)] = imagetest.File(good[:i])
			if i != ignored {
				bad := bytes.Clone(good)
				bad[i] ^= 0x10
				files[fmt.Sprintf("%d-%03d.xz", n, i)] = imagetest.File(bad)
			}
		}
	}
	report, err := verify.New(verify.Options{Nested: true}).Image(t.Context(), "x", imagetest.New(layer(files)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		if f.Rule == "unreadable" {
			delete(files, f.Path)
		}
	}
	if len(files) > 0 {
		t.Errorf("not noticed: %v", slices.Sorted(maps.Keys(files)))
	}
}

// TestXzDictionary asks for more memory than xz -9 does.
func TestXzDictionary(t *testing.T) {
	t.Parallel()
	data := xzModule()
	block := data[12:24] // its header: size, flags, filter with the dictionary's size, padding, CRC
	block[4] = 29        // 96 MiB
	binary.LittleEndian.PutUint32(block[8:], crc32.ChecksumIEEE(block[:8]))
	report, err := verify.New(verify.Options{Nested: true}).Image(t.Context(), "x", imagetest.New(layer(entries{"x.xz": imagetest.File(data)})))
	if err != nil || report.Verdict != verify.Unknown || !strings.Contains(report.Findings[0].Detail, "dictionary") {
		t.Errorf("%v, %s, findings %+v, want unknown for the dictionary", err, report.Verdict, report.Findings)
	}
}

// TestNestedIsDeletedWithItsArchive also holds the way findings name the place.
func TestNestedIsDeletedWithItsArchive(t *testing.T) {
	t.Parallel()
	img := imagetest.New(layer(entries{"tmp/x.zip": imagetest.File(zipFile(true, map[string][]byte{"libcuda.so.1": {1}}))}), layer(entries{"tmp/.wh.x.zip": {}}))
	want := []brief{{"driver-library", "tmp/x.zip!/libcuda.so.1", 0, 1}}
	if diff := cmp.Diff(want, briefly(judge(t, img).Findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestNestingIsBounded wraps a library in archives; reaching the limit is not a pass.
func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	data := realCUDA
	for range 4 {
		data = imagetest.Files(entries{"a": imagetest.File(data)})
	}
	for _, nested := range []bool{false, true} {
		wantOf(t, nested, "x", data, []string{"driver-library x!/a!/a!/a!/a"})
		wantOf(t, nested, "x", imagetest.Files(entries{"a": imagetest.File(data)}), []string{"unreadable x!/a!/a!/a!/a"})
	}
}

const xzModuleText = "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM//8iAXVdAD+RRYRoPYmm2pynIEO6XJCAADVxD2HJLBPQ0Mho/8wElcksR7OrEWLxZFw8vRg0L9yvgt" +
	"0DBJr0pUgSEfYA7R1Iuj3yU2IW78fX5VOdYvUbu7nlJq/5EthS2VBFR75A0cmF84OBwGXEJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhc" +
	"WYbpZlJYvul2rFnk5VsFCPnH2q38+1IrdM0eWyBC+d1TPfgpZAk7gMsqbN+1O/DEvS5fqg8+S2ZCkBMO/xCT+HF4WfgLzf+VKEYPqfx83vuaMC" +
	"5WwI+F84OBwGXEJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhcWYbpZlJYvul2rFnk5VsFCPnH2q38+1IrdM0eWyBC+d1TPfgpZAk7gMsq" +
	"bN+1O/DEvS5fqg8+S2ZCkBMO/xCT+HF4WfgLzf+VKEYPqfx83vuaMC5WwI+F84OBwGXEJVP49ZE2MQWlsO5vwXBNRwzRkQowe6yQANwArQAa09" +
	"slVbYa4Z0MgLl/BEj0p18O1ZAXFi7rU/PIq7Xk0rHYbYd2H31uHT2RmTRsA0UZE4OKne2TodVtktSO2mbhTuo9mUkWK5X5R/pO51LikgZWGZ5E" +
	"nuLS5Eb2VPCIdSww28JQVJEilwYDX8lwOxTAMjeYpRUBpeijCSrsqv9aJqxyDBaSp745jyThcJ6nI1/sKMuF0ZWYin4qkfIndfcZwAaYTZj92K" +
	"+UaG2sAAA/3+96In1h7AABxASAgMAB3GQ9DLHEZ/sCAAAAAARZWg=="
