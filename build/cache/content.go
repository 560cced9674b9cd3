// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// blob is one that a cache has.
type blob struct {
	cache *Cache
	repo  *repository // the first that has it
	desc  ocispec.Descriptor
	of    []*Entry // guarded by Cache.mu

	once sync.Once
	err  error // valid once it is done
}

// Content returns the store in which a BuildKit finds all that entries name. What is written to it
// goes where fetched blobs go.
func (c *Cache) Content() content.Store { return stored{c.blobs, c} }

// stored adds what can be fetched to what is there.
type stored struct {
	content.Store

	*Cache
}

var _ content.Store = stored{}

// Info implements content.Store. It fetches nothing.
func (s stored) Info(ctx context.Context, d digest.Digest) (content.Info, error) {
	if _, info, ok := s.local(ctx, d); ok {
		return info, nil
	}
	if b := s.blob(d); b != nil {
		return content.Info{Digest: d, Size: b.desc.Size}, nil
	}
	return content.Info{}, fmt.Errorf("blob %s: %w", d, errdefs.ErrNotFound)
}

// ReaderAt implements content.Store. What is not here is here when it returns.
func (s stored) ReaderAt(ctx context.Context, desc ocispec.Descriptor) (content.ReaderAt, error) {
	if at, _, ok := s.local(ctx, desc.Digest); ok {
		return at.ReaderAt(ctx, desc)
	}
	b := s.blob(desc.Digest)
	if b == nil {
		return nil, fmt.Errorf("blob %s: %w", desc.Digest, errdefs.ErrNotFound)
	}
	if err := b.fetch(); err != nil {
		return nil, err
	}
	return s.Store.ReaderAt(ctx, desc)
}

// local returns the store on this machine that has a blob.
func (c *Cache) local(ctx context.Context, d digest.Digest) (content.Store, content.Info, bool) {
	for _, store := range append([]content.Store{c.blobs}, c.have...) {
		if info, err := store.Info(ctx, d); err == nil {
			return store, info, true
		}
	}
	return nil, content.Info{}, false
}

func (c *Cache) blob(d digest.Digest) *blob {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[d]
}

// fetch brings the blob here. One that cannot be had breaks all entries that name it.
func (b *blob) fetch() error {
	b.once.Do(func() {
		c := b.cache
		if b.err = c.begin(); b.err != nil {
			return
		}
		defer c.fetching.Done()
		done := c.show(fmt.Sprintf("[cache] fetch %.1f MB, %.19s", float64(b.desc.Size)/1e6, b.desc.Digest))
		b.err = b.download(c.ctx)
		if done(b.err); b.err == nil || c.ctx.Err() != nil {
			return
		}
		b.err = fmt.Errorf("%s, blob %s: %w", b.repo.Name(), b.desc.Digest, b.err)
		c.log.Warn("a cache is not whole; what it lacks is built", "error", b.err)
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, e := range b.of {
			e.broken = b.err
		}
	})
	return b.err
}

// begin lets Close wait for a fetch.
func (c *Cache) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return context.Canceled
	}
	c.fetching.Add(1)
	return nil
}

func (b *blob) download(ctx context.Context) error {
	layer, err := b.repo.puller.Layer(ctx, b.repo.Digest(b.desc.Digest.String()))
	if err != nil {
		return err
	}
	r, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer r.Close()
	bounded := io.LimitReader(r, b.desc.Size+1) // one more than there may be is refused
	return content.WriteBlob(ctx, b.cache.blobs, "cache-"+b.desc.Digest.String(), counted{bounded, &b.cache.fetched}, b.desc)
}

// counted adds what is read to a sum.
type counted struct {
	io.Reader

	sum *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.sum.Add(int64(n))
	return n, err
}

func write(ctx context.Context, to content.Store, desc ocispec.Descriptor, data []byte) error {
	return content.WriteBlob(ctx, to, "cache-"+desc.Digest.String(), bytes.NewReader(data), desc)
}
