// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
)

// Result is what was done.
type Result struct {
	Plan   *Plan   // nil if it could not be made
	Phases []Phase // those that began; the last one says why not all was done
}

// Run looks, and copies what the other side lacks.
func (c *Copier) Run(ctx context.Context) (*Result, error) {
	result, err := c.Look(ctx)
	if err != nil {
		return result, err
	}
	plan := result.Plan
	phases := []func(context.Context, *Plan) (Phase, error){c.upload, c.put, c.readBack}
	if plan.Tag != nil {
		phases = append(phases, c.move)
	}
	for _, do := range phases {
		phase, err := do(ctx, plan)
		result.Phases = append(result.Phases, phase)
		if err != nil {
			return result, err
		}
	}
	return result, nil
}

// upload brings the blobs.
func (c *Copier) upload(ctx context.Context, plan *Plan) (phase Phase, err error) {
	var missing []int
	for i, b := range plan.Blobs {
		if b.How != StateThere {
			missing = append(missing, i)
		}
	}
	m := c.Show.Begin(Upload, len(missing), plan.Totals.UploadBytes)
	defer func() { phase = m.End(err) }()
	return phase, registry.Each(ctx, len(missing), func(ctx context.Context, i int) error {
		b := missing[i]
		err := c.send(ctx, c.tree.blobs[b], plan.Blobs[b].How, m)
		if err != nil {
			return fmt.Errorf("blob %s: %w", plan.Blobs[b].Digest, err)
		}
		m.Add(1, 0)
		return nil
	})
}

// sendings is how often a blob is sent whose reading breaks off.
const sendings = 5

// send brings one blob, which it reads while it sends it.
func (c *Copier) send(ctx context.Context, d v1.Descriptor, how string, m *record.Meter) error {
	for sending := 1; ; sending++ {
		source := &source{ctx: ctx, from: c.from, desc: d, meter: m}
		var layer v1.Layer = source
		if how == ByMount {
			layer = &remote.MountableLayer{Layer: source, Reference: c.from.repo.Digest(d.Digest.String())}
		}
		err := c.to.pusher.Upload(ctx, c.to.repo, layer)
		if err == nil || !source.broke.Load() || sending == sendings || ctx.Err() != nil {
			return err
		}
	}
}

// put brings the manifests, and lists what is attached to others.
func (c *Copier) put(ctx context.Context, plan *Plan) (phase Phase, err error) {
	m := c.Show.Begin(Putting, plan.Totals.New, 0)
	defer func() { phase = m.End(err) }()
	for _, groups := range c.batches(plan) {
		err := registry.Each(ctx, len(groups), func(ctx context.Context, i int) error {
			err := c.putAll(ctx, groups[i])
			if err != nil {
				return c.refused(err)
			}
			m.Add(len(groups[i]), 0)
			return nil
		})
		if err != nil {
			return phase, err
		}
	}
	return phase, nil
}

// batches are the manifests that the other side lacks. Those of one batch can go at the same time, in groups of what
// is attached to one manifest.
func (c *Copier) batches(plan *Plan) (all [][][]*node) {
	groups := map[int]map[v1.Hash][]*node{} // by step
	for i, n := range c.tree.nodes {
		if plan.Manifests[i].State == StateThere {
			continue
		}
		if groups[n.step] == nil {
			groups[n.step] = map[v1.Hash][]*node{}
		}
		by := n.desc.Digest
		if n.attached() {
			by = n.subject
		}
		groups[n.step][by] = append(groups[n.step][by], n)
	}
	for _, step := range slices.Sorted(maps.Keys(groups)) {
		all = append(all, slices.Collect(maps.Values(groups[step])))
	}
	return all
}

