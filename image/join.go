// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Join puts an index of images into the store, one image a platform, and returns its
// descriptor. Every image must say its platform. The same images in the same order
// give the same index.
func (s *Store) Join(ctx context.Context, images ...ocispec.Descriptor) (ocispec.Descriptor, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	seen := map[string]bool{}
	for _, img := range images {
		if img.Platform == nil || seen[platforms.Format(*img.Platform)] {
			return ocispec.Descriptor{}, fmt.Errorf("index: image %s needs a platform of its own", img.Digest)
		}
		seen[platforms.Format(*img.Platform)] = true
		index.Manifests = append(index.Manifests, img)
	}
	if len(images) == 0 {
		return ocispec.Descriptor{}, errors.New("index: no images")
	}
	data, err := json.Marshal(index)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: index.MediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	return desc, s.noteFull(content.WriteBlob(ctx, s.content, "index "+desc.Digest.String(), bytes.NewReader(data), desc))
}

// ForPlatform returns the image of an index for that platform. An image that stands
// alone is returned if it is for the platform. The error is a [*PlatformError] where
// there is none.
func (l *Layout) ForPlatform(desc ocispec.Descriptor, platform string) (ocispec.Descriptor, error) {
	if desc.MediaType != ocispec.MediaTypeImageIndex {
		img, err := l.Image(desc)
		if err != nil {
			return desc, err
		}
		return desc, OpenOptions{Platform: platform}.check([]Source{{Image: img}})
	}
	data, err := l.readBlob(desc.Digest)
	if err != nil {
		return desc, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return desc, fmt.Errorf("index %s: %w", desc.Digest, err)
	}
	missing := &PlatformError{Want: platform}
	for _, img := range index.Manifests {
		have := ""
		if img.Platform != nil {
			have = platforms.Format(*img.Platform)
		}
		if matches(have, platform) {
			return img, nil
		}
		missing.Have = append(missing.Have, have)
	}
	return desc, missing
}
