// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/registry"
)

// upload brings blobs and manifests into the repository, under staging tags.
func (p *Publisher) upload(ctx context.Context, plan *Plan) (phase Phase, err error) {
	var blobs []Blob
	for _, c := range plan.Cells {
		blobs = append(blobs, slices.DeleteFunc(slices.Clone(c.Uploads), func(b Blob) bool { return b.How == There })...)
	}
	m := p.Show.Begin(Upload, len(blobs), plan.Totals.UploadBytes)
	defer func() { phase = m.End(err) }()
	err = registry.Each(ctx, len(blobs), func(ctx context.Context, i int) error { return p.send(ctx, blobs[i], m) })
	if err != nil {
		return phase, err
	}
	return phase, registry.Each(ctx, len(plan.Cells), func(ctx context.Context, i int) error { return p.stage(ctx, plan.Cells[i]) })
}

// send brings one blob into the repository.
func (p *Publisher) send(ctx context.Context, b Blob, m *record.Meter) error {
	hash, err := v1.NewHash(b.Digest)
	if err != nil {
		return err
	}
	var layer v1.Layer = &blob{images: p.Images, hash: hash, size: b.Size, meter: m}
	if b.How == Mount {
		from, err := name.NewRepository(b.From)
		if err != nil {
			return err
		}
		layer = &remote.MountableLayer{Layer: layer, Reference: from.Digest(b.Digest)}
	}
	if err := p.pusher.Upload(ctx, p.repo, layer); err != nil {
		return p.damaged(ctx, fmt.Errorf("blob %s: %w", b.Digest, err), b.Digest)
	}
	m.Add(1, 0)
	return p.journal.write(Entry{What: uploaded, Digest: b.Digest})
}

// damaged explains why a registry does not take blobs, or why nobody can read them: a file is
// not what its name says.
func (p *Publisher) damaged(ctx context.Context, err error, blobs ...string) error {
	for _, b := range blobs {
		path := image.BlobPath(p.Images.Dir(), digest.Digest(b))
		if whole, wrong := image.Matches(ctx, path, digest.Digest(b)); wrong == nil && !whole {
			return fmt.Errorf("%s does not have the digest that is its name; 'cudabuild matrix' makes it anew: %w", path, err)
		}
	}
	return err
}

// stage puts the manifests of a cell into the repository, children first, the last one under
// the staging tag, if the cell needs one.
//
// A registry may say then that it lacks a blob that it was given, or said to have: garbage was
// collected meanwhile, or a cache lied. It gets that one again, once.
func (p *Publisher) stage(ctx context.Context, cell Cell) error {
	if !p.stages(cell) {
		return nil
	}
	img := p.images[cell.Digest]
	err := p.putAll(ctx, cell.Staging, img)
	if lost, some := lacks(err, img); some {
		if err = p.sendAgain(ctx, lost); err == nil {
			err = p.putAll(ctx, cell.Staging, img)
		}
		if _, still := lacks(err, img); still {
			err = failed(fmt.Errorf("the registry lacks what it was sent twice: %w", err), "it loses blobs, or collects garbage just now: publish again later")
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", cell.ID, err)
	}
	return p.journal.write(Entry{What: staged, Cell: cell.ID, Digest: cell.Digest, Tag: cell.Staging})
}

func (p *Publisher) putAll(ctx context.Context, tag string, img *manifest) error {
	for _, child := range img.children {
		if err := p.pusher.Put(ctx, p.repo.Digest(child.desc.Digest.String()), child); err != nil {
			return err
		}
	}
	return p.put(ctx, tag, img)
}

// stages reports whether a cell gets a staging tag: not if all its tags name its image already,
// unless another run is to find it there, or a GPU host.
func (p *Publisher) stages(c Cell) bool {
	return p.StageOnly || !c.settled() || slices.ContainsFunc(c.Gates, func(g Gate) bool { return g.State == Missing })
}

// settled reports whether all tags of a cell name its image, and all blobs are there.
func (c Cell) settled() bool {
	return !slices.ContainsFunc(c.Tags, func(t Tag) bool { return t.Move != Same }) &&
		!slices.ContainsFunc(c.Uploads, func(b Blob) bool { return b.How != There })
}

// blob is a file of the layout as a layer that can be uploaded.
type blob struct {
	images *image.Layout
	hash   v1.Hash
	size   int64
	meter  *record.Meter
	opened atomic.Int32
}

var (
	errDamaged    = errors.New("the blob is damaged")
	errCompressed = errors.New("only its compressed form is known")
)

func (b *blob) Digest() (v1.Hash, error)             { return b.hash, nil }
func (b *blob) DiffID() (v1.Hash, error)             { return v1.Hash{}, errCompressed }
func (b *blob) Size() (int64, error)                 { return b.size, nil }
func (b *blob) MediaType() (types.MediaType, error)  { return types.OCILayer, nil } // for logs alone
func (b *blob) Uncompressed() (io.ReadCloser, error) { return nil, errCompressed }

// Compressed opens the file anew, for each attempt; what an attempt that ended early has sent
// does not count. Before a second attempt it is hashed: what is damaged is not sent again and
// again. The first opens it twice: go-containerregistry, and our client for what it sends.
func (b *blob) Compressed() (io.ReadCloser, error) {
	path, want := image.BlobPath(b.images.Dir(), digest.Digest(b.hash.String())), digest.Digest(b.hash.String())
	if b.opened.Add(1) == 3 {
		if whole, err := image.Matches(context.Background(), path, want); err != nil || !whole {
			return nil, cmp.Or(err, errDamaged)
		}
	}
	file, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	return &counted{ReadCloser: file, blob: b}, nil
}

type counted struct {
	io.ReadCloser

	blob *blob
	read int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.read += int64(n)
	c.blob.meter.Add(0, int64(n))
	return n, err
}

func (c *counted) Close() error {
	if c.read < c.blob.size {
		c.blob.meter.Add(0, -c.read)
		c.read = 0
	}
	return c.ReadCloser.Close()
}

// compression is that of the layers of all images: [matrix.Zstd] if any has it.
func (p *Publisher) compression() string {
	for _, m := range p.images {
		for _, img := range m.images() {
			if slices.ContainsFunc(img.layers, func(l v1.Descriptor) bool { return l.MediaType == types.OCILayerZStd }) {
				return matrix.Zstd
			}
		}
	}
	return matrix.Gzip
}