// putAll brings one manifest, or some that are attached to one.
func (c *Copier) putAll(ctx context.Context, group []*node) error {
	first := group[0]
	if !first.attached() {
		if err := c.to.pusher.Put(ctx, c.to.repo.Digest(first.desc.Digest.String()), first); err != nil {
			return fmt.Errorf("manifest %s: %w", first.desc.Digest, err)
		}
		return nil
	}
	var artifacts []referrer.Raw
	for _, n := range group {
		artifacts = append(artifacts, referrer.Raw{Descriptor: n.desc, Bytes: n.raw})
	}
	return c.to.attached.AddAll(ctx, first.subject, artifacts)
}

// RawManifest and MediaType make a node one that can be put.
func (n *node) RawManifest() ([]byte, error)        { return n.raw, nil }
func (n *node) MediaType() (types.MediaType, error) { return n.desc.MediaType, nil }

// readBack makes sure that the other side has every manifest, lists what is attached, and has
// each blob in its size.
func (c *Copier) readBack(ctx context.Context, _ *Plan) (phase Phase, err error) {
	nodes, blobs := c.tree.nodes, c.tree.blobs
	m := c.Show.Begin(ReadBack, len(nodes)+len(blobs), 0)
	defer func() { phase = m.End(err) }()
	lost := func(what string) error {
		return refuse(fmt.Sprintf("%s was copied to %s and is not there", what, c.to.repo), "copy once more; if it happens twice, the registry loses what it is given")
	}
	err = registry.Each(ctx, len(nodes), func(ctx context.Context, i int) error {
		defer m.Add(1, 0)
		_, _, err := c.to.attached.Manifest(ctx, nodes[i].desc.Digest) // checks the digest: the bytes are the same
		if registry.Absent(err) {
			err = lost("manifest " + nodes[i].desc.Digest.String())
		}
		return err
	})
	if err != nil {
		return phase, err
	}
	err = registry.Each(ctx, len(blobs), func(ctx context.Context, i int) error {
		defer m.Add(1, 0)
		there, err := c.to.blob(ctx, blobs[i])
		if err == nil && !there {
			err = lost("blob " + blobs[i].Digest.String())
		}
		return err
	})
	if err != nil {
		return phase, err
	}
	return phase, c.listed(ctx, lost)
}

// readings is how often a list is read that does not have all, with a pause between them that grows by
// firstPause: some registries keep theirs a little later than the manifests.
const (
	readings   = 5
	firstPause = 200 * time.Millisecond
)

// listed makes sure that the other side lists all that is attached.
func (c *Copier) listed(ctx context.Context, lost func(what string) error) error {
	for reading := 1; ; reading++ {
		lists, err := c.lists(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(c.tree.nodes, func(n *node) bool { return n.attached() && !isListed(lists[n.subject], n) })
		if i < 0 {
			return nil
		}
		if n := c.tree.nodes[i]; reading == readings {
			return lost(fmt.Sprintf("the entry of %s in the list of what is attached to %s", n.desc.Digest, n.subject))
		}
		select {
		case <-time.After(firstPause * time.Duration(reading)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// movings is how often a tag is sent whose answer does not come.
const movings = 5

// move moves the tag, and reads it.
func (c *Copier) move(ctx context.Context, plan *Plan) (phase Phase, err error) {
	m := c.Show.Begin(Tagging, 1, 0)
	defer func() { phase = m.End(err) }()
	for moving := 1; ; moving++ {
		now, err := c.tag(ctx)
		switch {
		case err != nil:
			return phase, err
		case now.State == StateThere:
			m.Add(1, 0)
			return phase, nil
		case moving > movings || now.from() != plan.Tag.from():
			return phase, refuse(fmt.Sprintf("tag %s named %s, was to move to %s, and names %s", c.Tag, plan.Tag.from(), c.root.Digest, now.from()), "somebody else moves it: look who, and copy once more")
		}
		if err := c.to.pusher.Put(ctx, c.to.repo.Tag(c.Tag), c.tree.known[c.root.Digest]); err != nil && !registry.Again(err) {
			return phase, fmt.Errorf("tag %s: %w", c.Tag, err)
		}
	}
}

// from is what a tag names, in words.
func (t *Tag) from() string {
	if t.From == nil {
		return "nothing"
	}
	return *t.From
}
