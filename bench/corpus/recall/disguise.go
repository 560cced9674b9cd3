// SPDX-License-Identifier: Apache-2.0

package recall

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// sample is one file of a driver package.
type sample struct {
	path string // in the package
	data []byte
	mode int64
}

func (s sample) entry() imagetest.Entry { return imagetest.Entry{Data: string(s.data), Mode: s.mode} }

// disguise puts a file into an image. at is where a finding must be; "" takes any.
type disguise struct {
	name    string
	renamed bool // the name says nothing any more
	elfOnly bool
	nested  bool
	image   func(s sample) (img v1.Image, at string)
}

type files = map[string]imagetest.Entry

const elsewhere = "opt/app/helper.bin"

func layers(of ...files) v1.Image {
	var blobs []*imagetest.Blob
	for _, f := range of {
		blobs = append(blobs, trusted(imagetest.Files(f)))
	}
	return imagetest.New(blobs...)
}

var made atomic.Int64

// trusted is a layer under a digest of its own that is not that of its content: these
// images are judged with TrustDigests, and hashing would take most of the time.
func trusted(archive []byte) *imagetest.Blob {
	name := imagetest.Digest(strconv.AppendInt(nil, made.Add(1), 10))
	return &imagetest.Blob{Data: archive, Want: name, Diff: name, Type: types.OCIUncompressedLayer}
}

var disguises = []disguise{
	{name: "plain", image: func(s sample) (v1.Image, string) {
		return layers(files{s.path: s.entry()}), s.path
	}},
	{name: "deleted", image: func(s sample) (v1.Image, string) {
		return layers(files{s.path: s.entry()}, files{path.Dir(s.path) + "/.wh." + path.Base(s.path): {}}), s.path
	}},
	{name: "overwritten", image: func(s sample) (v1.Image, string) {
		return layers(files{s.path: s.entry()}, files{s.path: {Data: "#"}}), s.path
	}},
	{name: "hard-linked", image: func(s sample) (v1.Image, string) {
		return layers(files{s.path: s.entry(), "zz/link": {Link: s.path}}), "zz/link"
	}},
	{name: "linked to a lower layer", image: func(s sample) (v1.Image, string) {
		return layers(files{s.path: s.entry()}, files{"zz/link": {Link: s.path}}), "zz/link"
	}},
	{name: "renamed", renamed: true, image: func(s sample) (v1.Image, string) {
		return layers(files{elsewhere: s.entry()}), elsewhere
	}},
	{name: "auditwheel name", elfOnly: true, image: func(s sample) (v1.Image, string) {
		stem, rest, _ := strings.Cut(path.Base(s.path), ".so")
		name := "opt/x.libs/" + stem + "-1a2b3c4d.so" + rest
		return layers(files{name: s.entry()}), name
	}},
	{name: "SONAME overwritten", renamed: true, elfOnly: true, image: func(s sample) (v1.Image, string) {
		s.data = overwriteSOName(s.data, path.Base(s.path))
		return layers(files{elsewhere: s.entry()}), elsewhere
	}},
	{name: "no section headers", renamed: true, elfOnly: true, image: func(s sample) (v1.Image, string) {
		s.data = cutSections(overwriteSOName(s.data, path.Base(s.path)))
		return layers(files{elsewhere: s.entry()}), elsewhere
	}},
	{name: "in a wheel", image: func(s sample) (v1.Image, string) {
		return layers(files{"root/.cache/x.whl": wheel("x.libs/"+path.Base(s.path), s.data)}), ""
	}},
	{name: "renamed in a wheel, --nested", renamed: true, nested: true, image: func(s sample) (v1.Image, string) {
		return layers(files{"root/.cache/x.whl": wheel("x/helper.bin", s.data)}), ""
	}},
	{name: "renamed in a tar.zst, --nested", renamed: true, nested: true, image: func(s sample) (v1.Image, string) {
		inner := imagetest.Encode(imagetest.Zstd, imagetest.Files(files{elsewhere: s.entry()}))
		return layers(files{"root/x": imagetest.File(inner)}), ""
	}},
}

func wheel(name string, data []byte) imagetest.Entry {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	size := uint64(len(data)) // before the data, as Python writes it
	f, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(data), CompressedSize64: size, UncompressedSize64: size})
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // writing to memory
	}
	return imagetest.File(buf.Bytes())
}

// overwriteSOName changes the file's own name wherever it stands in the file, as a
// library's SONAME does: with and without the version.
func overwriteSOName(data []byte, name string) []byte {
	stem, rest, ok := strings.Cut(name, ".so")
	if !ok {
		return data
	}
	data = bytes.Clone(data)
	for _, soname := range []string{stem + ".so" + rest, stem + ".so.1", stem + ".so.0", stem + ".so.2", stem + ".so.4", stem + ".so"} {
		at := 0
		for {
			next := bytes.Index(data[at:], []byte("\x00"+soname+"\x00"))
			if next < 0 {
				break
			}
			at += next + 1
			copy(data[at:], strings.Repeat("x", len(soname)))
		}
	}
	return data
}

// cutSections cuts off the section headers, and what the header says about them.
func cutSections(data []byte) []byte {
	le := binary.LittleEndian
	if len(data) < 64 || data[4] != 2 {
		return data
	}
	data = bytes.Clone(data)
	if at := le.Uint64(data[40:]); at > 64 && at < uint64(len(data)) && len(data)-int(at) < 1<<20 {
		data = data[:at]
	}
	clear(data[40:48])
	clear(data[58:64])
	return data
}
