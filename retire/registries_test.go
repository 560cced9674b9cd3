// SPDX-License-Identifier: Apache-2.0

package retire_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/retire"
)

// unsupported is the answer of a registry that does not remove that.
var unsupported = registrytest.Fault{Status: http.StatusMethodNotAllowed, Body: `{"errors":[{"code":"UNSUPPORTED"}]}`}

// unshared are the tags that are to go of images that no other tag needs.
var unshared = []string{"11.2-base", "11.2-base-debian11", "11.2-nbody-debian11"}

// TestRegistries: what a registry does not remove stays, with the reason and exit code 1, and tags that nobody
// asked about are never lost.
func TestRegistries(t *testing.T) {
	t.Parallel()
	host := registrytest.Start(t, nil).Host
	for _, tt := range []struct {
		name   string
		refuse func(r *http.Request) bool
		answer registrytest.Fault
		gone   []string
		left   string
		next   string
	}{
		{"nothing is removed", func(*http.Request) bool { return true }, unsupported, nil, "the registry removes neither tags nor this image: ", "storage.delete.enabled"},
		{"only images", byTag, unsupported, unshared, "the registry removes no tags, and with the image both, mine would go", "storage.delete.enabled"},
		{"only images, 400", byTag, registrytest.Fault{Status: http.StatusBadRequest, Body: `{"errors":[{"code":"UNSUPPORTED"}]}`}, unshared, "the registry removes no tags, and with the image both, mine would go", "storage.delete.enabled"},
		{"only by digest", byTag, registrytest.Fault{Status: http.StatusBadRequest, Body: `{"errors":[{"code":"DIGEST_INVALID"}]}`}, unshared, "the registry removes no tags, and with the image both, mine would go", "storage.delete.enabled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proxy := registrytest.Proxy(t, host)
			repo := repository(t, proxy.Host, "team/"+strings.NewReplacer(" ", "-", ",", "").Replace(tt.name))
			digests := filled(t, repo)
			p := planned(t, repo)
			proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
				if r.Method == http.MethodDelete && tt.refuse(r) {
					return tt.answer
				}
				return registrytest.Fault{}
			}, nil)
			done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
			if err == nil || hint.Code(err, 0) != 1 || !strings.Contains(hint.Of(err), tt.next) || len(done.Left)+len(done.Removed) != len(goes) {
				t.Errorf("Do = %+v, %v (%s)", done, err, hint.Of(err))
			}
			if !slices.ContainsFunc(done.Left, func(l retire.Left) bool { return strings.HasPrefix(l.Why, tt.left) }) {
				t.Errorf("left: %+v, want one with %q", done.Left, tt.left)
			}
			if diff := cmp.Diff(without(tt.gone...), standing(t, repo, digests)); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

// TestImageGoesWithTag: where a registry removes an image, with all its tags, for one of them, tags of images that
// others need stay.
func TestImageGoesWithTag(t *testing.T) {
	t.Parallel()
	host := registrytest.Start(t, nil).Host
	repo := repository(t, wholly(t, host).Host, "team/cuda")
	digests := filled(t, repo)
	p := planned(t, repo)
	done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
	if err == nil || hint.Code(err, 0) != 1 || len(done.Left) != 2 || done.Left[0].Why != "the registry removes the image with its tag, and both, mine would go too" {
		t.Errorf("Do = %+v, %v", done, err)
	}
	if diff := cmp.Diff(without("11.2-base", "11.2-base-debian11", "11.2-nbody-debian11"), standing(t, repo, digests)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// wholly is a registry that removes the image of a tag, and so all its tags.
func wholly(t *testing.T, upstream string) *registrytest.Server {
	t.Helper()
	proxy := registrytest.Proxy(t, upstream)
	return registrytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repo, tag, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
		if r.Method == http.MethodDelete && !strings.HasPrefix(tag, "sha256:") {
			if desc, err := remote.Head(repository(t, upstream, repo).Tag(tag)); err == nil {
				r.URL.Path = "/v2/" + repo + "/manifests/" + desc.Digest.String()
			}
		}
		http.Redirect(w, r, "http://"+proxy.Host+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
}

// byTag reports a request to remove a tag.
func byTag(r *http.Request) bool {
	return r.Method == http.MethodDelete && !strings.Contains(r.URL.Path, "/manifests/sha256:")
}

// looking is a registry that looks up what it is to remove, and refuses what is there: tags, and images too if it
// removes nothing.
func looking(t *testing.T, upstream string, refuse func(r *http.Request) bool) *registrytest.Server {
	t.Helper()
	proxy := registrytest.Proxy(t, upstream)
	proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
		repo, ref, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
		if !refuse(r) || r.Method != http.MethodDelete {
			return registrytest.Fault{}
		}
		at, err := name.ParseReference(upstream + "/" + repo + map[bool]string{true: "@", false: ":"}[strings.HasPrefix(ref, "sha256:")] + ref)
		if err != nil {
			t.Error(err)
		}
		if _, err := remote.Head(at); err != nil {
			return registrytest.Fault{Status: http.StatusNotFound, Body: `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`}
		}
		return unsupported
	}, nil)
	return proxy
}

// TestLooksFirst: what a registry says of a tag that is not there is not taken for what it does with tags, and no probe
// stays that it lets anybody remove.
func TestLooksFirst(t *testing.T) {
	t.Parallel()
	upstream := registrytest.Start(t, nil).Host
	for _, tt := range []struct {
		name   string
		refuse func(r *http.Request) bool
		shared bool
		code   int
		gone   []string
	}{
		{"only images", byTag, true, 1, unshared},
		{"only images, none shared", byTag, false, 0, unshared},
		{"nothing", func(*http.Request) bool { return true }, true, 1, nil},
		{"nothing, none shared", func(*http.Request) bool { return true }, false, 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			repo := repository(t, looking(t, upstream, tt.refuse).Host, "team/"+strings.NewReplacer(" ", "-", ",", "").Replace(tt.name))
			digests := filled(t, repo)
			p := planned(t, repo)
			if !tt.shared {
				p.Images = slices.DeleteFunc(p.Images, func(i retire.Image) bool { return len(i.KeptBy) > 0 })
			}
			done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
			if hint.Code(err, 0) != tt.code {
				t.Errorf("Do = %+v, %v", done, err)
			}
			stand := without(tt.gone...)
			if len(tt.gone) == 0 { // it removes nothing at all, and the probes are named
				for n := range 2 {
					if !strings.HasPrefix(done.Left[n].Tag, "staging-cudabuild-retire-") {
						t.Errorf("left: %+v", done.Left)
					}
					stand[done.Left[n].Tag] = ""
				}
			}
			if diff := cmp.Diff(stand, standing(t, repo, digests)); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBusy: a registry that cannot now is none that removes no tags; later the same plan is done.
func TestBusy(t *testing.T) {
	t.Parallel()
	upstream := registrytest.Start(t, nil).Host
	for name, fault := range map[string]registrytest.Fault{
		"429":        {Status: http.StatusTooManyRequests},
		"408":        {Status: http.StatusRequestTimeout},
		"425":        {Status: http.StatusTooEarly},
		"503":        {Status: http.StatusServiceUnavailable},
		"rate limit": {Status: http.StatusForbidden, Body: `{"errors":[{"code":"DENIED","message":"rate limit exceeded"}]}`},
	} {
		for _, from := range []int{0, 1, 4} { // removals that went well: before the probes are there, then, and those of real tags
			t.Run(fmt.Sprint(name, " from ", from), func(t *testing.T) {
				t.Parallel()
				proxy := registrytest.Proxy(t, upstream)
				repo := repository(t, proxy.Host, fmt.Sprintf("busy/%s%d", strings.ReplaceAll(name, " ", ""), from))
				digests := filled(t, repo)
				p := planned(t, repo)
				var n atomic.Int64
				proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
					if r.Method == http.MethodDelete && n.Add(1) > int64(from) {
						return fault
					}
					return registrytest.Fault{}
				}, nil)
				done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
				if err == nil || hint.Code(err, 0) == 1 || !registry.Busy(err) {
					t.Errorf("Do = %+v, %v, want one that is busy", done, err)
				}
				for _, r := range proxy.Requests() {
					if r.Method == http.MethodDelete && strings.Contains(r.Path, "/manifests/sha256:") {
						t.Errorf("it has asked for %s to go", r.Path)
					}
				}
				proxy.Arm(nil, nil)
				if later, err := retirer(t.Context(), t, repo).Do(t.Context(), p); err != nil {
					t.Errorf("later: %+v, %v", later, err)
				}
				if diff := cmp.Diff(without(goes...), unprobed(standing(t, repo, digests), done.Left)); diff != "" {
					t.Errorf("tags (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestDenied: who may not remove a tag removes no image in its place.
func TestDenied(t *testing.T) {
	t.Parallel()
	upstream := registrytest.Start(t, nil).Host
	for _, tt := range []struct {
		name   string
		status int
		of     func(r *http.Request) bool
		gone   []string
	}{
		{"401", http.StatusUnauthorized, byTag, nil},
		{"403", http.StatusForbidden, byTag, nil},
		{"409", http.StatusConflict, byTag, nil},
		{"403 of one", http.StatusForbidden, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/11.2-base") }, []string{"11.2-base-debian11", "11.2-devel-debian11", "11.2-nbody-debian11", "old"}},
		{"412 of one", http.StatusPreconditionFailed, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/11.2-base") }, []string{"11.2-base-debian11", "11.2-devel-debian11", "11.2-nbody-debian11", "old"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proxy := registrytest.Proxy(t, upstream)
			repo := repository(t, proxy.Host, "denied/"+strings.ReplaceAll(tt.name, " ", ""))
			digests := filled(t, repo)
			p := planned(t, repo)
			proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
				if r.Method == http.MethodDelete && tt.of(r) {
					return registrytest.Fault{Status: tt.status}
				}
				return registrytest.Fault{}
			}, nil)
			done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
			if hint.Code(err, 0) != 1 || len(done.Images) > 0 || len(done.Left) != len(goes)-len(tt.gone) {
				t.Errorf("Do = %+v, %v", done, err)
			}
			if diff := cmp.Diff(without(tt.gone...), standing(t, repo, digests)); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPromotedMeanwhile: a tag that somebody gives an image while others go is not lost with it, nor is what an index needs that
// somebody gives one.
func TestPromotedMeanwhile(t *testing.T) {
	t.Parallel()
	upstream := registrytest.Start(t, nil).Host
	for name, host := range map[string]func(t *testing.T) *registrytest.Server{
		"only images": func(t *testing.T) *registrytest.Server { return looking(t, upstream, byTag) },
		"wholly":      func(t *testing.T) *registrytest.Server { return wholly(t, upstream) },
	} {
		for _, of := range []string{"base", "both"} {
			t.Run(name+" "+of, func(t *testing.T) {
				t.Parallel()
				path := strings.ReplaceAll("promoted/"+name+of, " ", "")
				direct := repository(t, upstream, path)
				var once sync.Once
				inner := host(t)
				outer := registrytest.Proxy(t, inner.Host)
				repo := repository(t, outer.Host, path)
				digests := filled(t, repo)
				p, err := retirer(t.Context(), t, repo).Plan(t.Context(), append(ended(),
					retire.Cell{ID: "mine", Tags: []string{"mine"}}, retire.Cell{ID: "both", Tags: []string{"both"}}))
				if err != nil {
					t.Fatal(err)
				}
				outer.Arm(func(_ int, r *http.Request) registrytest.Fault {
					if r.Method == http.MethodDelete {
						once.Do(func() {
							desc, err := remote.Get(direct.Tag(map[string]string{"base": "11.2-base", "both": "both"}[of]))
							if err == nil {
								err = remote.Tag(direct.Tag("promoted"), desc)
							}
							if err != nil {
								t.Error(err)
							}
						})
					}
					return registrytest.Fault{}
				}, nil)
				done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
				if hint.Code(err, 0) != 1 {
					t.Errorf("Do = %+v, %v", done, err)
				}
				stand := without(append([]string{"mine", "both"}, goes...)...)
				kept := map[string]map[string]string{
					"base": {"promoted": "base", "11.2-base": "base", "11.2-base-debian11": "base"},
					"both": {"promoted": "both", "both": "both", "mine": "devel", "old": "devel", "11.2-devel-debian11": "devel"},
				}[of]
				maps.Copy(stand, kept)
				if diff := cmp.Diff(stand, standing(t, direct, digests)); diff != "" {
					t.Errorf("tags (-want +got):\n%s", diff)
				}
				if _, err := remote.Image(direct.Digest(digests["devel"])); err != nil && of == "both" {
					t.Errorf("what the index needs: %v", err)
				}
			})
		}
	}
}

// TestTwoAtOnce: what another run has put there to see what the registry does is not taken for what the registry left.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	upstream := registrytest.Start(t, nil).Host
	first, second := registrytest.Proxy(t, wholly(t, upstream).Host), registrytest.Proxy(t, wholly(t, upstream).Host)
	repo := repository(t, first.Host, "team/cuda")
	digests := filled(t, repo)
	p := planned(t, repo)
	probe := func(r *http.Request) bool {
		return strings.Contains(r.URL.Path, "/manifests/staging-cudabuild-retire-")
	}
	var puts, removals atomic.Int64
	second.Arm(func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodPut && probe(r) {
			puts.Add(1)
		}
		return registrytest.Fault{Reset: r.Method == http.MethodDelete && puts.Load() == 2} // it is killed with both of its own there
	}, nil)
	var once sync.Once
	first.Arm(func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodDelete && probe(r) {
			removals.Add(1)
		}
		if r.Method == http.MethodHead && probe(r) && removals.Load() == 2 { // the first was of a tag that is not there
			once.Do(func() {
				if _, err := retirer(t.Context(), t, repository(t, second.Host, "team/cuda")).Do(t.Context(), p); err == nil {
					t.Error("the second run was not killed")
				}
			})
		}
		return registrytest.Fault{}
	}, nil)
	done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
	if hint.Code(err, 0) != 1 || puts.Load() != 2 {
		t.Errorf("Do = %+v, %v", done, err)
	}
	if diff := cmp.Diff(without(unshared...), unprobed(standing(t, repository(t, upstream, "team/cuda"), digests), planned(t, repo).Left)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// TestInterrupted: who is interrupted takes the probes away all the same.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	proxy := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
	repo := repository(t, proxy.Host, "team/cuda")
	digests := filled(t, repo)
	p := planned(t, repo)
	ctx, interrupt := context.WithCancel(t.Context())
	var puts atomic.Int64
	proxy.Arm(nil, func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/staging-cudabuild-retire-") && puts.Add(1) == 2 {
			interrupt()
		}
		return registrytest.Fault{}
	})
	done, err := retirer(ctx, t, repo).Do(ctx, p)
	if !errors.Is(err, context.Canceled) || len(done.Left) > 0 || len(done.Ahead) != len(goes) {
		t.Errorf("Do = %+v, %v", done, err)
	}
	if diff := cmp.Diff(tags, standing(t, repo, digests)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}
