// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/internal/files"
)

// ErrTransport is the condition that an export's target is not one we can write.
var ErrTransport = errors.New("want docker-archive:FILE or oci-archive:FILE")

// CheckTarget reports with [ErrTransport] whether Export can write to target.
func CheckTarget(target string) error {
	transport, file, _ := strings.Cut(target, ":")
	if file == "" || transport != dockerArchive && transport != ociArchive {
		return fmt.Errorf("%q: %w", target, ErrTransport)
	}
	return nil
}

// Export writes the image that has the name, as [Layout.Find] does, to target, docker-archive:FILE (for
// docker load, layers as gzip) or oci-archive:FILE (blobs as they are), as [files.Create] does.
// Of an index it writes the image for platform; if that is "", an
// OCI archive gets all of them, and a docker archive, which cannot hold them, linux on
// the architecture of this program.
func (l *Layout) Export(ctx context.Context, name, target, platform string) error {
	if err := CheckTarget(target); err != nil {
		return err
	}
	transport, file, _ := strings.Cut(target, ":")
	desc, err := l.Find(name)
	if err != nil {
		return err
	}
	fullName := FullName(desc)
	write := l.writeOCI
	if transport == dockerArchive {
		write = l.writeDocker
		if platform == "" && desc.MediaType == ocispec.MediaTypeImageIndex {
			platform = hostPlatform
		}
	}
	if platform != "" {
		if desc, err = l.ForPlatform(desc, platform); err != nil {
			return fmt.Errorf("%s: %w", fullName, err)
		}
	}
	out, err := files.Create(ctx, file)
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

func (l *Layout) addBlob(ctx context.Context, a *archive, name string, desc ocispec.Descriptor) error {
	r, err := l.blob(ctx, desc)
	if err != nil {
		return err
	}
	defer r.Close()
	return a.add(name, desc.Size, r)
}

// blob streams a blob; reading fails once ctx ends, and at the end if the digest is
// wrong.
func (l *Layout) blob(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if err := desc.Digest.Validate(); err != nil {
		return nil, err
	}
	f, err := files.Open(l.blobPath(desc.Digest))
	if err != nil {
		return nil, err
	}
	verifier := desc.Digest.Verifier()
	return struct {
		io.Reader
		io.Closer
	}{&verified{ctx, io.TeeReader(f, verifier), verifier, desc.Digest}, f}, nil
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

func (l *Layout) writeOCI(ctx context.Context, a *archive, fullName string, desc ocispec.Descriptor) error {
	blobs, err := l.Blobs(ctx, desc)
	if err != nil {
		return err
	}
	seen := map[digest.Digest]bool{}
	for _, blob := range blobs {
		if seen[blob.Digest] {
			continue
		}
		seen[blob.Digest] = true
		if err := l.addBlob(ctx, a, path.Join("blobs", blob.Digest.Algorithm().String(), blob.Digest.Encoded()), blob); err != nil {
			return err
		}
	}
	desc.Annotations = names(fullName)
	return errors.Join(
		a.addJSON(ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}),
		a.addJSON(ocispec.ImageIndexFile, ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2},
			MediaType: ocispec.MediaTypeImageIndex,
			Manifests: []ocispec.Descriptor{desc},
		}))
}

func (l *Layout) writeDocker(ctx context.Context, a *archive, fullName string, desc ocispec.Descriptor) error {
	data, err := l.readBlob(desc.Digest)
	if err != nil {
		return err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(data, &manifest); err != nil {
		return err
	}
	config := manifest.Config.Digest.Encoded() + ".json"
	if err := l.addBlob(ctx, a, config, manifest.Config); err != nil {
		return err
	}
	var layers []string
	for i, layer := range manifest.Layers {
		name := fmt.Sprintf("%d-%s.tar.gz", i, layer.Digest.Encoded())
		layers = append(layers, name)
		if err := l.addGzip(ctx, a, name, layer); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	tags := []string{}
	if tagOf(fullName) != fullName { // docker knows no tag without a repository
		tags = append(tags, fullName)
	}
	return a.addJSON("manifest.json", []map[string]any{{"Config": config, "RepoTags": tags, "Layers": layers}})
}

// addGzip adds a layer compressed with gzip, the one compression that every docker
// reads. Its size must precede it, so a zstd layer goes through a temporary file.
func (l *Layout) addGzip(ctx context.Context, a *archive, name string, layer ocispec.Descriptor) error {
	if layer.MediaType != ocispec.MediaTypeImageLayerZstd {
		return l.addBlob(ctx, a, name, layer)
	}
	tmp, err := files.Unnamed(a.dir)
	if err != nil {
		return err
	}
	defer tmp.Close()
	if err := l.recompress(ctx, tmp, layer); err != nil {
		return err
	}
	size, err := tmp.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	return a.add(name, size, io.NewSectionReader(tmp, 0, size))
}

func (l *Layout) recompress(ctx context.Context, w io.Writer, layer ocispec.Descriptor) error {
	blob, err := l.blob(ctx, layer)
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
