// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/cudabuild/cudabuild/build/cache"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/registry"
)

func repository(t testing.TB, host string) name.Repository {
	t.Helper()
	repo, err := name.NewRepository(host + "/team/cache")
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

var progressLine = regexp.MustCompile(`(?m)^(#\d+) (?:(\[.* cuda .*)|[0-9.]+ (?:unpacking|copying) .*)$`)

// ran returns the steps of the progress that wrote something, as all of tiny do, sorted.
func ran(progress string) []string {
	names, steps := map[string]string{}, []string{}
	for _, line := range progressLine.FindAllStringSubmatch(progress, -1) {
		if line[2] != "" {
			names[line[1]] = line[2]
		} else if !slices.Contains(steps, names[line[1]]) {
			steps = append(steps, names[line[1]])
		}
	}
	slices.Sort(steps)
	return steps
}

// cacheStates is what the record says of the caches of a cell: "12.1-base-tiny-amd64 imported".
func cacheStates(c record.Cell) []string {
	all := []string{}
	for _, s := range c.Caches {
		_, tag, _ := strings.Cut(s.Ref, "/team/cache:")
		all = append(all, tag+" "+string(s.State))
	}
	return all
}

// fetched returns the blobs that a registry has given.
func fetched(s *registrytest.Server) []string {
	var all []string
	for _, r := range s.Requests() {
		if _, digest, ok := strings.Cut(r.Path, "/blobs/"); ok && r.Method == "GET" && r.Status < 300 {
			all = append(all, digest)
		}
	}
	slices.Sort(all)
	return all
}

// TestCache: what one BuildKit has written, an empty one runs no step of again; it fetches what its
// images are made of and nothing else, each blob once, and makes the same images.
func TestCache(t *testing.T) {
	t.Parallel()
	registry := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
	first := caching(t, registry.Host, true)
	all := first.done(t, "12.1-*")
	if steps := ran(first.show.String()); len(steps) != 7 {
		t.Errorf("the first BuildKit ran %q, want seven steps", steps)
	}
	want := []string{"12.1-nbody-tiny-amd64 missing", "12.1-base-tiny-amd64 missing", "12.1-devel-tiny-amd64 missing", "12.1-nbody-tiny-amd64 exported"}
	if diff := cmp.Diff(want, cacheStates(cell(t, all, "12.1-nbody-tiny"))); diff != "" {
		t.Errorf("caches of nbody (-want +got):\n%s", diff)
	}
	if all.Totals.CacheFetchedBytes != 0 || all.Totals.CacheSentBytes == 0 {
		t.Errorf("totals = %+v, want nothing fetched and something sent", all.Totals)
	}

	for kind, address := range map[string]func() string{
		"owned": func() string { return "" },
		"given": func() string { address, _ := given(t); return address },
	} {
		t.Run(kind, func(t *testing.T) {
			registry.Forget()
			h := caching(t, registry.Host, false)
			h.address = address()
			r := h.done(t, "12.1-runtime-*", "12.1-nbody-*")
			if steps := ran(h.show.String()); len(steps) > 0 {
				t.Errorf("ran %q, want nothing", steps)
			}
			for _, id := range []string{"12.1-runtime-tiny", "12.1-nbody-tiny"} {
				if got, want := cell(t, r, id), cell(t, all, id); got.Digest != want.Digest || got.Status != record.Passed {
					t.Errorf("%s is %s (%s), want %s", id, got.Digest, got.Reason, want.Digest)
				}
			}
			var parts []string
			for _, part := range cell(t, r, "12.1-runtime-tiny").Made[0].Parts {
				if part.Kind == record.CachePart && strings.HasPrefix(part.Digest, "sha256:") {
					parts = append(parts, strings.TrimPrefix(part.Name, registry.Host+"/team/cache:"))
				}
			}
			if want := []string{"12.1-runtime-tiny-amd64", "12.1-base-tiny-amd64"}; !slices.Equal(parts, want) {
				t.Errorf("the record says that runtime was made of the caches %q, want %q", parts, want)
			}
			blobs := fetched(registry)
			if len(slices.Compact(slices.Clone(blobs))) != len(blobs) {
				t.Errorf("some blob was fetched twice: %q", blobs)
			}
			if devel := layerOf(t, first, "12.1-devel-tiny"); slices.Contains(blobs, devel) {
				t.Errorf("the layer of devel was fetched, %s", devel)
			}
			if got := r.Totals; got.CacheSentBytes != 0 || got.CacheFetchedBytes == 0 || got.CacheFetchedBytes >= all.Totals.CacheSentBytes {
				t.Errorf("totals = %+v, want something fetched, less than the %d bytes that were sent", got, all.Totals.CacheSentBytes)
			}
			t.Logf("fetched %d blobs, %d of %d bytes", len(blobs), r.Totals.CacheFetchedBytes, all.Totals.CacheSentBytes)
		})
	}
}

// layerOf returns the topmost layer of an image.
func layerOf(t testing.TB, h *house, id string) string {
	t.Helper()
	images := h.images(t)
	defer images.Close()
	desc, _ := images.Lookup("cuda:" + id)
	img, err := images.Image(desc)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	d, err := layers[len(layers)-1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// caching is a house with a cache in that registry, which is read and, maybe, written.
func caching(t testing.TB, host string, write bool) *house {
	t.Helper()
	h := newHouse(t)
	h.show = &watcher{}
	h.cache.From = []name.Repository{repository(t, host)}
	if write {
		h.cache.To = h.cache.From[0]
	}
	return h
}

// TestCacheCurrent: a cache that has an image is not written again; one that lacks it gets it,
// though nothing has changed and the BuildKit is warm.
func TestCacheCurrent(t *testing.T) {
	t.Parallel()
	registry := registrytest.Start(t, nil)
	h := caching(t, registry.Host, true)
	want := func(state string, cached bool) {
		t.Helper()
		r := h.done(t, "12.1-base-*")
		c := r.Cells[0]
		if got := cacheStates(c); got[len(got)-1] != "12.1-base-tiny-amd64 "+state || c.Cached != cached || (r.Totals.CacheSentBytes > 0) != (state == "exported") {
			t.Errorf("caches %q, cached %v, totals %+v, want %s and %v", got, c.Cached, r.Totals, state, cached)
		}
	}
	want("exported", false)
	want("current", true)
	h.cache.To = repository(t, registrytest.Start(t, nil).Host)
	h.show = &watcher{}
	want("exported", false)
	if steps := ran(h.show.String()); len(steps) > 0 {
		t.Errorf("ran %q, want nothing", steps)
	}
	h = caching(t, registry.Host, true) // another machine, and another recipe
	h.catalog = load(t, overlay(t, "12.1", "cudart", "cudart, more"))
	want("exported", false)
}

// TestCacheUnmade: an image that has not changed is there, whatever becomes of the BuildKit that is to
// write its cache; the run ends only if another image needs one.
func TestCacheUnmade(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]bool{"absent": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, log := newHouse(t), &watcher{}
			h.toolDir = t.TempDir()
			h.address, _ = given(t)
			var state string
			h.catalog = load(t, awaited(t, func(times int) bool {
				if times > 1 {
					for _, pid := range daemons(t, state) {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				}
				return times == 1
			}))
			cells := []string{"12.1-base-*", "12.1-runtime-*"}
			first := h.done(t, cells...)
			if h.address = "unix:///nobody/buildkitd.sock"; kill {
				h.address, state = given(t)
			}
			h.cache.To = repository(t, registrytest.Start(t, nil).Host)
			h.log = slog.New(slog.NewTextHandler(log, nil))
			r := h.done(t, cells...)
			if diff := cmp.Diff(digests(first), digests(r)); diff != "" {
				t.Errorf("digests (-first +again):\n%s", diff)
			}
			runtime := cell(t, r, "12.1-runtime-tiny")
			if !runtime.Cached || runtime.Status != record.Passed || len(runtime.Builders) > 0 {
				t.Errorf("runtime = %+v, want it cached and by no builder", runtime)
			}
			if c := runtime.Caches[len(runtime.Caches)-1]; c.State != record.CacheFailed || c.Reason == "" || strings.Count(log.String(), "was not written") != 1 {
				t.Errorf("cache = %+v, log %q, want it failed and one warning", c, log)
			}
			if kill {
				return
			}
			if r, err := h.run(t.Context(), t, append(cells, "12.6-base-*")...); !errors.Is(err, engine.ErrUnavailable) || r.Totals.Cancelled == 0 {
				t.Errorf("Run = %+v, %v, want ErrUnavailable for an image that is not there", r.Totals, err)
			}
		})
	}
}

// TestCacheMended: what a cache has lost is built, and put there again.
func TestCacheMended(t *testing.T) {
	t.Parallel()
	registry := registrytest.Start(t, nil)
	first := caching(t, registry.Host, true)
	first.done(t, "12.1-base-*")
	hex := strings.TrimPrefix(layerOf(t, first, "12.1-base-tiny"), "sha256:")
	blob := filepath.Join(registry.Dir, "docker/registry/v2/blobs/sha256", hex[:2], hex, "data")
	for _, want := range []string{"broken exported", "imported current"} {
		if want == "broken exported" {
			remove(t, blob)
		}
		h := caching(t, registry.Host, true)
		got := cacheStates(h.done(t, "12.1-base-*").Cells[0])
		if text := strings.ReplaceAll(strings.Join(got, " "), "12.1-base-tiny-amd64 ", ""); text != want {
			t.Errorf("caches %q, want %s", text, want)
		}
	}
	if _, err := os.Stat(blob); err != nil {
		t.Error(err)
	}
}

// never does not answer until the client has had enough.
func never(_ int, r *http.Request) registrytest.Fault {
	<-r.Context().Done()
	return registrytest.Fault{Reset: true}
}

// only is a hook for some requests.
func only(when func(*http.Request) bool, hook registrytest.Hook) registrytest.Hook {
	return func(n int, r *http.Request) registrytest.Fault {
		if when(r) {
			return hook(n, r)
		}
		return registrytest.Fault{}
	}
}

func answer(f registrytest.Fault) registrytest.Hook {
	return func(int, *http.Request) registrytest.Fault { return f }
}

// impatient is how long registries of tests get that never answer.
const impatient = time.Second

// TestCacheUnread: whatever is wrong with a cache, the same images are made, and it is said once.
func TestCacheUnread(t *testing.T) {
	t.Parallel()
	registry := registrytest.Start(t, nil)
	first := caching(t, registry.Host, true)
	made := first.done(t, "12.1-*")
	top := layerOf(t, first, "12.1-runtime-tiny")
	layer := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, top) }
	all := func(*http.Request) bool { return true }

	for name, test := range map[string]struct {
		when  func(*http.Request) bool
		hook  registrytest.Hook
		given bool
		state record.CacheState // of runtime's own
		all   bool              // of it is missing
	}{
		"silent":             {all, never, false, record.CacheUnreachable, true},
		"silent given":       {all, never, true, record.CacheUnreachable, true},
		"reset":              {all, answer(registrytest.Fault{Reset: true}), false, record.CacheUnreachable, true},
		"forbidden":          {all, answer(registrytest.Fault{Status: http.StatusForbidden}), false, record.CacheUnreachable, true},
		"no cache":           {all, answer(registrytest.Fault{Status: http.StatusOK, Body: `{"schemaVersion": 2}`}), false, record.CacheBroken, true},
		"layer gone":         {layer, answer(registrytest.Fault{Status: http.StatusNotFound}), false, record.CacheBroken, false},
		"layer gone given":   {layer, answer(registrytest.Fault{Status: http.StatusNotFound}), true, record.CacheBroken, false},
		"layer silent":       {layer, never, false, record.CacheBroken, false},
		"layer silent given": {layer, never, true, record.CacheBroken, false},
		"layer cut":          {layer, answer(registrytest.Fault{CutAnswer: true}), false, record.CacheBroken, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := registrytest.Proxy(t, registry.Host)
			proxy.Arm(only(test.when, test.hook), nil)
			h, log := caching(t, proxy.Host, false), &watcher{}
			h.log, h.cache.Registry = slog.New(slog.NewTextHandler(log, nil)), impatience()
			if test.given {
				h.address, _ = given(t)
			}
			r := h.done(t, "12.1-base-*", "12.1-runtime-*", "12.1-devel-*")
			for _, c := range r.Cells {
				if want := cell(t, made, c.ID); c.Digest != want.Digest || c.Status != record.Passed {
					t.Errorf("%s is %s (%s), want %s", c.ID, c.Digest, c.Reason, want.Digest)
				}
			}
			if own := cell(t, r, "12.1-runtime-tiny").Caches[0]; own.State != test.state || own.Reason == "" {
				t.Errorf("cache of runtime = %+v, want %s", own, test.state)
			}
			if said := log.String(); strings.Count(said, "WARN") != 1 && test.state == record.CacheUnreachable || !strings.Contains(said, proxy.Host) {
				t.Errorf("log = %q, want a warning that names the registry", said)
			}
			offered := slices.ContainsFunc(cell(t, r, "12.1-runtime-tiny").Made[0].Parts, func(p record.Part) bool {
				return p.Kind == record.CachePart && strings.HasSuffix(p.Name, "12.1-runtime-tiny-amd64")
			})
			if offered == test.all { // what it lacks shows after steps were taken from it
				t.Errorf("runtime is said to be made of its cache: %v", offered)
			}
			base, runtime := "[tiny cuda 12.1] install base: cudart", "[tiny cuda 12.1] install runtime: cublas"
			if steps := ran(h.show.String()); !slices.Contains(steps, runtime) || slices.Contains(steps, base) != test.all {
				t.Errorf("ran %q, want the runtime that the cache lacks, and of the base %v", steps, test.all)
			}
		})
	}
}

