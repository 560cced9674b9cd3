// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrTransport is the condition that an export's target is not one we can write.
var ErrTransport = errors.New("want docker-archive:FILE or oci-archive:FILE")

// The transports that Export writes.
const (
	dockerArchive = "docker-archive"
	ociArchive    = "oci-archive"
)

// CheckTarget reports with [ErrTransport] whether Export can write to target.
func CheckTarget(target string) error {
	transport, file, _ := strings.Cut(target, ":")
	if file == "" || transport != dockerArchive && transport != ociArchive {
		return fmt.Errorf("%q: %w", target, ErrTransport)
	}
	return nil
}

// Export writes the image that has the tag to target, docker-archive:FILE (for
// docker load, layers as gzip) or oci-archive:FILE (blobs as they are), as [Create] does.
// Of an index it writes the image for platform; if that is "", an
// OCI archive gets all of them, and a docker archive, which cannot hold them, linux on
// the architecture of this program.
func (s *Store) Export(ctx context.Context, fullName, target, platform string) error {
	if err := CheckTarget(target); err != nil {
		return err
	}
	transport, file, _ := strings.Cut(target, ":")
	desc, ok := s.Lookup(fullName)
	if !ok {
		return fmt.Errorf("%s has no image %s", s.dir, fullName)
	}
	write := s.writeOCI
	if transport == dockerArchive {
		write = s.writeDocker
		if platform == "" && desc.MediaType == ocispec.MediaTypeImageIndex {
			platform = hostPlatform
		}
	}
	if platform != "" {
		var err error
		if desc, err = s.forPlatform(ctx, desc, platform); err != nil {
			return fmt.Errorf("%s: %w", fullName, err)
		}
	}
	out, err := Create(ctx, file)
	if err != nil {
		return err
	}
	a := &archive{Writer: tar.NewWriter(out), dir: out.Dir()}
	if err = write(ctx, a, fullName, desc); err == nil {
		err = a.Close()
	}
	return out.Close(err)
}

// archive is a tar of named byte strings; dir is for temporary files.
type archive struct {
	*tar.Writer

	dir string
}

func (a *archive) add(name string, size int64, r io.Reader) error {
	if err := a.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	_, err := io.Copy(a, r)
	return err
}

func (a *archive) addJSON(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return a.add(name, int64(len(data)), strings.NewReader(string(data)))
}

func (s *Store) addBlob(ctx context.Context, a *archive, name string, desc ocispec.Descriptor) error {
	r, err := s.open(ctx, desc)
	if err != nil {
		return err
	}
	defer r.Close()
	return a.add(name, desc.Size, r)
}

// open streams a blob; reading fails once ctx ends, and at the end if the digest is
// wrong.
func (s *Store) open(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	at, err := s.content.ReaderAt(ctx, desc)
	if err != nil {
		return nil, err
	}
	verifier := desc.Digest.Verifier()
	r := io.TeeReader(content.NewReader(at), verifier)
	return struct {
		io.Reader
		io.Closer
	}{&verified{ctx, r, verifier, desc.Digest}, at}, nil
}

type verified struct {
	ctx      context.Context
	r        io.Reader
	verifier digest.Verifier
	digest   digest.Digest
}

func (v *verified) Read(p []byte) (int, error) {
	if err := v.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := v.r.Read(p)
	if errors.Is(err, io.EOF) && !v.verifier.Verified() {
		return n, fmt.Errorf("blob %s is damaged: its content has another digest", v.digest)
	}
	return n, err
}

func (s *Store) writeOCI(ctx context.Context, a *archive, fullName string, desc ocispec.Descriptor) error {
	blobs, err := s.Blobs(ctx, desc)
	if err != nil {
		return err
	}
	seen := map[digest.Digest]bool{}
	for _, blob := range blobs {
		if seen[blob.Digest] {
			continue
		}
		seen[blob.Digest] = true
		if err := s.addBlob(ctx, a, path.Join("blobs", blob.Digest.Algorithm().String(), blob.Digest.Encoded()), blob); err != nil {
			return err
		}
	}
	desc.Annotations = annotations(fullName)
	return errors.Join(
		a.addJSON(ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}),
		a.addJSON(ocispec.ImageIndexFile, ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2},
			MediaType: ocispec.MediaTypeImageIndex,
			Manifests: []ocispec.Descriptor{desc},
		}))
}

func (s *Store) writeDocker(ctx context.Context, a *archive, fullName string, desc ocispec.Descriptor) error {
	data, err := content.ReadBlob(ctx, s.content, desc)
	if err != nil {
		return err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(data, &manifest); err != nil {
		return err
	}
	config := manifest.Config.Digest.Encoded() + ".json"
	if err := s.addBlob(ctx, a, config, manifest.Config); err != nil {
		return err
	}
	var layers []string
	for i, layer := range manifest.Layers {
		name := fmt.Sprintf("%d-%s.tar.gz", i, layer.Digest.Encoded())
		layers = append(layers, name)
		if err := s.addGzip(ctx, a, name, layer); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return a.addJSON("manifest.json", []map[string]any{{"Config": config, "RepoTags": []string{fullName}, "Layers": layers}})
}

// addGzip adds a layer compressed with gzip, the one compression that every docker
// reads. Its size must precede it, so a zstd layer goes through a temporary file.
func (s *Store) addGzip(ctx context.Context, a *archive, name string, layer ocispec.Descriptor) error {
	if layer.MediaType != ocispec.MediaTypeImageLayerZstd {
		return s.addBlob(ctx, a, name, layer)
	}
	tmp, err := os.CreateTemp(a.dir, ".layer-*")
	if err != nil {
		return err
	}
	defer tmp.Close()
	if err := os.Remove(tmp.Name()); err != nil {
		return err
	}
	if err := s.recompress(ctx, tmp, layer); err != nil {
		return err
	}
	size, err := tmp.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	return a.add(name, size, io.NewSectionReader(tmp, 0, size))
}

func (s *Store) recompress(ctx context.Context, w io.Writer, layer ocispec.Descriptor) error {
	blob, err := s.open(ctx, layer)
	if err != nil {
		return err
	}
	defer blob.Close()
	zr, err := zstd.NewReader(blob)
	if err != nil {
		return err
	}
	defer zr.Close()
	gw, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := io.Copy(gw, zr); err != nil {
		return err
	}
	_, tail := io.Copy(io.Discard, blob) // to its end, where the digest is checked
	return errors.Join(tail, gw.Close())
}
