// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/containerd/containerd/v2/core/content"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
)

// pull brings the image of an OS from its registry into the store, every blob as it is
// there, and returns the digest of its manifest.
func (s *Store) pull(ctx context.Context, ref, platform string) (digest.Digest, error) {
	sources, closer, err := image.Open(ctx, ref, image.OpenOptions{Platform: platform})
	if err != nil {
		return "", registryError(err)
	}
	defer closer.Close()
	if err := s.keep(ctx, sources[0].Image); err != nil {
		return "", registryError(fmt.Errorf("%s: %w", ref, err))
	}
	return digest.Digest(sources[0].Digest.String()), nil
}

// keep writes the blobs of an image, the manifest last.
func (s *Store) keep(ctx context.Context, img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		if err := s.keepLayer(ctx, layer); err != nil {
			return err
		}
	}
	for _, part := range []func() ([]byte, error){img.RawConfigFile, img.RawManifest} {
		data, err := part()
		if err != nil {
			return err
		}
		desc := ocispec.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := content.WriteBlob(ctx, s.content, desc.Digest.String(), bytes.NewReader(data), desc); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) keepLayer(ctx context.Context, layer v1.Layer) error {
	hash, err := layer.Digest()
	if err != nil {
		return err
	}
	size, err := layer.Size()
	if err != nil {
		return err
	}
	desc := ocispec.Descriptor{Digest: digest.Digest(hash.String()), Size: size}
	if info, err := s.content.Info(ctx, desc.Digest); err == nil && info.Size == size {
		return nil
	}
	blob, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer blob.Close()
	return content.WriteBlob(ctx, s.content, desc.Digest.String(), blob, desc)
}

// registryError tells a registry that does not answer from one that says no.
func registryError(err error) error {
	var answer *transport.Error
	switch {
	case errors.Is(err, image.ErrNoImage), errors.Is(err, image.ErrBadReference):
		return err
	case errors.As(err, &answer) && answer.StatusCode < http.StatusInternalServerError && answer.StatusCode != http.StatusTooManyRequests:
		return fmt.Errorf("%w (log in to the registry, or name another image in the recipe of the OS)", err)
	}
	return &UnreachableError{What: "the registry", Err: err}
}