func impatience() registry.Options {
	return registry.Options{Patience: impatient, Pause: time.Millisecond}
}

// TestCacheUnwritten: a cache that cannot be written fails no image, and is said once.
func TestCacheUnwritten(t *testing.T) {
	t.Parallel()
	upload := func(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }
	tokens := registrytest.NewTokens(t)
	for name, test := range map[string]struct {
		keys  authn.Keychain    // nil is a registry without logins
		hook  registrytest.Hook // of uploads
		state record.CacheState
	}{
		"read-only":  {hook: answer(registrytest.Fault{Status: http.StatusMethodNotAllowed, Body: "read-only"}), state: record.CacheFailed},
		"silent":     {hook: never, state: record.CacheFailed},
		"reset":      {hook: answer(registrytest.Fault{Reset: true}), state: record.CacheFailed},
		"no login":   {keys: keychain{authn.Anonymous}, state: record.CacheFailed},
		"with login": {keys: keychain{&authn.Basic{Username: registrytest.User, Password: registrytest.Password}}, state: record.CacheExported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var host string
			if test.keys != nil {
				host = registrytest.Start(t, tokens).Host
			} else {
				proxy := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
				proxy.Arm(only(upload, test.hook), nil)
				host = proxy.Host
			}
			h, log := caching(t, host, true), &watcher{}
			h.log, h.cache.Registry = slog.New(slog.NewTextHandler(log, nil)), impatience()
			h.cache.Registry.Keychain = test.keys
			r := h.done(t, "12.1-base-*", "12.1-runtime-*")
			for _, c := range r.Cells {
				if last := c.Caches[len(c.Caches)-1]; c.Status != record.Passed || last.State != test.state || (last.Reason == "") != (test.state == record.CacheExported) {
					t.Errorf("%s %s, caches %+v, want %s", c.ID, c.Status, c.Caches, test.state)
				}
			}
			if said := strings.Count(log.String(), "WARN"); (said == 1) != (test.state == record.CacheFailed) {
				t.Errorf("log = %q, want one warning if it failed", log)
			}
		})
	}
}

