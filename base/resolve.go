// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/registry"
)

// resolve finds out which image of its registry an OS starts from: its address by digest,
// for BuildKit to pull, and the digest of its manifest. The store keeps manifest and
// configuration, and no layer.
func (s *Store) resolve(ctx context.Context, ref, platform string) (address string, root digest.Digest, err error) {
	if transport, _, _ := strings.Cut(ref, ":"); transport == "oci" || strings.HasSuffix(transport, "-archive") {
		return "", "", fmt.Errorf("%s: %w: an OS starts from an image in a registry, which BuildKit pulls by itself", ref, image.ErrBadReference)
	}
	sources, closer, err := image.Open(ctx, ref, image.OpenOptions{Platform: platform})
	if err != nil {
		return "", "", registryError(err)
	}
	defer closer.Close()
	img := sources[0].Image
	for _, document := range []func() ([]byte, error){img.RawConfigFile, img.RawManifest} {
		data, err := document()
		if err != nil {
			return "", "", registryError(fmt.Errorf("%s: %w", ref, err))
		}
		desc := ocispec.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := content.WriteBlob(ctx, s.content, desc.Digest.String(), bytes.NewReader(data), desc); err != nil {
			return "", "", err
		}
	}
	return sources[0].Ref, digest.Digest(sources[0].Digest.String()), nil
}

// Pullable returns an error if BuildKit cannot pull the image that b starts from: the
// registry does not answer, which matches [ErrUnreachable], or has it no more.
func (s *Store) Pullable(ctx context.Context, b Base) error {
	if b.Image == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, closer, err := image.Open(ctx, b.Image, image.OpenOptions{Platform: b.Platform})
	if err == nil {
		return closer.Close()
	}
	if err = registryError(err); !errors.Is(err, ErrUnreachable) {
		err = fmt.Errorf("%w; --refresh looks which image the recipe's name has now", err)
	}
	return err
}

// registryError tells a registry that does not answer, or not now, from one that says no, and
// from one that is not asked because a login would go astray.
func registryError(err error) error {
	var answer *transport.Error
	var refused *registry.RefusedError
	switch {
	case errors.Is(err, image.ErrNoImage), errors.Is(err, image.ErrBadReference), errors.As(err, &refused):
		return err
	case errors.As(err, &answer) && answer.StatusCode < http.StatusInternalServerError && !registry.Busy(err):
		return fmt.Errorf("%w (log in to the registry, or name another image in the recipe of the OS)", err)
	}
	return &UnreachableError{What: "the registry", Err: err}
}
