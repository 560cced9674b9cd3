// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/containerd/containerd/v2/core/content"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/registry"
)

// Send puts a cache that a BuildKit wrote into [Cache.Content] under the tag, in the place of what
// stands there, unless that is of the same plan. The blobs go first: whoever reads the tag finds all that it names.
func (c *Cache) Send(ctx context.Context, tag string, manifest ocispec.Descriptor, plan digest.Digest) record.Cache {
	repo, there := c.repos[c.To.Name()], c.entry(ctx, c.To, tag)
	done := record.Cache{Ref: there.Ref, State: record.CacheExported}
	if c.Current(ctx, tag, plan) {
		done.State = record.CacheCurrent
		return done
	}
	err := repo.silent()
	if there.State == record.CacheUnreachable {
		err = errors.New(there.Reason)
	}
	if err == nil {
		err = c.send(ctx, tag, manifest, plan)
	}
	if err != nil {
		done.State, done.Reason = record.CacheFailed, err.Error()
		if repo.refuse(err) && ctx.Err() == nil {
			c.log.Warn("the cache was not written; the images are not concerned", "cache", c.To.Name(), "error", err)
		}
	}
	return done
}

// Unmade says that no BuildKit has made what was to stand under the tag. One warning is enough.
func (c *Cache) Unmade(tag string, err error) record.Cache {
	failed := record.Cache{Ref: c.To.Tag(tag).Name(), State: record.CacheFailed, Reason: err.Error()}
	c.unmade.Do(func() {
		c.log.Warn("the cache was not written: no BuildKit made it; the images are there", "cache", failed.Ref, "error", failed.Reason)
	})
	return failed
}

func (c *Cache) send(ctx context.Context, tag string, desc ocispec.Descriptor, plan digest.Digest) error {
	if desc.Digest == "" {
		return errors.New("BuildKit made none")
	}
	data, err := content.ReadBlob(ctx, c.blobs, desc)
	if err != nil {
		return err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	m.Annotations = map[string]string{planAnnotation: plan.String()}
	if data, err = json.Marshal(m); err != nil {
		return err
	}
	pusher, blobs := c.repos[c.To.Name()].pusher, append(m.Layers, m.Config)
	err = registry.Each(ctx, len(blobs), func(ctx context.Context, i int) error {
		hash, err := v1.NewHash(blobs[i].Digest.String())
		if err != nil {
			return err
		}
		l := &layer{ctx: ctx, from: c.Content(), desc: blobs[i], hash: hash}
		if err := pusher.Upload(ctx, c.To, l); err != nil {
			return fmt.Errorf("blob %s: %w", hash, err)
		}
		if l.read.Load() > 0 { // else it was there
			c.sent.Add(l.desc.Size)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return pusher.Push(ctx, c.To.Tag(tag), raw{data, types.MediaType(m.MediaType)})
}

// silent returns why a registry is asked no more, nil if it has answered, be it with a refusal.
func (r *repository) silent() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer := (*transport.Error)(nil); errors.As(r.down, &answer) {
		return nil
	}
	return r.down
}

// refuse notes that a repository cannot be written, and reports whether that is new.
func (r *repository) refuse(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.refused
	r.refused, r.down = true, cmp.Or(r.down, err)
	return first
}

// raw is a manifest as it is.
type raw struct {
	data []byte
	kind types.MediaType
}

func (r raw) RawManifest() ([]byte, error)        { return r.data, nil }
func (r raw) MediaType() (types.MediaType, error) { return r.kind, nil }

// layer is a blob of a store as one that can be uploaded.
type layer struct {
	ctx  context.Context //nolint:containedctx // v1.Layer has none
	from content.Provider
	desc ocispec.Descriptor
	hash v1.Hash
	read atomic.Int64
}

var errCompressed = errors.New("only its compressed form is known")

func (l *layer) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l *layer) DiffID() (v1.Hash, error)             { return v1.Hash{}, errCompressed }
func (l *layer) Size() (int64, error)                 { return l.desc.Size, nil }
func (l *layer) MediaType() (types.MediaType, error)  { return types.OCILayer, nil } // for logs alone
func (l *layer) Uncompressed() (io.ReadCloser, error) { return nil, errCompressed }

func (l *layer) Compressed() (io.ReadCloser, error) {
	at, err := l.from.ReaderAt(l.ctx, l.desc)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{counted{content.NewReader(at), &l.read}, at}, nil
}
