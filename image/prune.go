// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Pruned is what [Store.Prune] removed, or would remove.
type Pruned struct {
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`

	// Unknown says of which entries of the index nobody knows what they need, one a line.
	// As long as there is one, blobs without an owner stay.
	Unknown error `json:"-"`
}

// Prune removes every blob that no entry of the index needs; with dryRun it only counts
// them. Of an image that is not whole, and of an index without all its images, as other
// tools may leave it, what is there stays. Entries with one of the full names in forget go first.
func (s *Store) Prune(ctx context.Context, dryRun bool, forget ...string) (Pruned, error) {
	entries, err := s.Entries()
	if err != nil {
		return Pruned{}, err
	}
	all := len(entries)
	entries = slices.DeleteFunc(entries, func(e ocispec.Descriptor) bool { return slices.Contains(forget, e.Annotations[FullNameAnnotation]) })
	if len(entries) < all && !dryRun {
		if err := s.writeIndex(entries); err != nil {
			return Pruned{}, err
		}
	}
	var pruned Pruned
	needed := map[digest.Digest]bool{}
	for _, entry := range entries {
		pruned.Unknown = errors.Join(pruned.Unknown, s.need(entry, needed))
	}
	if pruned.Unknown != nil {
		return pruned, nil
	}
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

// need notes what an entry of an index needs: all that can be reached from it. The error
// says why nobody can know.
func (s *Store) need(entry ocispec.Descriptor, needed map[digest.Digest]bool) error {
	needed[entry.Digest] = true
	if !isManifest(entry) {
		return fmt.Errorf("%s has media type %q, which is not known as that of an image", entry.Digest, entry.MediaType)
	}
	children, err := s.children(entry)
	if err != nil {
		return err
	}
	for _, child := range children {
		needed[child.Digest] = true
		if !types.MediaType(entry.MediaType).IsIndex() {
			continue
		}
		if wrong := s.need(child, needed); !errors.Is(wrong, fs.ErrNotExist) { // an index may have images that are elsewhere
			err = errors.Join(err, wrong)
		}
	}
	return err
}
