// SPDX-License-Identifier: Apache-2.0

// Package layer reads one layer of an image and says what it holds, whatever image it is part of:
// [Reader.Facts]. A [Reader] remembers the layers that it has read, in memory and in a cache on disk,
// and has each read once, however many ask at a time.
//
// What layers are together is package view's.
package layer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// Options are those of package verify, whose names they have, without its defaults.
type Options struct {
	CacheDir      string
	TrustDigests  bool
	TempDir       string
	Parallel      int
	MaxLayerBytes int64
	MaxEntries    int
	MaxRatio      int64
	MaxRatioAfter int64
	Nested        bool
	Version       string // of the code: facts that another one has cached are not used; "" has none cached
}

// Ref is one layer as a manifest names it.
type Ref struct {
	Digest  string
	Size    int64
	Foreign bool // its content lies at URLs outside the registry
	Layer   v1.Layer
	copy    image.Copy // where its bytes lie
}

// Reader reads layers. It is safe for concurrent use.
type Reader struct {
	opts  Options
	slots *semaphore
	sweep sync.Once // of the cache

	mu     sync.Mutex
	layers map[copyKey]*call
	weight int64           // of the facts in layers
	fresh  map[string]bool // digests of layers that were read and kept
}

// maxFacts bounds what is kept in memory of the layers of one image, in bytes, and
// from where on a Reader forgets layers that it may not need again. Eight bytes
// a path: a large image has half a million of them.
const maxFacts = 64 << 20

// NewReader returns a Reader with an empty memory.
func NewReader(opts Options) *Reader {
	if opts.Version == "" {
		opts.CacheDir = ""
	}
	opts.CacheDir = ownCache(opts.CacheDir)
	return &Reader{opts: opts, slots: newSemaphore(opts.Parallel), layers: map[copyKey]*call{}, fresh: map[string]bool{}}
}

// Memory is how many bytes the Reader keeps within if garbage is collected in time.
func (r *Reader) Memory() int64 { return int64(140+60*r.opts.Parallel) << 20 }

// All returns the facts of the layers of one image, in order, and how each was come by.
func (r *Reader) All(ctx context.Context, layers []Ref) ([]*Facts, []Origin, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from := make([]Origin, len(layers))
	var weight atomic.Int64
	facts, errs := each(layers, cancel, func(i int, ref Ref) (f *Facts, err error) {
		f, from[i], err = r.Facts(ctx, ref)
		if err == nil && weight.Add(f.weight()) > maxFacts {
			err = errTooMuch
		}
		return f, err
	})
	return facts, from, firstCause(errs)
}

// Watch is All for a question about the paths with a base name: every layer is read, whatever is
// known about it already, and its facts tell what it has there.
func (r *Reader) Watch(ctx context.Context, layers []Ref, base string) ([]*Facts, error) {
	facts, errs := each(layers, func() {}, func(_ int, ref Ref) (*Facts, error) {
		if ref.Foreign {
			f := r.foreign(ref)
			f.Seen = newRecorder(base)
			return f, nil
		}
		return r.read(ctx, ref, base)
	})
	return facts, errors.Join(errs...)
}

// each has all layers read at the same time. failed is called after each error.
func each(layers []Ref, failed func(), read func(i int, ref Ref) (*Facts, error)) ([]*Facts, []error) {
	facts, errs := make([]*Facts, len(layers)), make([]error, len(layers))
	var wg sync.WaitGroup
	for i, ref := range layers {
		wg.Go(func() {
			var err error
			if facts[i], err = read(i, ref); err != nil {
				errs[i] = fmt.Errorf("layer %d (%s): %w", i, ref.Digest, err)
				failed()
			}
		})
	}
	wg.Wait()
	return facts, errs
}

// errTooMuch means that the layers hold more than fits in bounded memory.
var errTooMuch = errors.New("the layers hold more paths and findings than can be judged")

// firstCause prefers the error that made the others give up.
func firstCause(errs []error) error {
	var first error
	for _, err := range errs {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = err
		}
	}
	return first
}

// foreign says of a layer only that it is not read: nothing but the registry is asked.
func (r *Reader) foreign(ref Ref) *Facts {
	f := &Facts{Version: r.opts.Version, Digest: ref.Digest}
	f.unreadable("the content lies outside the registry, at URLs in the manifest, which are not followed")
	return f
}

// unreadable records what is wrong with the layer as a whole; no limit applies to it.
func (f *Facts) unreadable(why string) {
	f.Hits = append(f.Hits, Hit{Rule: rules.Unreadable, Detail: why})
}
