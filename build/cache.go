// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	bk "github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
	sessioncontent "github.com/moby/buildkit/session/content"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/build/cache"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/record"
)

// caching is the state of the caches of a run.
type caching struct {
	cache    *cache.Cache                        // nil if there is none
	exports  string                              // the folder of the folders of [run.exportDir]
	sessions map[*engine.Engine]*session.Session // guarded by the run's mu
	serving  sync.WaitGroup                      // of sessions
	sending  sync.WaitGroup                      // of caches
}

// cached is what an image has to do with caches.
type cached struct {
	plan    digest.Digest      // what it is made of
	given   []*cache.Entry     // what there is for its solve
	offered []*cache.Entry     // those that BuildKit was offered, whatever became of them then
	spare   bool               // it is there from an earlier run: a solve is for the cache alone
	wrote   ocispec.Descriptor // what BuildKit made of it, zero if nothing
	unmade  error              // why there is nothing, if the image is spare
	noted   []record.Cache
}

// importStore is how a graph names the store of caches.
const importStore = "cudabuild-cache"

// openCaches opens the caches of the run, if there are any. What a run that was killed has left of its own
// goes, because one run at a time owns the state directory.
func (r *run) openCaches(ctx context.Context) (err error) {
	r.exports = filepath.Join(r.Engine.StateDir, "cache-export")
	if err := os.RemoveAll(r.exports); err != nil || r.Cache.None() {
		return err
	}
	if r.cache, err = cache.New(ctx, r.Cache, r.Log, r.Display.Step, r.output(), r.Bases.Content()); err != nil {
		return err
	}
	r.sessions = map[*engine.Engine]*session.Session{}
	return os.Mkdir(r.exports, 0o700)
}

// closeCaches ends the sessions.
func (r *run) closeCaches() error {
	if r.cache == nil {
		return nil
	}
	r.mu.Lock()
	sessions := slices.Collect(maps.Values(r.sessions))
	r.mu.Unlock()
	for _, s := range sessions {
		_ = s.Close() // or its daemon is gone
	}
	r.cache.Close()
	r.serving.Wait()
	return os.RemoveAll(r.exports)
}

