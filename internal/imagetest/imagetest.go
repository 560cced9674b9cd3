// SPDX-License-Identifier: Apache-2.0

// Package imagetest makes container images and ELF libraries in code, for tests.
//
// [New] turns layers into an image, [Files] a map of paths into a layer's archive,
// and [ELF] a description into a shared library that the dynamic linker's rules
// apply to. Everything is deterministic: same input, same bytes. Entries are
// written in path order unless [Tar] is given them one by one.
package imagetest

import (
	"archive/tar"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Entry is one entry of a layer: a regular file of Data unless another field says
// otherwise. Mode 0 means 0644, and 0755 for directories.
type Entry struct {
	Data    string
	Mode    int64
	Symlink string // target of a symbolic link
	Link    string // target of a hard link
	Dir     bool
	Device  *Device // character device
	UID     int     // the owner
}

// Device is the number of a character device.
type Device struct{ Major, Minor int64 }

// File is an entry with content, executable as most libraries are.
func File(data []byte) Entry { return Entry{Data: string(data), Mode: 0o755} }

// Files returns the archive of a layer. A name "dir/.wh.name" is a whiteout and
// "dir/.wh..wh..opq" an opaque marker.
func Files(files map[string]Entry) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		Tar(w, name, files[name])
	}
	must(w.Close())
	return buf.Bytes()
}

// Tar writes one entry.
func Tar(w *tar.Writer, name string, e Entry) {
	h := &tar.Header{Name: name, Mode: cmp.Or(e.Mode, 0o644), Typeflag: tar.TypeReg, Size: int64(len(e.Data)), Uid: e.UID}
	switch {
	case e.Dir:
		h.Typeflag, h.Mode, h.Name = tar.TypeDir, cmp.Or(e.Mode, 0o755), strings.TrimSuffix(name, "/")+"/"
	case e.Symlink != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Symlink
	case e.Link != "":
		h.Typeflag, h.Linkname = tar.TypeLink, e.Link
	case e.Device != nil:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, e.Device.Major, e.Device.Minor
	}
	must(w.WriteHeader(h))
	_, err := io.WriteString(w, e.Data)
	must(err)
}

// Encoding is how a layer's blob is compressed.
type Encoding string

// The encodings of layers.
const (
	Plain Encoding = "plain"
	Gzip  Encoding = "gzip"
	Zstd  Encoding = "zstd"
)

// Encode compresses data.
func Encode(enc Encoding, data []byte) []byte {
	var buf bytes.Buffer
	var w io.WriteCloser
	switch enc {
	case Plain:
		return data
	case Gzip:
		w = gzip.NewWriter(&buf)
	case Zstd:
		z, err := zstd.NewWriter(&buf)
		must(err)
		w = z
	default:
		panic(fmt.Sprintf("imagetest: encoding %q", enc))
	}
	_, err := w.Write(data)
	must(err)
	must(w.Close())
	return buf.Bytes()
}

// Blob is a layer with any blob and any claims about it, true or not.
type Blob struct {
	Data   []byte
	Want   v1.Hash // the digest that the manifest names
	Diff   v1.Hash
	Type   types.MediaType
	URLs   []string                   // where the manifest says that it lies
	Gone   bool                       // the blob is missing
	Opened func()                     // called at every Compressed, may be nil
	Reader func([]byte) io.ReadCloser // makes the blob's reader, may be nil
	Length int64                      // of what Reader reads, if Data is not that
	Plain  bool                       // Uncompressed works, for those who unpack
}

var _ v1.Layer = (*Blob)(nil)

// Layer returns the layer of an archive, honestly described.
func Layer(enc Encoding, archive []byte) *Blob {
	data := Encode(enc, archive)
	kind := map[Encoding]types.MediaType{Plain: types.OCIUncompressedLayer, Gzip: types.OCILayer, Zstd: types.OCILayerZStd}[enc]
	return &Blob{Data: data, Want: Digest(data), Diff: Digest(archive), Type: kind}
}

// Digest returns the SHA-256 of data.
func Digest(data []byte) v1.Hash {
	h, _, err := v1.SHA256(bytes.NewReader(data))
	must(err)
	return h
}

func (b *Blob) Digest() (v1.Hash, error)            { return b.Want, nil }
func (b *Blob) DiffID() (v1.Hash, error)            { return b.Diff, nil }
func (b *Blob) Size() (int64, error)                { return max(b.Length, int64(len(b.Data))), nil }
func (b *Blob) MediaType() (types.MediaType, error) { return b.Type, nil }
func (b *Blob) Exists() (bool, error)               { return !b.Gone, nil }

// Compressed implements v1.Layer.
func (b *Blob) Compressed() (io.ReadCloser, error) {
	if b.Opened != nil {
		b.Opened()
	}
	if b.Reader != nil {
		return b.Reader(b.Data), nil
	}
	return io.NopCloser(bytes.NewReader(b.Data)), nil
}

// Uncompressed implements v1.Layer; the verifier must not need it.
func (b *Blob) Uncompressed() (io.ReadCloser, error) {
	if b.Plain {
		return gzip.NewReader(bytes.NewReader(b.Data))
	}
	return nil, fmt.Errorf("imagetest: uncompressed content was asked for")
}

// New returns an image for linux/amd64 of these layers, bottom first, each with
// the history line "RUN step N" and an entry without a layer before it.
func New(layers ...*Blob) v1.Image {
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	config, err := img.ConfigFile()
	must(err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	img, err = mutate.ConfigFile(img, config)
	must(err)
	for i, l := range layers {
		img, err = mutate.Append(img,
			mutate.Addendum{History: v1.History{CreatedBy: fmt.Sprintf("ENV N=%d", i), EmptyLayer: true}},
			mutate.Addendum{Layer: l, MediaType: l.Type, URLs: l.URLs, History: v1.History{CreatedBy: fmt.Sprintf("RUN step %d", i)}})
		must(err)
	}
	return img
}

// ForArch returns the image as one for linux on that architecture.
func ForArch(img v1.Image, arch string) v1.Image {
	config, err := img.ConfigFile()
	must(err)
	config = config.DeepCopy()
	config.Architecture = arch
	img, err = mutate.ConfigFile(img, config)
	must(err)
	return img
}

// must is for mistakes in test code, where there is no test to fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
