// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
)

// call is one reading of a layer that others may wait for.
type call struct {
	done  chan struct{}
	facts *layerFacts
	err   error
}

// layer returns the facts of one layer and whether they were known without
// reading the blob here. Of callers at the same time, one reads.
func (v *Verifier) layer(ctx context.Context, ref layerRef) (facts *layerFacts, known bool, err error) {
	for {
		c, mine := v.claim(ref.digest)
		if mine {
			c.facts, known, c.err = v.load(ctx, ref)
			v.release(ref.digest, c)
			return c.facts, known, c.err
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
		if c.err == nil {
			return c.facts, true, nil
		}
		if !errors.Is(c.err, context.Canceled) && !errors.Is(c.err, context.DeadlineExceeded) {
			return nil, false, c.err
		}
		// Whoever read it was cancelled; that is no reason for this caller to fail.
		if err := context.Cause(ctx); err != nil {
			return nil, false, err
		}
	}
}

func (v *Verifier) claim(digest string) (c *call, mine bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := v.layers[digest]; c != nil {
		return c, false
	}
	c = &call{done: make(chan struct{})}
	v.layers[digest] = c
	return c, true
}

// release publishes c. A failure is not remembered: the next caller tries again.
func (v *Verifier) release(digest string, c *call) {
	if c.err != nil {
		v.mu.Lock()
		delete(v.layers, digest)
		v.mu.Unlock()
	}
	close(c.done)
}

// load takes the facts from the cache or reads the blob.
func (v *Verifier) load(ctx context.Context, ref layerRef) (facts *layerFacts, known bool, err error) {
	if f := readCache(v.opts, ref.digest); f != nil {
		return f, true, nil
	}
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	src, err := ref.layer.Compressed()
	if err != nil {
		return nil, false, err
	}
	facts, err = scanLayer(ctx, src, ref.digest, v.opts)
	if err != nil {
		return nil, false, err
	}
	writeCache(v.opts.CacheDir, facts)
	return facts, false, nil
}
