// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
)

// Look reads what there is to copy, and what the other side lacks of it.
func (c *Copier) Look(ctx context.Context) (*Result, error) {
	plan, phase, err := c.look(ctx)
	return &Result{Plan: plan, Phases: []Phase{phase}}, err
}

func (c *Copier) look(ctx context.Context) (plan *Plan, phase Phase, err error) {
	m := c.Show.Begin(Looking, 0, 0)
	defer func() { phase = m.End(err) }()
	root, err := c.from.puller.Get(ctx, c.From)
	if err != nil {
		return nil, phase, err
	}
	c.root = v1.Descriptor{MediaType: root.MediaType, Digest: root.Digest, Size: root.Size}
	r := reader{side: c.from, count: m.Found}
	read, err := r.all(ctx, wanted{Descriptor: c.root, raw: root.Manifest})
	if err != nil {
		return nil, phase, err
	}
	if c.tree, err = grow(read, c.root); err != nil {
		next := ""
		if errors.Is(err, errGone) {
			next = "copy the images that are there by their digests, one by one"
		}
		return nil, phase, refuse(fmt.Sprintf("%s@%s cannot be copied: %v", c.from.repo, root.Digest, err), next)
	}
	plan = &Plan{From: c.from.repo.Name(), To: c.to.repo.Name(), Digest: root.Digest.String(), Manifests: []Manifest{}, Blobs: []Blob{}, Left: append([]string{}, c.tree.left...)}
	if plan.Manifests, err = c.manifests(ctx); err != nil {
		return nil, phase, err
	}
	plan.Blobs = make([]Blob, len(c.tree.blobs))
	err = registry.Each(ctx, len(c.tree.blobs), func(ctx context.Context, i int) (err error) {
		plan.Blobs[i], err = c.way(ctx, c.tree.blobs[i])
		return err
	})
	if err == nil && c.Tag != "" {
		plan.Tag, err = c.tag(ctx)
	}
	plan.sum()
	return plan, phase, err
}

// manifests says which manifests the other side has, and lists where they are to be listed.
func (c *Copier) manifests(ctx context.Context) ([]Manifest, error) {
	lists, err := c.lists(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Manifest, len(c.tree.nodes))
	return all, registry.Each(ctx, len(all), func(ctx context.Context, i int) error {
		n := c.tree.nodes[i]
		there, err := c.to.head(ctx, c.to.repo.Digest(n.desc.Digest.String()))
		if err != nil {
			return err
		}
		all[i] = Manifest{Digest: n.desc.Digest.String(), MediaType: string(n.desc.MediaType), State: StateNew}
		if n.attached() {
			all[i].Subject, all[i].Type = n.subject.String(), n.desc.ArtifactType
		}
		if there != nil && (!n.attached() || isListed(lists[n.subject], n)) {
			all[i].State = StateThere
		}
		return nil
	})
}

// lists reads the lists of the other side for all that something is attached to. One that cannot have any is no
// place for a copy.
func (c *Copier) lists(ctx context.Context) (map[v1.Hash][]referrer.Found, error) {
	lists := map[v1.Hash][]referrer.Found{}
	for _, n := range c.tree.nodes {
		if n.attached() {
			lists[n.subject] = nil
		}
	}
	subjects := slices.Collect(maps.Keys(lists))
	found := make([][]referrer.Found, len(subjects))
	err := registry.Each(ctx, len(subjects), func(ctx context.Context, i int) (err error) {
		found[i], err = c.to.attached.List(ctx, subjects[i])
		return err
	})
	for i, s := range subjects {
		lists[s] = found[i]
	}
	return lists, c.refused(err)
}

// isListed reports whether a list has a node as it is to be.
func isListed(found []referrer.Found, n *node) bool {
	return slices.ContainsFunc(found, func(f referrer.Found) bool { return f.Digest == n.desc.Digest.String() && f.Wrong == "" })
}

// refused explains the error of a registry that takes nothing that is attached.
func (c *Copier) refused(err error) error {
	if !errors.As(err, new(*referrer.NotListError)) && !errors.As(err, new(*referrer.RefusedError)) {
		return err
	}
	return &RefusedError{
		text:  fmt.Sprintf("%s cannot take what is attached to %s: %v", c.to.repo, c.root.Digest, err),
		hint:  "no tag has moved; 'skopeo copy --all' and 'crane copy' copy an image without what is attached to it",
		cause: err,
	}
}

// way is how a blob gets to the other side.
func (c *Copier) way(ctx context.Context, d v1.Descriptor) (Blob, error) {
	b := Blob{Digest: d.Digest.String(), Size: d.Size, How: ByUpload}
	there, err := c.to.blob(ctx, d)
	switch {
	case there:
		b.How = StateThere
	case c.from.repo.RegistryStr() == c.to.repo.RegistryStr():
		b.How = ByMount
	}
	return b, err
}

// tag is what becomes of the tag.
func (c *Copier) tag(ctx context.Context) (*Tag, error) {
	now, err := c.to.head(ctx, c.to.repo.Tag(c.Tag))
	if err != nil {
		return nil, err
	}
	t := &Tag{Name: c.Tag, State: StateNew}
	if now != nil {
		digest := now.Digest.String()
		t.From, t.State = &digest, StateMoved
		if now.Digest == c.root.Digest {
			t.State = StateThere
		}
	}
	return t, nil
}