// keychain is one login for all registries.
type keychain struct{ authn.Authenticator }

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) { return k.Authenticator, nil }

// TestCacheLeftover: what a run that writes a cache needs on disk is in its state directory, and gone after it, also
// what one that was killed has left.
func TestCacheLeftover(t *testing.T) { // not parallel: it sets the environment
	h := caching(t, registrytest.Start(t, nil).Host, true)
	left := filepath.Join(h.state, "cache-export", "ingest")
	t.Setenv("TMPDIR", "/nobody")
	for range 2 { // with a cache, and without
		if err := os.MkdirAll(left, 0o700); err != nil {
			t.Fatal(err)
		}
		h.done(t, "12.1-base-*")
		if _, err := os.Stat(filepath.Dir(left)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there still (%v)", filepath.Dir(left), err)
		}
		h.cache = cache.Options{}
	}
}

// TestCacheInterrupted: a registry that never answers keeps no run from ending, whatever it is asked for.
func TestCacheInterrupted(t *testing.T) {
	t.Parallel()
	registry := registrytest.Start(t, nil)
	caching(t, registry.Host, true).done(t, "12.1-base-*")
	for _, asked := range []string{"/manifests/", "/blobs/", "/blobs/uploads/"} {
		t.Run(strings.Trim(asked, "/"), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			proxy := registrytest.Proxy(t, registry.Host)
			proxy.Arm(only(func(r *http.Request) bool { return strings.Contains(r.URL.Path, asked) }, func(n int, r *http.Request) registrytest.Fault {
				cancel()
				return never(n, r)
			}), nil)
			h := caching(t, proxy.Host, true)
			h.cache.Registry.Patience = time.Hour
			if strings.Contains(asked, "uploads") {
				h.cache.To = h.cache.To.Repo("team", "other")
			}
			if _, err := h.run(ctx, t, "12.1-base-*"); !errors.Is(err, context.Canceled) {
				t.Errorf("Run's error = %v, want Canceled", err)
			}
			nothingLeft(t, h.state)
		})
	}
}

// TestCacheGzip: another compression has tags of its own, and the blobs of its images.
func TestCacheGzip(t *testing.T) {
	t.Parallel()
	registry := registrytest.Start(t, nil)
	first, second := caching(t, registry.Host, true), caching(t, registry.Host, false)
	first.compression, second.compression = matrix.Gzip, matrix.Gzip
	all, r := first.done(t, "12.1-base-*"), second.done(t, "12.1-base-*")
	if diff := cmp.Diff(digests(all), digests(r)); diff != "" || !slices.Equal(cacheStates(r.Cells[0]), []string{"12.1-base-tiny-amd64-gzip imported"}) {
		t.Errorf("caches %q, digests (-first +second):\n%s", cacheStates(r.Cells[0]), diff)
	}
	if steps := ran(second.show.String()); len(steps) > 0 {
		t.Errorf("ran %q, want nothing", steps)
	}
}
