// SPDX-License-Identifier: Apache-2.0

package rootfs_test

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/gpu/rootfs"
)

// BenchmarkUnpack unpacks an image of 1.5 GB: large libraries, middling ones, and many
// small files, each in a layer of its own that is not compressed.
func BenchmarkUnpack(b *testing.B) {
	dir := b.TempDir()
	var layers []v1.Layer
	for i, shape := range []struct{ files, size int }{{7, 110 << 20}, {400, 1 << 20}, {40_000, 8 << 10}} {
		layers = append(layers, archived(b, filepath.Join(dir, fmt.Sprint(i)), i, shape.files, shape.size))
	}
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() { // a folder of its own each time: ext4 is slow where much was just removed
		store, err := rootfs.Open(filepath.Join(b.TempDir(), "store"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := store.Unpack(b.Context(), img); err != nil {
			b.Fatal(err)
		}
	}
}

// archivedLayer is a layer in a file.
type archivedLayer struct {
	name string
	hash v1.Hash
	size int64
}

func (l *archivedLayer) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l *archivedLayer) DiffID() (v1.Hash, error)             { return l.hash, nil }
func (l *archivedLayer) Size() (int64, error)                 { return l.size, nil }
func (l *archivedLayer) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }
func (l *archivedLayer) Compressed() (io.ReadCloser, error)   { return os.Open(l.name) }
func (l *archivedLayer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.name) }

// archived writes a layer of so many files of about that size.
func archived(b *testing.B, name string, seed, files, size int) *archivedLayer {
	b.Helper()
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)
	w := tar.NewWriter(buffered)
	random := rand.NewChaCha8([32]byte{byte(seed)})
	write := func(h *tar.Header) {
		if err := w.WriteHeader(h); err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyN(w, random, h.Size); err != nil {
			b.Fatal(err)
		}
	}
	for i := range files {
		folder := fmt.Sprintf("opt/%d/lib/python/site-packages/part%d/", seed, i/50)
		if i%50 == 0 {
			write(&tar.Header{Typeflag: tar.TypeDir, Name: folder, Mode: 0o755})
		}
		write(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("%sfile%d", folder, i), Mode: 0o644, Size: int64(size/2) + int64(random.Uint64()%uint64(size))})
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	if err := buffered.Flush(); err != nil {
		b.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return &archivedLayer{name, v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sum.Sum(nil))}, info.Size()}
}
