// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/record"
)

func repository(t testing.TB, host string) name.Repository {
	t.Helper()
	repo, err := name.NewRepository(host + "/team/cache")
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

var progressLine = regexp.MustCompile(`(?m)^(#\d+) (.*)$`)

// ran returns the steps of the progress that BuildKit ran, sorted.
func ran(progress string) []string {
	names, steps := map[string]string{}, []string{}
	for _, line := range progressLine.FindAllStringSubmatch(progress, -1) {
		if strings.Contains(line[2], " cuda ") && strings.HasPrefix(line[2], "[") {
			names[line[1]] = line[2][strings.Index(line[2], "]")+2:]
		}
		if line[2] == "CACHED" {
			delete(names, line[1])
		}
	}
	for _, step := range names {
		steps = append(steps, step)
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
	other := caching(t, registry.Host, true) // another machine, and another recipe
	other.catalog = load(t, overlay(t, "12.1", "cudart", "cudart, more"))
	h = other
	want("exported", false)
}

// TestCacheGone: whatever is wrong with a cache, the images are made without it.
func TestCacheGone(t *testing.T) {
	t.Parallel()
	filled := func(t *testing.T) (*registrytest.Server, *house, *record.Run) {
		registry := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
		h := caching(t, registry.Host, true)
		return registry, h, h.done(t, "12.1-*")
	}
	never := func(_ int, r *http.Request) registrytest.Fault {
		<-r.Context().Done()
		return registrytest.Fault{Reset: true}
	}
	cases := map[string]struct {
		arm   func(t *testing.T, registry *registrytest.Server, h *house) // after it was written
		state string                                                      // of runtime's own
	}{
		"silent": {func(_ *testing.T, registry *registrytest.Server, _ *house) { registry.Arm(never, nil) }, "unreachable"},
		"errors": {func(_ *testing.T, registry *registrytest.Server, _ *house) {
			registry.Arm(func(int, *http.Request) registrytest.Fault {
				return registrytest.Fault{Status: http.StatusForbidden, Body: "no"}
			}, nil)
		}, "unreachable"},
		"layer gone": {func(t *testing.T, registry *registrytest.Server, h *house) {
			layer := layerOf(t, h, "12.1-runtime-tiny")
			registry.Arm(func(_ int, r *http.Request) registrytest.Fault {
				if strings.HasSuffix(r.URL.Path, layer) {
					return registrytest.Fault{Status: http.StatusNotFound}
				}
				return registrytest.Fault{}
			}, nil)
		}, "broken"},
		"layer silent": {func(t *testing.T, registry *registrytest.Server, h *house) {
			layer := layerOf(t, h, "12.1-runtime-tiny")
			registry.Arm(func(n int, r *http.Request) registrytest.Fault {
				if strings.HasSuffix(r.URL.Path, layer) {
					return never(n, r)
				}
				return registrytest.Fault{}
			}, nil)
		}, "broken"},
	}
	for name, test := range cases {
		for kind, address := range map[string]func() string{
			"owned": func() string { return "" },
			"given": func() string { address, _ := given(t); return address },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				registry, first, all := filled(t)
				test.arm(t, registry, first)
				h := caching(t, registry.Host, false)
				h.address = address()
				h.cache.Registry.Patience = time.Second
				log := &watcher{}
				h.log = slog.New(slog.NewTextHandler(log, nil))
				r := h.done(t, "12.1-runtime-*", "12.1-devel-*")
				for _, id := range []string{"12.1-runtime-tiny", "12.1-devel-tiny"} {
					if got, want := cell(t, r, id), cell(t, all, id); got.Digest != want.Digest {
						t.Errorf("%s is %s (%s), want %s", id, got.Digest, got.Reason, want.Digest)
					}
				}
				own := cell(t, r, "12.1-runtime-tiny").Caches[0]
				if string(own.State) != test.state || own.Reason == "" {
					t.Errorf("cache of runtime = %+v, want %s", own, test.state)
				}
				if said := log.String(); !strings.Contains(said, "WARN") || !strings.Contains(said, registry.Host) {
					t.Errorf("log = %q, want a warning that names the registry", said)
				}
				registry.Arm(nil, nil)
			})
		}
	}
}
