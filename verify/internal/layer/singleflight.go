// SPDX-License-Identifier: Apache-2.0

package layer

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
	facts  *Facts
	from   Origin
	err    error
	landed bool // done is closed; under the Reader's lock
}

// Origin is how facts of a layer were come by.
type Origin int

// The origins.
const (
	FromBlob  Origin = iota
	FromOther        // from the blob, by whoever asked for the same copy first
	FromCache
)

// copyKey is what layers have in common that need only one reading: not the digest that
// they claim alone, but the bytes.
type copyKey struct {
	digest string
	copy   image.Copy
	layer  any // itself, where nothing is known about the place of its bytes
}

func keyOf(ref Ref) copyKey {
	k := copyKey{digest: ref.Digest, copy: ref.copy}
	if k.copy == (image.Copy{}) {
		k.layer = ref.Layer
		if !reflect.TypeOf(ref.Layer).Comparable() {
			k.layer = new(int) // nothing else is equal to it
		}
	}
	return k
}

// Facts returns the facts of one layer. Of callers at the same time that ask for the
// same copy, one reads.
func (r *Reader) Facts(ctx context.Context, ref Ref) (*Facts, Origin, error) {
	if ref.Foreign {
		return r.foreign(ref), FromBlob, nil
	}
	var err error
	if ref.copy, err = image.CopyOf(ref.Layer); err != nil {
		return nil, FromBlob, err
	}
	key := keyOf(ref)
	for {
		c, mine := r.claim(key)
		if mine {
			c.facts, c.from, c.err = r.load(ctx, ref)
			r.release(key, c)
			return c.facts, c.from, c.err
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil, FromBlob, context.Cause(ctx)
		}
		if c.err == nil {
			return c.facts, max(c.from, FromOther), nil
		}
		if !errors.Is(c.err, context.Canceled) && !errors.Is(c.err, context.DeadlineExceeded) {
			return nil, FromBlob, c.err
		}
		// Whoever read it was cancelled; that is no reason for this caller to fail.
		if err := context.Cause(ctx); err != nil {
			return nil, FromBlob, err
		}
	}
}

func (r *Reader) claim(key copyKey) (c *call, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.layers[key]; c != nil {
		return c, false
	}
	c = &call{done: make(chan struct{})}
	r.layers[key] = c
	return c, true
}

// release publishes c. A failure is not remembered: the next caller tries again.
// Too many facts are not either; whoever waits for some has them in his call.
func (r *Reader) release(key copyKey, c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.landed = true
	close(c.done)
	if c.err != nil {
		delete(r.layers, key)
	} else if r.weight += c.facts.weight(); r.weight > maxFacts {
		r.weight = 0
		maps.DeleteFunc(r.layers, func(_ copyKey, c *call) bool { return c.landed })
	}
}

// load takes the facts from the cache or reads the blob.
func (r *Reader) load(ctx context.Context, ref Ref) (*Facts, Origin, error) {
	cached := readCache(r.opts, ref.Digest)
	if cached != nil && cached.Size == ref.Size && slices.Contains(cached.Copies, ref.copy) && !r.wasRead(ref) {
		touchCache(r.opts, ref.Digest)
		return cached, FromCache, isThere(ref)
	}
	if err := settle(ctx, ref.copy); err != nil {
		return nil, FromBlob, err
	}
	facts, err := r.read(ctx, ref, "")
	if err != nil {
		return nil, FromBlob, err
	}
	if after, err := image.CopyOf(ref.Layer); err == nil && after == ref.copy {
		r.keep(ref, facts, cached)
	}
	return facts, FromBlob, nil
}

// keep writes facts to the cache, with the copies that had them before.
func (r *Reader) keep(ref Ref, facts, before *Facts) {
	r.mu.Lock()
	r.fresh[ref.Digest] = true
	r.mu.Unlock()
	facts.Copies = []image.Copy{ref.copy}
	for _, c := range before.copies() {
		if c != ref.copy && len(facts.Copies) < maxCopies {
			facts.Copies = append(facts.Copies, c)
		}
	}
	r.sweep.Do(func() { sweepCache(r.opts.CacheDir, r.opts.Version, maxCache) })
	writeCache(r.opts, facts)
}

// wasRead reports whether facts of a layer whose place is not known come from another one
// that this Reader has read: they are of that one's bytes.
func (r *Reader) wasRead(ref Ref) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ref.copy == (image.Copy{}) && r.fresh[ref.Digest]
}

// isThere asks for a known blob that is no file: a registry must still give it, as long
// as the manifest says. It is not read. A file was seen when it was compared.
func isThere(ref Ref) error {
	if ref.copy.Repository != "" {
		blob, err := ref.Layer.Compressed()
		if err != nil {
			return err
		}
		return blob.Close()
	}
	if ref.copy != (image.Copy{}) {
		return nil
	}
	exists, err := partial.Exists(ref.Layer)
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
