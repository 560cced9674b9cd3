// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/image"
)

// distinct is a layout with one image that has each layer of a family once.
type distinct struct {
	ref            string
	images, layers int
	bytes          int64
}

// newDistinct writes it to dir. The blobs are links to the family's own where that can
// be, and are in the page cache afterwards.
func newDistinct(ctx context.Context, family, dir string) (distinct, error) {
	d := distinct{ref: "oci:" + dir}
	sources, closer, err := image.Open(ctx, family, image.OpenOptions{})
	if err != nil {
		return d, err
	}
	defer closer.Close()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return d, err
	}
	layers, err := distinctLayers(sources)
	if err != nil {
		return d, err
	}
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	for _, l := range layers {
		kind, err := l.MediaType()
		if err != nil {
			return d, err
		}
		if img, err = mutate.Append(img, mutate.Addendum{Layer: l, MediaType: kind}); err != nil {
			return d, err
		}
		if err := link(family, dir, l.digest); err != nil {
			return d, err
		}
	}
	if err := path.AppendImage(img); err != nil { // copies the blobs that are not there
		return d, err
	}
	d.images, d.layers = len(sources), len(layers)
	for _, l := range layers {
		n, err := warm(blobFile(dir, l.digest))
		if err != nil {
			return d, err
		}
		d.bytes += n
	}
	return d, nil
}

// blob is a layer that takes its diff ID from the config, in place of decoding all of it.
type blob struct {
	v1.Layer
	digest, diffID v1.Hash
}

func (b blob) DiffID() (v1.Hash, error) { return b.diffID, nil }

// distinctLayers returns each layer once, in order of the first image that has it.
func distinctLayers(sources []image.Source) ([]blob, error) {
	var layers []blob
	seen := map[v1.Hash]bool{}
	for _, s := range sources {
		all, err := s.Image.Layers()
		if err != nil {
			return nil, err
		}
		config, err := s.Image.ConfigFile()
		if err != nil {
			return nil, err
		}
		for i, l := range all {
			digest, err := l.Digest()
			if err != nil {
				return nil, err
			}
			if !seen[digest] {
				layers = append(layers, blob{l, digest, config.RootFS.DiffIDs[i]})
			}
			seen[digest] = true
		}
	}
	return layers, nil
}

func blobFile(dir string, digest v1.Hash) string {
	return filepath.Join(dir, "blobs", digest.Algorithm, digest.Hex)
}

// link spares a copy of the blob if the family is a layout on the same file system.
func link(family, dir string, digest v1.Hash) error {
	at, ok := strings.CutPrefix(family, "oci:")
	at, _, _ = strings.Cut(at, ":")
	to := blobFile(dir, digest)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil || !ok {
		return err
	}
	_ = os.Link(blobFile(at, digest), to)
	return nil
}

// warm reads a file into the page cache and returns its size.
func warm(file string) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(io.Discard, f)
}
