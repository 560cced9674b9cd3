// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/referrer"
)

// Bounds of what is copied at once. An image of ten platforms, each with ten signed documents,
// has some hundred manifests.
const (
	maxDepth     = 8
	maxManifests = 10_000
	maxBytes     = 256 << 20 // of manifests
)

// node is a manifest that is to be copied.
type node struct {
	desc    v1.Descriptor // with the artifact's type and annotations, as a list has them
	raw     []byte
	subject v1.Hash // what it is attached to; its zero value if it is not
}

// attached reports whether a node has a subject.
func (n *node) attached() bool { return n.subject != v1.Hash{} }

// tree is all that is copied.
type tree struct {
	nodes []*node // what a node names, or is attached to, comes before it
	blobs []v1.Descriptor
	left  []string

	known map[v1.Hash]bool // manifests and blobs
	bytes int
	count func() // is called for each manifest
}

// errGone is a manifest that the repository does not have.
var errGone = errors.New("the repository does not have it")

// grow reads a manifest, what it names, and what is attached to it. One that is listed as attached
// to subject is left if it is not.
func (t *tree) grow(ctx context.Context, from side, d v1.Descriptor, subject v1.Hash, depth int) error {
	if t.known[d.Digest] {
		return nil
	}
	if depth > maxDepth {
		return refuse(fmt.Sprintf("%s@%s: manifests inside each other, more than %d deep", from.repo, d.Digest, maxDepth), "")
	}
	n, below, err := t.read(ctx, from, d, subject)
	if err != nil || n == nil {
		return err
	}
	t.known[d.Digest] = true
	for _, child := range below {
		if err := t.grow(ctx, from, child, v1.Hash{}, depth+1); errors.Is(err, errGone) {
			return refuse(fmt.Sprintf("%s@%s names %s, and the repository does not have it", from.repo, d.Digest, child.Digest), "copy the images that are there by their digests, one by one")
		} else if err != nil {
			return err
		}
	}
	t.nodes = append(t.nodes, n)
	t.count()
	found, err := from.attached.List(ctx, d.Digest)
	var noList *referrer.NotListError
	switch {
	case errors.As(err, &noList): // nobody has ever found anything there
		t.left = append(t.left, err.Error())
		return nil
	case err != nil:
		return err
	}
	for _, f := range found {
		hash, err := v1.NewHash(f.Digest)
		if err != nil {
			return err
		}
		a := v1.Descriptor{MediaType: types.MediaType(f.MediaType), Size: f.Size, Digest: hash}
		if err := t.grow(ctx, from, a, d.Digest, depth+1); errors.Is(err, errGone) {
			t.left = append(t.left, fmt.Sprintf("%s is listed as attached to %s, and the repository does not have it", f.Digest, d.Digest))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// read reads one manifest, and returns the manifests that it names; it adds its blobs. The
// node is nil if it is listed as attached to what it is not.
func (t *tree) read(ctx context.Context, from side, d v1.Descriptor, subject v1.Hash) (n *node, below []v1.Descriptor, err error) {
	raw, _, err := from.attached.Manifest(ctx, d.Digest)
	if absent(err) {
		return nil, nil, fmt.Errorf("%w: %w", errGone, err)
	}
	if err != nil {
		return nil, nil, err
	}
	place := fmt.Sprintf("%s@%s", from.repo, d.Digest)
	t.bytes += len(raw)
	if len(t.nodes) >= maxManifests || t.bytes > maxBytes {
		return nil, nil, refuse(fmt.Sprintf("%s: more than %d manifests, or %d bytes of them", place, maxManifests, maxBytes), "")
	}
	var about *v1.Descriptor
	n = &node{desc: v1.Descriptor{MediaType: d.MediaType, Size: int64(len(raw)), Digest: d.Digest}, raw: raw}
	switch {
	case d.MediaType.IsIndex():
		index, err := image.ParseIndex(raw, d.MediaType)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", place, err)
		}
		about, below = index.Subject, index.Manifests
		n.desc.ArtifactType, n.desc.Annotations = index.ArtifactType, index.Annotations
	case d.MediaType.IsImage():
		m, err := image.ParseManifest(raw, d.MediaType)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", place, err)
		}
		about = m.Subject
		n.desc.ArtifactType, n.desc.Annotations = cmp.Or(m.ArtifactType, string(m.Config.MediaType)), m.Annotations
		if err := t.add(append([]v1.Descriptor{m.Config}, m.Layers...)); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", place, err)
		}
	default:
		return nil, nil, refuse(fmt.Sprintf("%s: a %.100q, neither an image nor an index of images", place, d.MediaType), "")
	}
	if about != nil {
		n.subject = about.Digest
	}
	if subject != (v1.Hash{}) && n.subject != subject {
		t.left = append(t.left, fmt.Sprintf("%s is listed as attached to %s, and is not", d.Digest, subject))
		return nil, nil, nil
	}
	return n, below, nil
}

// add adds blobs. What registries need not have, since it is at other addresses, is not copied.
func (t *tree) add(blobs []v1.Descriptor) error {
	for _, b := range blobs {
		switch {
		case b.Digest == v1.Hash{} || b.Size < 0:
			return errors.New("a layer or configuration without digest or size")
		case t.known[b.Digest] || !b.MediaType.IsDistributable():
		default:
			t.known[b.Digest] = true
			t.blobs = append(t.blobs, b)
		}
	}
	return nil
}