// session returns the one session of all solves of a BuildKit. A step that two solves share may take
// blobs of a cache by the session of the first, when that is over. One that has ended is replaced.
func (r *run) session(ctx context.Context, b *builder) (*session.Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := b.engine
	if s := r.sessions[e]; s != nil {
		return s, nil
	}
	ctx = context.WithoutCancel(ctx) // it ends with the daemon's connection, or in closeCaches
	s, err := session.NewSession(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, a := range r.attachables(b) {
		s.Allow(a)
	}
	stores := map[string]content.Store{ // the names are BuildKit's
		"export":               r.output(),
		"oci:" + llb.BaseStore: r.Bases.Content(),
		"local:" + importStore: r.cache.Content(),
	}
	for m := range r.manifests() {
		stores["local:"+r.exportDir(m)] = r.cache.Content()
	}
	s.Allow(sessioncontent.NewAttachable(stores))
	r.sessions[e] = s
	r.serving.Go(func() {
		_ = s.Run(ctx, e.Client.Dialer()) // solves tell
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.sessions[e] == s {
			delete(r.sessions, e)
		}
	})
	return s, nil
}

// exportDir is the folder that BuildKit's client wants for the cache of an image, though the blobs go
// elsewhere. It leaves an index there under a lock that it does not wait for, so each solve has its own.
func (r *run) exportDir(m *manifest) string {
	return filepath.Join(r.exports, r.cacheTag(m.cell.ID, m.platform))
}

// withCaches adds to the options of a solve what caches have of the image and of those below it, and
// that BuildKit is to write one. BuildKit takes a blob of a cache when it has a use for the step that
// made it, and runs the step if the blob cannot be had.
func (r *run) withCaches(ctx context.Context, b *builder, m *manifest, options bk.SolveOpt) (bk.SolveOpt, []gateway.CacheOptionsEntry, error) {
	if r.cache == nil {
		return options, nil, nil
	}
	if r.Cache.Writes() {
		attrs := map[string]string{"dest": r.exportDir(m), "mode": "min", "image-manifest": "true", "oci-mediatypes": "true", "ignore-error": "true"}
		for _, name := range []string{"compression", "force-compression"} { // so that its blobs are the image's
			if value := options.Exports[0].Attrs[name]; value != "" {
				attrs[name] = value
			}
		}
		options.CacheExports = []bk.CacheOptionsEntry{{Type: "local", Attrs: attrs}}
	}
	var imports []gateway.CacheOptionsEntry
	m.given = r.find(ctx, m)
	for _, entry := range m.given {
		if r.cache.State(entry).State == record.CacheImported {
			if !slices.Contains(m.offered, entry) { // by a builder that is lost
				m.offered = append(m.offered, entry)
			}
			imports = append(imports, gateway.CacheOptionsEntry{Type: "local", Attrs: map[string]string{"src": importStore, "digest": entry.Manifest.Digest.String()}})
		}
	}
	if err := ctx.Err(); err != nil { // the registries may have taken their time
		return options, nil, err
	}
	s, err := r.session(ctx, b)
	options.SharedSession, options.SessionPreInitialized = s, true
	return options, imports, err
}

// written notes the cache that a solve has written.
func (c *cached) written(response *bk.SolveResponse) {
	_ = json.Unmarshal([]byte(response.ExporterResponse["cache.manifest"]), &c.wrote) // there is none if that failed
}

// find returns what caches have of an image and of those right below it.
func (r *run) find(ctx context.Context, m *manifest) (all []*cache.Entry) {
	for _, id := range slices.Compact([]string{m.cell.ID, m.cell.Parent, m.cell.Builder}) {
		if id != "" {
			all = append(all, r.cache.Find(ctx, r.cacheTag(id, m.platform))...)
		}
	}
	return all
}

// cacheTag is where the cache of an image stands: "12.4-base-debian13-amd64".
func (r *run) cacheTag(id, platform string) string {
	tag := id + "-" + strings.ReplaceAll(strings.TrimPrefix(platform, "linux/"), "/", "-")
	if r.Compression != matrix.Zstd {
		tag += "-" + r.Compression
	}
	return tag
}

// owes reports whether an image that has not changed is to be solved all the same, because the cache
// that is written lacks it.
func (r *run) owes(ctx context.Context, m *manifest) bool {
	return r.Cache.Writes() && r.cache.Lacks(ctx, r.cacheTag(m.cell.ID, m.platform), m.plan)
}

// export sends the caches of a cell that passed, beside what else there is to do.
func (r *run) export(ctx context.Context, t *task) {
	if !r.Cache.Writes() {
		return
	}
	for _, m := range t.manifests {
		if m.unmade != nil {
			m.noted = append(m.noted, r.cache.Unmade(r.cacheTag(m.cell.ID, m.platform), m.unmade))
			continue
		}
		r.sending.Go(func() {
			done := func(error) {}
			if m.wrote.Digest != "" {
				done = r.Display.Step("[" + m.name() + "] write cache")
			}
			m.noted = append(m.noted, r.cache.Send(ctx, r.cacheTag(m.cell.ID, m.platform), m.wrote, m.plan))
			done(nil)
		})
	}
}

// cacheParts are the caches that were offered to the solve of an image: steps of them may be by other tools than its
// own. One that turned out not to be whole has served as far as it was.
func (m *manifest) cacheParts() (all []record.Part) {
	for _, entry := range m.offered {
		all = append(all, record.Part{Kind: record.CachePart, Name: entry.Ref, Digest: entry.Manifest.Digest.String()})
	}
	return all
}

// caches is what the record says of a cell's.
func (r *run) caches(t *task) (all []record.Cache) {
	if r.cache == nil {
		return nil
	}
	for _, m := range t.manifests {
		for _, entry := range m.given {
			all = append(all, r.cache.State(entry))
		}
		all = append(all, m.noted...)
	}
	return all
}
