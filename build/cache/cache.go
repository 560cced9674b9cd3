// SPDX-License-Identifier: Apache-2.0

// Package cache keeps in a registry what BuildKits have made, and gives it to others: under one
// tag for each image, because who writes a tag replaces what stood there.
//
// [New] opens the caches of one run. [Cache.Find] says what stands under a tag, [Cache.Content] is a
// store in which a BuildKit finds the blobs of that as if they lay here, fetched when they are asked for, and
// [Cache.Send] puts what a BuildKit has made under its tag.
//
// BuildKit itself never speaks to these registries. So they get credentials from the one client that
// guards them (package registry), a registry that is silent is given up and holds no daemon, every byte
// is counted, and a daemon needs no way to them. A cache is a help and never a condition: whatever is
// wrong with it is in what the functions return, and ends no run.
package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/registry"
)

// planAnnotation is the digest of the plan of the image that a manifest is of.
const planAnnotation = "io.github.cudabuild.plan"

// Options name the caches of a run.
type Options struct {
	From     []name.Repository // are read, the first first
	To       name.Repository   // is written; the zero value is none
	Registry registry.Options
}

// None reports whether there is no cache at all.
func (o Options) None() bool { return len(o.From) == 0 && !o.Writes() }

// Writes reports whether there is one that is written.
func (o Options) Writes() bool { return o.To != name.Repository{} }

// Cache are the caches of a run. It is safe for use by several goroutines.
type Cache struct {
	Options

	ctx    context.Context //nolint:containedctx // who asks for a blob first may not be the last to want it
	cancel context.CancelFunc
	blobs  content.Store   // where blobs are that were fetched
	have   []content.Store // where some may be besides
	log    *slog.Logger
	show   func(step string) (done func(error))
	repos  map[string]*repository

	fetched, sent atomic.Int64
	fetching      sync.WaitGroup
	unmade        sync.Once // the warning

	mu     sync.Mutex
	closed bool
	tags   map[string]*Entry // by reference
	known  map[digest.Digest]*blob
}

// repository is one repository of a registry.
type repository struct {
	name.Repository

	puller *remote.Puller
	pusher *remote.Pusher

	mu      sync.Mutex
	down    error // why it is not asked any more
	refused bool  // what it was sent
}

// Entry is what stands under a tag.
type Entry struct {
	record.Cache

	Manifest ocispec.Descriptor
	Plan     digest.Digest // of the image that it is of

	once   sync.Once
	broken error // why a blob cannot be had; guarded by Cache.mu
}

// New opens caches for the time of ctx, until [Cache.Close]. It asks no registry. What takes time is
// shown. Blobs that are fetched go to blobs; what is there, or in one of the stores of have, is not
// fetched. An error is that of a program that keeps credentials.
func New(ctx context.Context, o Options, log *slog.Logger, show func(string) func(error), blobs content.Store, have ...content.Store) (*Cache, error) {
	c := &Cache{Options: o, blobs: blobs, have: have, log: log, show: show, repos: map[string]*repository{}, tags: map[string]*Entry{}, known: map[digest.Digest]*blob{}}
	c.ctx, c.cancel = context.WithCancel(ctx)
	all := o.From
	if o.Writes() {
		all = append(all[:len(all):len(all)], o.To)
	}
	for _, repo := range all {
		client, err := registry.New(ctx, repo, o.Registry)
		if err != nil {
			return nil, err
		}
		puller, pusher, err := client.Remotes()
		if err != nil {
			return nil, err
		}
		c.repos[repo.Name()] = &repository{Repository: repo, puller: puller, pusher: pusher}
	}
	return c, nil
}

// Close ends what is being fetched. Nothing is fetched afterwards.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.fetching.Wait()
}

// Fetched returns how many bytes of blobs registries have given, and Sent how many they have taken.
func (c *Cache) Fetched() int64 { return c.fetched.Load() }

// Sent counts the bytes of blobs that were uploaded; what the registry had is not among them.
func (c *Cache) Sent() int64 { return c.sent.Load() }

// Find returns what stands under the tag in each cache that is read, in their order. A registry
// is asked once a tag, and no more if it did not answer.
func (c *Cache) Find(ctx context.Context, tag string) (all []*Entry) {
	for _, repo := range c.From {
		all = append(all, c.entry(ctx, repo, tag))
	}
	return all
}

