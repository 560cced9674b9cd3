// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
)

// Bounds of what is copied at once. An image of ten platforms, each with ten signed documents,
// has some hundred manifests.
const (
	maxDepth     = 8
	maxManifests = 10_000
	maxBytes     = 256 << 20 // of manifests
)

// reader reads manifests.
type reader struct {
	side
	count     func() // is called for each
	manifests atomic.Int64
	bytes     atomic.Int64
}

// wanted is a manifest that is to be read.
type wanted struct {
	v1.Descriptor

	raw   []byte // nil if it is not known
	spare bool   // it belongs to what is attached: the copy goes on without it
}

// all reads a manifest, what it names, what is attached to any of these, and so on. What is wrong with one of them
// is in its node; the error is of what could not be read, or is too much.
func (r *reader) all(ctx context.Context, root wanted) (map[label]*node, error) {
	read := map[label]*node{}
	level := []wanted{root}
	for depth := 0; len(level) > 0; depth++ {
		nodes := make([]*node, len(level))
		err := registry.Each(ctx, len(level), func(ctx context.Context, i int) (err error) {
			if depth > maxDepth {
				nodes[i] = &node{wrong: fmt.Errorf("it is inside of others, or attached to them, more than %d deep", maxDepth)}
				return nil
			}
			nodes[i], err = r.node(ctx, level[i])
			return err
		})
		if err != nil {
			return nil, err
		}
		var next []wanted
		add := func(all []v1.Descriptor, spare bool) {
			for _, d := range all {
				if _, known := read[labelOf(d)]; !known {
					read[labelOf(d)] = nil // until it is read
					next = append(next, wanted{Descriptor: d, spare: spare})
				}
			}
		}
		for i, n := range nodes {
			read[labelOf(level[i].Descriptor)] = n
			add(n.names, level[i].spare)
		}
		for _, n := range nodes {
			add(n.listed, true)
		}
		level = next
	}
	return read, nil
}

// node reads one manifest, and what is attached to it.
func (r *reader) node(ctx context.Context, w wanted) (*node, error) {
	defer r.count()
	n := &node{desc: v1.Descriptor{MediaType: w.MediaType, Digest: w.Digest}, raw: w.raw}
	if n.raw == nil {
		raw, _, err := r.attached.Manifest(ctx, w.Digest)
		switch {
		case registry.Absent(err):
			return &node{wrong: errGone}, nil
		case registry.Unread(err):
			return nil, err
		case err != nil:
			return &node{wrong: err}, nil
		}
		n.raw = raw
	}
	n.desc.Size = int64(len(n.raw))
	err := n.parse()
	if err == nil && w.spare {
		err = r.blobs(ctx, n)
	}
	switch {
	case registry.Unread(err):
		return nil, err
	case err != nil:
		return &node{wrong: err}, nil
	}
	if err := r.list(ctx, n); err != nil {
		return nil, err
	}
	if r.bytes.Add(n.desc.Size) > maxBytes || r.manifests.Add(int64(len(n.names)+len(n.listed))) >= maxManifests {
		return nil, refuse(fmt.Sprintf("%s@%s: with it there are more than %d manifests, or %d bytes of them", r.repo, w.Digest, maxManifests, maxBytes), "")
	}
	return n, nil
}

// parse fills in what a manifest says. Blobs that registries need not have, since they are at other addresses, are not copied.
func (n *node) parse() error {
	var about *v1.Descriptor
	switch t := n.desc.MediaType; {
	case t.IsIndex():
		index, err := image.ParseIndex(n.raw, t)
		if err != nil {
			return fmt.Errorf("it cannot be read: %w", err)
		}
		about, n.names = index.Subject, index.Manifests
		n.desc.ArtifactType, n.desc.Annotations = index.ArtifactType, index.Annotations
	case t.IsImage():
		m, err := image.ParseManifest(n.raw, t)
		if err != nil {
			return fmt.Errorf("it cannot be read: %w", err)
		}
		about = m.Subject
		n.desc.ArtifactType, n.desc.Annotations = cmp.Or(m.ArtifactType, string(m.Config.MediaType)), m.Annotations
		for _, b := range append([]v1.Descriptor{m.Config}, m.Layers...) {
			if b.Digest == (v1.Hash{}) || b.Size < 0 {
				return errors.New("it has a layer or configuration without digest or size")
			}
			if b.MediaType.IsDistributable() {
				n.blobs = append(n.blobs, b)
			}
		}
	default:
		return fmt.Errorf("it is a %.100q, neither an image nor an index of images", t)
	}
	if about != nil {
		n.subject = about.Digest
	}
	return nil
}

// blobs looks for what a manifest names.
func (r *reader) blobs(ctx context.Context, n *node) error {
	for _, b := range n.blobs {
		if there, err := r.blob(ctx, b); err != nil {
			return err
		} else if !there {
			return fmt.Errorf("it names blob %s, and %w", b.Digest, errGone)
		}
	}
	return nil
}

// list reads what is attached to a manifest.
func (r *reader) list(ctx context.Context, n *node) error {
	found, err := r.attached.List(ctx, n.desc.Digest)
	if noList := (*referrer.NotListError)(nil); errors.As(err, &noList) {
		n.noList = err
		return nil
	}
	for _, f := range found {
		if f.Digest == "" {
			n.bad = append(n.bad, f.Wrong)
			continue
		}
		digest, err := v1.NewHash(f.Digest)
		if err != nil {
			return err
		}
		n.listed = append(n.listed, v1.Descriptor{MediaType: types.MediaType(f.MediaType), Digest: digest})
	}
	return err
}
