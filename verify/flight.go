// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"maps"

	"github.com/google/go-containerregistry/pkg/v1/partial"
)

// call is one reading of a layer that others may wait for.
type call struct {
	done   chan struct{}
	facts  *layerFacts
	err    error
	landed bool // done is closed; under the Verifier's lock
}

// layer returns the facts of one layer and whether they were known without
// reading the blob here. Of callers at the same time, one reads.
func (v *Verifier) layer(ctx context.Context, ref layerRef) (facts *layerFacts, known bool, err error) {
	if ref.foreign { // nothing but the registry is asked
		f := &layerFacts{Rules: RulesVersion(), Digest: ref.digest}
		f.unreadable("the content lies outside the registry, at URLs in the manifest, which are not followed")
		return f, false, nil
	}
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
// Too many facts are not either; whoever waits for some has them in his call.
func (v *Verifier) release(digest string, c *call) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c.landed = true
	close(c.done)
	if c.err != nil {
		delete(v.layers, digest)
	} else if v.weight += c.facts.weight(); v.weight > maxFacts {
		v.weight = 0
		maps.DeleteFunc(v.layers, func(_ string, c *call) bool { return c.landed })
	}
}

// load takes the facts from the cache or reads the blob. A blob that is known is
// not read again, but it must be there, and be as long as the manifest says.
func (v *Verifier) load(ctx context.Context, ref layerRef) (facts *layerFacts, known bool, err error) {
	if f := readCache(v.opts, ref.digest); f != nil && f.Size == ref.size {
		exists, err := partial.Exists(ref.layer)
		if err == nil && !exists {
			err = errors.New("the blob is missing")
		}
		return f, true, err
	}
	facts, err = v.read(ctx, ref, "")
	if err != nil {
		return nil, false, err
	}
	v.sweep.Do(func() { sweepCache(v.opts.CacheDir) })
	writeCache(v.opts, facts)
	return facts, false, nil
}
