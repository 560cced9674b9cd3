// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/registry"
)

// readBack makes sure that the registry has what was pushed: it gives back every manifest and
// every configuration to the byte, and has each layer in its size. Garbage collection may have
// taken blobs meanwhile, and caches lie.
func (p *Publisher) readBack(ctx context.Context, plan *Plan) (phase Phase, err error) {
	layers := map[v1.Hash]int64{}
	var order []v1.Hash
	for _, c := range plan.Cells {
		for _, img := range p.images[c.Digest].images() {
			for _, l := range img.layers {
				if _, known := layers[l.Digest]; !known {
					order = append(order, l.Digest)
				}
				layers[l.Digest] = l.Size
			}
		}
	}
	var bytes int64
	if p.FullReadBack {
		for _, size := range layers {
			bytes += size
		}
	}
	m := p.Show.Begin(ReadBack, len(plan.Cells)+len(order), bytes)
	defer func() { phase = m.End(err) }()
	err = registry.Each(ctx, len(plan.Cells), func(ctx context.Context, i int) error {
		defer m.Add(1, 0)
		return p.same(ctx, plan.Cells[i])
	})
	if err != nil {
		return phase, err
	}
	err = registry.Each(ctx, len(order), func(ctx context.Context, i int) error {
		defer m.Add(1, 0)
		return p.layer(ctx, order[i], layers[order[i]], m)
	})
	if err != nil {
		return phase, err
	}
	for _, c := range plan.Cells {
		if err := p.journal.write(Entry{What: readBack, Cell: c.ID, Digest: c.Digest}); err != nil {
			return phase, err
		}
	}
	return phase, nil
}

// same reads a cell's manifests and configurations and compares them.
func (p *Publisher) same(ctx context.Context, cell Cell) error {
	want := p.images[cell.Digest]
	var ref name.Reference = p.repo.Tag(cell.Staging)
	if cell.settled() && (p.Images == nil || !p.stages(cell)) {
		ref = p.repo.Digest(cell.Digest)
	}
	desc, err := p.puller.Head(ctx, ref)
	if err != nil {
		return fmt.Errorf("%s: read back: %w", cell.ID, err)
	}
	if desc.Digest != want.desc.Digest {
		return failed(fmt.Errorf("%s: %s names %s, and %s was pushed", cell.ID, ref, desc.Digest, cell.Digest), "somebody else writes there: publish again")
	}
	got, err := readImage(ctx, remotely{p}, *desc)
	if err != nil {
		return fmt.Errorf("%s: read back: %w", cell.ID, err)
	}
	for i, m := range want.all() {
		if !bytes.Equal(m.raw, got.all()[i].raw) { // the digests are the same: the registry gives what it wants
			return failed(fmt.Errorf("%s: manifest %s comes back with other bytes", cell.ID, m.desc.Digest), "")
		}
	}
	return nil
}

// layer asks for a layer, or reads it whole.
func (p *Publisher) layer(ctx context.Context, hash v1.Hash, size int64, m *record.Meter) error {
	if !p.FullReadBack {
		there, err := p.has(ctx, p.repo, hash.String(), size)
		if err == nil && !there {
			err = failed(fmt.Errorf("layer %s was pushed and is not there", hash), "publish again; if it happens twice, the registry loses blobs")
		}
		return err
	}
	layer, err := p.puller.Layer(ctx, p.repo.Digest(hash.String()))
	if err != nil {
		return err
	}
	blob, err := layer.Compressed() // checks the digest at its end
	if err != nil {
		return fmt.Errorf("layer %s: %w", hash, err)
	}
	defer blob.Close()
	n, err := io.Copy(m, blob)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes, not %d", n, size)
	}
	if err != nil {
		return fmt.Errorf("layer %s: %w", hash, err)
	}
	return nil
}
