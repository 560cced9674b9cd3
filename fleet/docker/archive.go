// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	"github.com/cudabuild/cudabuild/internal/files"
)

// archive is what daemons load: an OCI layout, and beside it the manifest.json of `docker save` with the same
// blobs. Podman and docker's containerd store read the one, docker's older store the other.
type archive struct {
	*tar.Writer

	ctx context.Context //nolint:containedctx // of one call
}

// writeArchive writes an image under a tag. With gzipOnly its zstd layers become gzip, and, as that
// would be another manifest, there is no OCI layout.
func writeArchive(ctx context.Context, w io.Writer, img v1.Image, tag string, gzipOnly bool) error {
	a := archive{tar.NewWriter(w), ctx}
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	if err := a.bytes(blob(manifest.Config.Digest), config); err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	if len(layers) != len(manifest.Layers) {
		return fmt.Errorf("the manifest has %d layers, the image %d", len(manifest.Layers), len(layers))
	}
	var names []string
	written := map[string]bool{}
	for i, layer := range layers {
		desc := manifest.Layers[i]
		name := blob(desc.Digest)
		names = append(names, name)
		if written[name] {
			continue
		}
		written[name] = true
		if gzipOnly && isZstd(desc) {
			err = a.gzip(name, layer)
		} else {
			err = a.layer(name, desc.Size, layer.Compressed)
		}
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	if !gzipOnly {
		if err := a.layout(img, tag); err != nil {
			return err
		}
	}
	return errors.Join(a.json("manifest.json", []any{map[string]any{"Config": blob(manifest.Config.Digest), "RepoTags": []string{tag}, "Layers": names}}), a.Close())
}

func blob(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }

// layout writes the manifest, and what makes the archive an OCI layout.
func (a archive) layout(img v1.Image, tag string) error {
	manifest, err := img.RawManifest()
	if err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	kind, err := img.MediaType()
	if err != nil {
		return err
	}
	desc := v1.Descriptor{MediaType: kind, Digest: digest, Size: int64(len(manifest)), Annotations: map[string]string{
		"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag,
	}}
	return errors.Join(
		a.bytes(blob(digest), manifest),
		a.json("oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}),
		a.json("index.json", v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{desc}}))
}

func (a archive) json(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return a.bytes(name, data)
}

func (a archive) head(name string, size int64) error {
	return a.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)})
}

func (a archive) bytes(name string, data []byte) error {
	if err := a.head(name, int64(len(data))); err != nil {
		return err
	}
	_, err := a.Write(data)
	return err
}

// layer writes a layer as it is.
func (a archive) layer(name string, size int64, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := a.head(name, size); err != nil {
		return err
	}
	_, err = io.Copy(a, stoppable{a.ctx, r})
	return err
}

// gzip writes a layer as gzip. Its size comes before it, so it goes through a temporary file.
func (a archive) gzip(name string, layer v1.Layer) error {
	r, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	tmp, err := files.Unnamed("")
	if err != nil {
		return err
	}
	defer tmp.Close()
	gw, err := gzip.NewWriterLevel(tmp, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := io.Copy(gw, stoppable{a.ctx, r}); err != nil {
		return err
	}
	if err := gw.Close(); err != nil {
		return err
	}
	size, err := tmp.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	return a.layer(name, size, func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(tmp, 0, size)), nil })
}

// stoppable reads until ctx ends.
type stoppable struct {
	ctx context.Context //nolint:containedctx // of one call
	io.Reader
}

func (s stoppable) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.Reader.Read(b)
}
