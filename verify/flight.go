// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/partial"

	"github.com/cudabuild/cudabuild/image"
)

// call is one reading of a layer that others may wait for.
type call struct {
	done   chan struct{}
	facts  *layerFacts
	from   origin
	err    error
	landed bool // done is closed; under the Verifier's lock
}

// origin is how facts of a layer were come by.
type origin int

const (
	readHere origin = iota // from the blob
	shared                 // from the blob, by whoever asked for the same copy first
	known                  // from the cache
)

// copyKey is what layers have in common that need only one reading: not the digest that
// they claim alone, but the bytes.
type copyKey struct {
	digest string
	copy   image.Copy
	layer  any // itself, where nothing is known about the place of its bytes
}

func keyOf(ref layerRef) copyKey {
	k := copyKey{digest: ref.digest, copy: ref.copy}
	if k.copy == (image.Copy{}) {
		k.layer = ref.layer
		if !reflect.TypeOf(ref.layer).Comparable() {
			k.layer = new(int) // nothing else is equal to it
		}
	}
	return k
}

// layer returns the facts of one layer. Of callers at the same time that ask for the
// same copy, one reads.
func (v *Verifier) layer(ctx context.Context, ref layerRef) (*layerFacts, origin, error) {
	if ref.foreign { // nothing but the registry is asked
		f := &layerFacts{Rules: RulesVersion(), Digest: ref.digest}
		f.unreadable("the content lies outside the registry, at URLs in the manifest, which are not followed")
		return f, readHere, nil
	}
	var err error
	if ref.copy, err = image.CopyOf(ref.layer); err != nil {
		return nil, readHere, err
	}
	key := keyOf(ref)
	for {
		c, mine := v.claim(key)
		if mine {
			c.facts, c.from, c.err = v.load(ctx, ref)
			v.release(key, c)
			return c.facts, c.from, c.err
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil, readHere, context.Cause(ctx)
		}
		if c.err == nil {
			return c.facts, max(c.from, shared), nil
		}
		if !errors.Is(c.err, context.Canceled) && !errors.Is(c.err, context.DeadlineExceeded) {
			return nil, readHere, c.err
		}
		// Whoever read it was cancelled; that is no reason for this caller to fail.
		if err := context.Cause(ctx); err != nil {
			return nil, readHere, err
		}
	}
}

func (v *Verifier) claim(key copyKey) (c *call, mine bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := v.layers[key]; c != nil {
		return c, false
	}
	c = &call{done: make(chan struct{})}
	v.layers[key] = c
	return c, true
}

// release publishes c. A failure is not remembered: the next caller tries again.
// Too many facts are not either; whoever waits for some has them in his call.
func (v *Verifier) release(key copyKey, c *call) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c.landed = true
	close(c.done)
	if c.err != nil {
		delete(v.layers, key)
	} else if v.weight += c.facts.weight(); v.weight > maxFacts {
		v.weight = 0
		maps.DeleteFunc(v.layers, func(_ copyKey, c *call) bool { return c.landed })
	}
}

// load takes the facts from the cache or reads the blob.
func (v *Verifier) load(ctx context.Context, ref layerRef) (*layerFacts, origin, error) {
	cached := readCache(v.opts, ref.digest)
	if cached != nil && cached.Size == ref.size && slices.Contains(cached.Copies, ref.copy) && !v.wasRead(ref) {
		touchCache(v.opts, ref.digest)
		return cached, known, isThere(ref)
	}
	if err := settle(ctx, ref.copy); err != nil {
		return nil, readHere, err
	}
	facts, err := v.read(ctx, ref, "")
	if err != nil {
		return nil, readHere, err
	}
	if after, err := image.CopyOf(ref.layer); err == nil && after == ref.copy {
		v.keep(ref, facts, cached)
	}
	return facts, readHere, nil
}

// keep writes facts to the cache, with the copies that had them before.
func (v *Verifier) keep(ref layerRef, facts, before *layerFacts) {
	v.mu.Lock()
	v.fresh[ref.digest] = true
	v.mu.Unlock()
	facts.Copies = []image.Copy{ref.copy}
	for _, c := range before.copies() {
		if c != ref.copy && len(facts.Copies) < maxCopies {
			facts.Copies = append(facts.Copies, c)
		}
	}
	v.sweep.Do(func() { sweepCache(v.opts.CacheDir, maxCache) })
	writeCache(v.opts, facts)
}

// wasRead reports whether facts of a layer whose place is not known come from another one
// that this Verifier has read: they are of that one's bytes.
func (v *Verifier) wasRead(ref layerRef) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return ref.copy == (image.Copy{}) && v.fresh[ref.digest]
}

// isThere asks for a known blob that is no file: a registry must still give it, as long
// as the manifest says. It is not read. A file was seen when it was compared.
func isThere(ref layerRef) error {
	if ref.copy.Repository != "" {
		blob, err := ref.layer.Compressed()
		if err != nil {
			return err
		}
		return blob.Close()
	}
	if ref.copy != (image.Copy{}) {
		return nil
	}
	exists, err := partial.Exists(ref.layer)
	if err == nil && !exists {
		err = errors.New("the blob is missing")
	}
	return err
}

// tick is longer than the steps in which file systems count time.
const tick = 20 * time.Millisecond

// settle waits until a write to the file would be seen in its time of change.
func settle(ctx context.Context, c image.Copy) error {
	if age := time.Since(time.Unix(0, c.Changed)); age < 0 || age > tick {
		return nil
	}
	select {
	case <-time.After(tick):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
