// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	stdgzip "compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/image"
)

// sample is one layer in three wrappings.
type sample struct {
	dir                  string
	raw, gzipped, zstded int64
	gzipBlob, zstdBlob   string // files
	gzipImage, zstdImage string // references
	archive              string // what docker save writes, with the gzip blob
}

// newSample takes the first size bytes of files of the largest layer of ref.
func newSample(ctx context.Context, ref string, size int64, dir string) (s sample, err error) {
	s = sample{dir: dir, archive: filepath.Join(dir, "saved.tar")}
	raw := filepath.Join(dir, "layer.tar")
	if err := cut(ctx, ref, size, raw); err != nil {
		return s, err
	}
	s.gzipImage, s.zstdImage = "oci:"+filepath.Join(dir, "gzip"), "oci:"+filepath.Join(dir, "zstd")
	gz, err := wrap(raw, filepath.Join(dir, "gzip"), types.OCILayer, func(w io.Writer) (io.WriteCloser, error) { return stdgzip.NewWriterLevel(w, 6) })
	if err != nil {
		return s, err
	}
	zs, err := wrap(raw, filepath.Join(dir, "zstd"), types.OCILayerZStd, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
	if err != nil {
		return s, err
	}
	s.gzipBlob, s.gzipped = gz.file, gz.size
	s.zstdBlob, s.zstded = zs.file, zs.size
	info, err := os.Stat(raw)
	if err != nil {
		return s, err
	}
	s.raw = info.Size()
	return s, errors.Join(saved(gz, s.archive), os.Remove(raw))
}

// cut writes an archive of the first files of a layer.
func cut(ctx context.Context, ref string, size int64, file string) error {
	sources, closer, err := image.Open(ctx, ref, image.OpenOptions{})
	if err != nil {
		return err
	}
	defer closer.Close()
	layers, err := sources[0].Image.Layers()
	if err != nil {
		return err
	}
	var largest v1.Layer
	var most int64
	for _, l := range layers {
		if n, err := l.Size(); err == nil && n > most {
			largest, most = l, n
		}
	}
	blob, err := largest.Compressed()
	if err != nil {
		return err
	}
	defer blob.Close()
	z, err := zstd.NewReader(blob) // make matrix's own
	if err != nil {
		return err
	}
	defer z.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(copyFiles(f, z, size), f.Close())
}

func copyFiles(to io.Writer, from io.Reader, size int64) error {
	w, r := tar.NewWriter(to), tar.NewReader(from)
	for n := int64(0); n < size; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		m, err := io.Copy(w, r) //nolint:gosec // an image of our own
		if err != nil {
			return err
		}
		n += m
	}
	return w.Close()
}

// wrapped is an image of one layer in an OCI layout.
type wrapped struct {
	image v1.Image
	file  string
	size  int64
}

// wrap compresses an archive into the only layer of the only image of a layout.
func wrap(raw, dir string, kind types.MediaType, encoder func(io.Writer) (io.WriteCloser, error)) (wrapped, error) {
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return wrapped{}, err
	}
	blob := filepath.Join(dir, "blob")
	if err := compress(raw, blob, encoder); err != nil {
		return wrapped{}, err
	}
	l := &fileLayer{path: blob, mediaType: kind}
	if l.digest, l.size, err = sha256File(blob); err != nil {
		return wrapped{}, err
	}
	if l.diffID, _, err = sha256File(raw); err != nil {
		return wrapped{}, err
	}
	compressed, err := partial.CompressedToLayer(l)
	if err != nil {
		return wrapped{}, err
	}
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{Layer: compressed, MediaType: kind})
	if err != nil {
		return wrapped{}, err
	}
	return wrapped{img, blob, l.size}, path.AppendImage(img)
}

func compress(from, to string, encoder func(io.Writer) (io.WriteCloser, error)) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	z, err := encoder(out)
	if err != nil {
		return err
	}
	_, err = io.Copy(z, in)
	return errors.Join(err, z.Close(), out.Close())
}

// saved writes what docker save would, but for the layer, which stays compressed.
func saved(w wrapped, file string) error {
	tag, err := name.NewTag("cudabuild.test/layer:1")
	if err != nil {
		return err
	}
	return tarball.WriteToFile(file, tag, w.image)
}

// fileLayer is a layer whose blob is a file.
type fileLayer struct {
	path           string
	digest, diffID v1.Hash
	size           int64
	mediaType      types.MediaType
}

func (l *fileLayer) Digest() (v1.Hash, error)            { return l.digest, nil }
func (l *fileLayer) DiffID() (v1.Hash, error)            { return l.diffID, nil } //nolint:unparam // as v1.Layer wants it
func (l *fileLayer) Size() (int64, error)                { return l.size, nil }
func (l *fileLayer) MediaType() (types.MediaType, error) { return l.mediaType, nil }
func (l *fileLayer) Compressed() (io.ReadCloser, error)  { return os.Open(l.path) }

func sha256File(name string) (v1.Hash, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return v1.Hash{}, 0, err
	}
	defer f.Close()
	return v1.SHA256(f)
}

// hash digests as many bytes as verify does, for the digest and the diff ID: without
// instructions for SHA-256 that takes longer than some decoders.
func (s sample) hash() error {
	sum, buf := sha256.New(), make([]byte, 256<<10)
	for left := s.gzipped + s.raw; left > 0; left -= int64(len(buf)) {
		_, _ = sum.Write(buf)
	}
	return nil
}

// decodeGzip is the floor: the decoder that cudabuild uses, and nothing else.
func (s sample) decodeGzip() error {
	return decode(s.gzipBlob, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
}

func (s sample) decodeZstd() error {
	return decode(s.zstdBlob, func(r io.Reader) (io.Reader, error) {
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(false))
	})
}

func decode(file string, decoder func(io.Reader) (io.Reader, error)) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := decoder(f)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 256<<10))
	return err
}
