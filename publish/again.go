// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/stream"

	"github.com/cudabuild/cudabuild/registry"
)

// anyDigest finds the digests in an error's detail, which has no form that is agreed on.
var anyDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// lacks reports whether a registry did not take a manifest of an image because it lacks what
// that names, and returns the blobs: all of them if it does not say what it lacks, and none
// if that is a manifest.
func lacks(err error, img *manifest) (blobs []v1.Descriptor, some bool) {
	var answer *transport.Error
	if !errors.As(err, &answer) || !slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool {
		return d.Code == transport.ManifestBlobUnknownErrorCode || d.Code == transport.BlobUnknownErrorCode
	}) {
		return nil, false
	}
	named := anyDigest.FindAllString(fmt.Sprint(answer.Errors), -1)
	for _, b := range img.blobs() {
		if len(named) == 0 || slices.Contains(named, b.Digest.String()) {
			blobs = append(blobs, b)
		}
	}
	return blobs, true
}

// sendAgain brings blobs into the repository without asking whether they are there.
func (p *Publisher) sendAgain(ctx context.Context, blobs []v1.Descriptor) error {
	uncounted := Show(func(Phase, bool) {}).Begin("", 0, 0) // they were counted the first time
	return registry.Each(ctx, len(blobs), func(ctx context.Context, i int) error {
		b := blobs[i]
		err := p.pusher.Upload(ctx, p.repo, &anew{blob: blob{images: p.Images, hash: b.Digest, size: b.Size, meter: uncounted}})
		if err != nil {
			return fmt.Errorf("blob %s: %w", b.Digest, err)
		}
		return nil
	})
}

// anew is a blob that does not tell its digest before it is read. What may have any digest is
// neither asked for nor left away because it was sent before.
type anew struct {
	blob

	read atomic.Bool
}

func (b *anew) Digest() (v1.Hash, error) {
	if !b.read.Load() {
		return v1.Hash{}, stream.ErrNotComputed
	}
	return b.hash, nil
}

func (b *anew) Compressed() (io.ReadCloser, error) {
	b.read.Store(true)
	return b.blob.Compressed()
}
