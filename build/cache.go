// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"

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

// cached is what an image has to do with caches.
type cached struct {
	plan   digest.Digest      // what it is made of
	given  []*cache.Entry     // what its solve was offered
	wrote  ocispec.Descriptor // the cache that BuildKit made of it, zero if none
	failed bool               // BuildKit was to make one, and did not
	noted  []record.Cache
}

// importStore is how a graph names the store of caches.
const importStore = "cudabuild-cache"

// openCaches opens the caches of the run, if there are any. BuildKit's client wants a folder for what
// is written; it leaves an index there, and the blobs go to the images.
func (r *run) openCaches(ctx context.Context) (err error) {
	if r.Cache.None() {
		return nil
	}
	if r.cache, err = cache.New(ctx, r.Cache, r.Log, r.Images.Adopting(r.Engine.ContentDir()), r.Bases.Content()); err != nil {
		return err
	}
	r.sessions = map[*engine.Engine]*session.Session{}
	r.exports, err = os.MkdirTemp("", "cudabuild-cache-")
	return err
}

// closeCaches ends the sessions.
func (r *run) closeCaches() (err error) {
	if r.cache == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		err = errors.Join(err, s.Close())
	}
	r.serving.Wait()
	return errors.Join(err, os.RemoveAll(r.exports))
}

// session returns the one session of all solves of a BuildKit. A step that two solves share may take
// blobs of a cache by the session of the first, when that is over.
func (r *run) session(ctx context.Context, e *engine.Engine) (*session.Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sessions[e]; s != nil {
		return s, nil
	}
	ctx = context.WithoutCancel(ctx) // it ends with the daemon's connection, or in closeCaches
	s, err := session.NewSession(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, a := range r.attachables() {
		s.Allow(a)
	}
	s.Allow(sessioncontent.NewAttachable(map[string]content.Store{ // the names are BuildKit's
		"export":               r.output(),
		"oci:" + llb.BaseStore: r.Bases.Content(),
		"local:" + importStore: r.cache.Content(),
		"local:" + r.exports:   r.cache.Content(),
	}))
	r.serving.Go(func() { _ = s.Run(ctx, e.Client.Dialer()) })
	r.sessions[e] = s
	return s, nil
}

// withCaches solves with what the caches have of an image and of those below it, and anew
// without if a blob of theirs cannot be had.
func (r *run) withCaches(ctx context.Context, e *engine.Engine, m *manifest, solve func(bk.SolveOpt, []gateway.CacheOptionsEntry) (*bk.SolveResponse, error)) (*bk.SolveResponse, error) {
	options := r.solveOptions(m.platform)
	if r.cache == nil {
		return solve(options, nil)
	}
	s, err := r.session(ctx, e)
	if err != nil {
		return nil, err
	}
	options.SharedSession, options.SessionPreInitialized = s, true
	if r.Cache.Writes() && !r.cache.Current(ctx, r.cacheTag(m.cell.ID, m.platform), m.plan) {
		attrs := map[string]string{"dest": r.exports, "mode": "min", "image-manifest": "true", "oci-mediatypes": "true", "ignore-error": "true"}
		for _, name := range []string{"compression", "force-compression"} { // so that its blobs are the image's
			if value := options.Exports[0].Attrs[name]; value != "" {
				attrs[name] = value
			}
		}
		options.CacheExports = []bk.CacheOptionsEntry{{Type: "local", Attrs: attrs}}
	}
	m.given = r.find(ctx, m)
	response, err := r.importing(options, m.given, solve)
	if broken := r.cache.Broken(m.given); err != nil && broken != nil && ctx.Err() == nil {
		r.Log.Warn("a cache is not whole; the image is built without", "cell", m.name(), "cache", broken)
		// What another solve has taken from it, too, stays in BuildKit as long as that solve.
		r.imports.Lock()
		r.imports.Unlock() //nolint:staticcheck // nothing is to be done meanwhile
		response, err = solve(options, nil)
	}
	if err == nil && len(options.CacheExports) > 0 {
		m.failed = json.Unmarshal([]byte(response.ExporterResponse["cache.manifest"]), &m.wrote) != nil
	}
	return response, err
}

func (r *run) importing(options bk.SolveOpt, given []*cache.Entry, solve func(bk.SolveOpt, []gateway.CacheOptionsEntry) (*bk.SolveResponse, error)) (*bk.SolveResponse, error) {
	var imports []gateway.CacheOptionsEntry
	for _, entry := range given {
		if entry.State == record.CacheImported && r.cache.Broken([]*cache.Entry{entry}) == nil {
			imports = append(imports, gateway.CacheOptionsEntry{Type: "local", Attrs: map[string]string{"src": importStore, "digest": entry.Manifest.Digest.String()}})
		}
	}
	r.imports.RLock()
	defer r.imports.RUnlock()
	return solve(options, imports)
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
func (r *run) owes(ctx context.Context, m *manifest, plan digest.Digest) bool {
	m.plan = plan
	if r.cache == nil || !r.Cache.Writes() {
		return false
	}
	return r.cache.Lacks(ctx, r.cacheTag(m.cell.ID, m.platform), plan)
}

// export sends the caches of a cell that passed, beside what else there is to do.
func (r *run) export(ctx context.Context, t *task) {
	if r.cache == nil {
		return
	}
	for _, m := range t.manifests {
		switch tag := r.cacheTag(m.cell.ID, m.platform); {
		case m.failed:
			m.noted = append(m.noted, record.Cache{Ref: r.Cache.To.Tag(tag).Name(), State: record.CacheFailed, Reason: "BuildKit did not make it"})
		case m.wrote.Digest != "":
			r.sending.Go(func() {
				done := r.Display.Step("[" + m.name() + "] write cache " + r.Cache.To.Name())
				sent := r.cache.Send(ctx, tag, m.wrote, m.plan)
				m.noted = append(m.noted, sent)
				if done(nil); sent.State == record.CacheFailed {
					r.Log.Info("a cache was not written", "cache", sent.Ref, "error", sent.Reason)
				}
			})
		case r.Cache.Writes() && r.cache.Current(ctx, tag, m.plan):
			m.noted = append(m.noted, record.Cache{Ref: r.Cache.To.Tag(tag).Name(), State: record.CacheCurrent})
		}
	}
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
