// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/platforms"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// make has mmdebstrap run and puts the root and the index into the store.
func (s *Store) make(ctx context.Context, by runner, want bootstrap) (Base, error) {
	o, src := want.os, want.src
	s.Log.Info("bootstrapping", "os", o.Name, "suite", o.Bootstrap.Suite, "date", src.epoch())
	dir, err := os.MkdirTemp(s.dir, "make-")
	if err != nil {
		return Base{}, err
	}
	defer os.RemoveAll(dir)
	left, err := os.OpenRoot(dir)
	if err != nil {
		return Base{}, err
	}
	defer left.Close()
	b := Base{OS: o.Name, Platform: want.platform, Dates: src.dates, Epoch: src.epoch()}
	createdBy := fmt.Sprintf("mmdebstrap --variant=minbase %s # %s", o.Bootstrap.Suite, strings.Join(o.Bootstrap.Components, " "))
	b.Root, err = s.image(ctx, b, createdBy, func(w io.Writer) (err error) {
		b.Tools, err = by.root(ctx, want, dir, w)
		return err
	})
	if err != nil {
		return Base{}, err
	}
	if err := src.unmirror(left); err != nil {
		return Base{}, err
	}
	b.Lists, err = s.image(ctx, b, "package lists of "+o.Name, func(w io.Writer) error {
		return writeIndex(w, left, b.Epoch)
	})
	return b, err
}

// image stores a one-layer image of the tar that write makes and returns its manifest's digest.
func (s *Store) image(ctx context.Context, b Base, createdBy string, write func(io.Writer) error) (digest.Digest, error) {
	layer, diffID, err := s.layer(ctx, b.Platform+" "+createdBy, write)
	if err != nil {
		return "", err
	}
	config := ocispec.Image{
		Created:  &b.Epoch,
		Platform: platforms.MustParse(b.Platform),
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
		History:  []ocispec.History{{Created: &b.Epoch, CreatedBy: createdBy}},
	}
	configDesc, err := s.writeJSON(ctx, ocispec.MediaTypeImageConfig, config)
	if err != nil {
		return "", err
	}
	manifest, err := s.writeJSON(ctx, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    configDesc,
		Layers:    []ocispec.Descriptor{layer},
	})
	return manifest.Digest, err
}

// layer compresses what write makes straight into the store. Two layers that are
// written at the same time need two names.
func (s *Store) layer(ctx context.Context, name string, write func(io.Writer) error) (desc ocispec.Descriptor, diffID digest.Digest, err error) {
	blob, err := content.OpenWriter(ctx, s.content, content.WithRef("layer "+name))
	if err != nil {
		return desc, "", err
	}
	defer blob.Close()
	if err := blob.Truncate(0); err != nil {
		return desc, "", err
	}
	counted := &countingWriter{w: blob}
	// One goroutine: the bytes must not depend on the number of processors.
	zw, err := zstd.NewWriter(counted, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return desc, "", err
	}
	raw := digest.Canonical.Digester()
	if err := write(io.MultiWriter(zw, raw.Hash())); err != nil {
		return desc, "", err
	}
	if err := zw.Close(); err != nil {
		return desc, "", err
	}
	desc = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerZstd, Digest: blob.Digest(), Size: counted.n}
	return desc, raw.Digest(), commit(ctx, blob, desc)
}

func (s *Store) writeJSON(ctx context.Context, mediaType string, value any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	return desc, content.WriteBlob(ctx, s.content, desc.Digest.String(), bytes.NewReader(data), desc)
}
