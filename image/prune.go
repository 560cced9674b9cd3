// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"errors"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
)

// Pruned is what [Store.Prune] removed, or would remove.
type Pruned struct {
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

// Prune removes every blob that no entry of the index needs; with dryRun it only
// counts them. It removes nothing if an image of the index is not whole, because
// then it cannot tell what that image needs.
func (s *Store) Prune(ctx context.Context, dryRun bool) (Pruned, error) {
	needed, err := s.needed(ctx)
	if err != nil {
		return Pruned{}, err
	}
	var pruned Pruned
	var unneeded []digest.Digest
	err = s.content.Walk(ctx, func(info content.Info) error {
		if !needed[info.Digest] {
			pruned.Blobs++
			pruned.Bytes += info.Size
			unneeded = append(unneeded, info.Digest)
		}
		return nil
	})
	if dryRun {
		unneeded = nil
	}
	for _, d := range unneeded {
		err = errors.Join(err, s.content.Delete(ctx, d))
	}
	return pruned, err
}

func (s *Store) needed(ctx context.Context) (map[digest.Digest]bool, error) {
	entries, err := s.Entries()
	if err != nil {
		return nil, err
	}
	needed := map[digest.Digest]bool{}
	for _, entry := range entries {
		blobs, err := s.Blobs(ctx, entry)
		if err != nil {
			return nil, err
		}
		for _, blob := range blobs {
			needed[blob.Digest] = true
		}
	}
	return needed, nil
}