// Current reports whether the cache that is written has the image of that plan under the tag.
func (c *Cache) Current(ctx context.Context, tag string, plan digest.Digest) bool {
	e := c.entry(ctx, c.To, tag)
	return c.State(e).State == record.CacheImported && e.Plan == plan
}

// Lacks reports whether it is known not to have it.
func (c *Cache) Lacks(ctx context.Context, tag string, plan digest.Digest) bool {
	return c.entry(ctx, c.To, tag).State != record.CacheUnreachable && !c.Current(ctx, tag, plan)
}

// State is what has become of an entry so far.
func (c *Cache) State(e *Entry) record.Cache {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.broken != nil {
		return record.Cache{Ref: e.Ref, State: record.CacheBroken, Reason: e.broken.Error()}
	}
	return e.Cache
}

func (c *Cache) entry(ctx context.Context, repo name.Repository, tag string) *Entry {
	ref := repo.Tag(tag)
	c.mu.Lock()
	e := c.tags[ref.Name()]
	if e == nil {
		e = &Entry{Cache: record.Cache{Ref: ref.Name()}}
		c.tags[ref.Name()] = e
	}
	c.mu.Unlock()
	e.once.Do(func() { c.look(ctx, e, c.repos[repo.Name()], ref) })
	return e
}

// look fills an entry.
func (c *Cache) look(ctx context.Context, e *Entry, repo *repository, ref name.Tag) {
	data, err := repo.manifest(ctx, ref)
	var answer *transport.Error
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		e.State = record.CacheMissing
		c.log.Info("the cache has nothing yet", "cache", e.Ref)
	case err != nil:
		e.State, e.Reason = record.CacheUnreachable, err.Error()
		if first := c.fail(repo, err); first && ctx.Err() == nil {
			c.log.Warn("a cache is not used: it cannot be read", "cache", repo.Name(), "error", err)
		}
	default:
		e.State = record.CacheImported
		if err := c.take(ctx, e, repo, data); err != nil {
			e.State, e.Reason = record.CacheBroken, err.Error()
			c.log.Warn("a cache is not used", "cache", e.Ref, "error", err)
		}
	}
}

func (r *repository) manifest(ctx context.Context, ref name.Tag) ([]byte, error) {
	r.mu.Lock()
	down := r.down
	r.mu.Unlock()
	if down != nil {
		return nil, down
	}
	desc, err := r.puller.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	return desc.Manifest, nil
}

// fail notes that a repository cannot be read, and reports whether that is new. A registry that has not
// answered for one of its repositories is not waited for again for another.
func (c *Cache) fail(repo *repository, err error) (first bool) {
	var answer *transport.Error
	for _, other := range c.repos {
		switch {
		case other == repo:
			first = other.fail(err)
		case other.RegistryStr() == repo.RegistryStr() && !errors.As(err, &answer):
			other.fail(err)
		}
	}
	return first
}

func (r *repository) fail(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.down == nil
	if first {
		r.down, r.refused = err, true // one warning is enough
	}
	return first
}

// What a manifest may claim. A blob of a layer as large as maxBlob could not be unpacked anywhere, and
// BuildKit reads the keys of steps, some kB, whole.
const (
	maxBlob = 64 << 30 // bytes
	maxKeys = 64 << 20
)

// take notes which blobs a manifest names.
func (c *Cache) take(ctx context.Context, e *Entry, repo *repository, data []byte) error {
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if !strings.HasPrefix(m.Config.MediaType, "application/vnd.buildkit.cacheconfig.") {
		return errors.New("what stands there is no cache of BuildKit's")
	}
	e.Plan = digest.Digest(m.Annotations[planAnnotation])
	e.Manifest = ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := write(ctx, c.blobs, e.Manifest, data); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, desc := range append(m.Layers, m.Config) {
		if err := desc.Digest.Validate(); err != nil {
			return err
		}
		if desc.Size < 0 || desc.Size > maxBlob || i == len(m.Layers) && desc.Size > maxKeys {
			return fmt.Errorf("blob %s: a size of %d bytes cannot be", desc.Digest, desc.Size)
		}
		b := c.known[desc.Digest]
		if b == nil {
			b = &blob{cache: c, repo: repo, desc: desc}
			c.known[desc.Digest] = b
		}
		b.of = append(b.of, e)
	}
	return nil
}
