// SPDX-License-Identifier: Apache-2.0

package retire_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/retire"
)

// TestDo: what the plan says goes, and again there is nothing left to do.
func TestDo(t *testing.T) {
	t.Parallel()
	repo := repository(t, registrytest.Start(t, nil).Host, "team/cuda")
	digests := filled(t, repo)
	p := planned(t, repo)
	done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(done.Removed)
	if diff := cmp.Diff(&retire.Done{Removed: goes, Gone: []string{}, Images: []string{}, Left: []retire.Left{}, Ahead: []string{}}, done); diff != "" {
		t.Errorf("Do (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(without(goes...), standing(t, repo, digests)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	done, err = retirer(t.Context(), t, repo).Do(t.Context(), p)
	if err != nil || len(done.Removed) > 0 || len(done.Gone) != len(goes) {
		t.Errorf("Do again: %+v, %v", done, err)
	}
	if again := planned(t, repo); len(again.Images) > 0 {
		t.Errorf("planned again: %+v", again)
	}
}

// TestMoved: if a tag has moved since, nothing goes, and nothing was asked to.
func TestMoved(t *testing.T) {
	t.Parallel()
	proxy := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
	repo := repository(t, proxy.Host, "team/cuda")
	digests := filled(t, repo)
	p := planned(t, repo)
	if err := remote.Write(repo.Tag("11.2-base"), images(t)["new"].(v1.Image)); err != nil {
		t.Fatal(err)
	}
	done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
	want := fmt.Sprintf("nothing was removed: tag 11.2-base named %s and names %s now", digests["base"], digests["new"])
	if err == nil || err.Error() != want || hint.Code(err, 0) != 1 || hint.Of(err) == "" || len(done.Removed) > 0 {
		t.Errorf("Do = %+v, %v, want %s", done, err, want)
	}
	if removals(proxy) > 0 {
		t.Error("it has asked to remove something")
	}
}

// TestMovedMeanwhile: a tag that somebody moves while others go stays where he put it.
func TestMovedMeanwhile(t *testing.T) {
	t.Parallel()
	host := registrytest.Start(t, nil).Host
	proxy := registrytest.Proxy(t, host)
	repo := repository(t, proxy.Host, "team/cuda")
	digests := filled(t, repo)
	p := planned(t, repo)
	late := p.Images[len(p.Images)-1].Tags[0].Name
	moved := images(t)["new"].(v1.Image)
	var once sync.Once
	proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodDelete {
			once.Do(func() {
				if err := remote.Write(repository(t, host, "team/cuda").Tag(late), moved); err != nil {
					t.Error(err)
				}
			})
		}
		return registrytest.Fault{}
	}, nil)
	done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
	want := []retire.Left{{Tag: late, Why: "it names " + digests["new"] + " now: somebody moved it just now"}}
	if diff := cmp.Diff(want, done.Left); err == nil || hint.Code(err, 0) != 1 || diff != "" {
		t.Errorf("Do: %v, left (-want +got):\n%s", err, diff)
	}
	proxy.Arm(nil, nil)
	stay := without(goes...)
	stay[late] = "new"
	if diff := cmp.Diff(stay, standing(t, repo, digests)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// TestMovedInTheWait: before a removal is asked for again the tag is looked at again.
func TestMovedInTheWait(t *testing.T) {
	t.Parallel()
	host := registrytest.Start(t, nil).Host
	proxy := registrytest.Proxy(t, host)
	repo := repository(t, proxy.Host, "team/cuda")
	digests := filled(t, repo)
	p := planned(t, repo)
	moved := images(t)["new"].(v1.Image)
	var once sync.Once
	proxy.Arm(func(_ int, r *http.Request) (fault registrytest.Fault) {
		if r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/old") {
			once.Do(func() {
				if err := remote.Write(repository(t, host, "team/cuda").Tag("old"), moved); err != nil {
					t.Error(err)
				}
				fault.Status = http.StatusTooManyRequests
			})
		}
		return fault
	}, nil)
	done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
	want := []retire.Left{{Tag: "old", Why: "it names " + digests["new"] + " now: somebody moved it just now"}}
	if diff := cmp.Diff(want, done.Left); hint.Code(err, 0) != 1 || diff != "" {
		t.Errorf("Do: %v, left (-want +got):\n%s", err, diff)
	}
	stay := without(goes...)
	stay["old"] = "new"
	if diff := cmp.Diff(stay, standing(t, repo, digests)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func removals(s *registrytest.Server) (n int) {
	for _, r := range s.Requests() {
		if r.Method == http.MethodDelete {
			n++
		}
	}
	return n
}

// TestKilled: behind whichever change a run ends, the same plan leads to the same end, and no tag that stays is ever lost.
func TestKilled(t *testing.T) {
	t.Parallel()
	proxy := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
	for point := 0; ; point++ {
		repo := repository(t, proxy.Host, fmt.Sprintf("team/cuda%d", point))
		digests := filled(t, repo)
		p := planned(t, repo)
		ctx, kill := context.WithCancel(t.Context())
		var n atomic.Int64
		proxy.Arm(func(int, *http.Request) registrytest.Fault {
			return registrytest.Fault{Reset: ctx.Err() != nil} // who is killed asks for nothing more
		}, func(_ int, r *http.Request) registrytest.Fault {
			reads := r.Method == http.MethodGet || r.Method == http.MethodHead
			if !reads && n.Add(1) == int64(point)+1 {
				kill()
			}
			return registrytest.Fault{}
		})
		done, err := retirer(ctx, t, repo).Do(ctx, p)
		if known := len(done.Removed) + len(done.Gone) + len(done.Ahead); known != len(goes) {
			t.Errorf("killed after %d changes: %d tags are named, want %d: %+v", point, known, len(goes), done)
		}
		proxy.Arm(nil, nil)
		kept := standing(t, repo, digests)
		for tag, text := range without(goes...) {
			if kept[tag] != text {
				t.Errorf("killed after %d changes: tag %s names %q, want %q", point, tag, kept[tag], text)
			}
		}
		if _, again := retirer(t.Context(), t, repo).Do(t.Context(), p); again != nil {
			t.Fatalf("killed after %d changes (%v), Do again = %v", point, err, again)
		}
		stands := unprobed(standing(t, repo, digests), planned(t, repo).Left)
		if diff := cmp.Diff(without(goes...), stands); diff != "" {
			t.Errorf("killed after %d changes (%v), and again:\n%s", point, err, diff)
		}
		if err == nil && n.Load() <= int64(point) {
			if point < len(goes)+3 { // and those to see what the registry does
				t.Errorf("a run had %d requests that change something, too few to have been killed in the middle", point)
			}
			return
		}
	}
}

// unprobed takes the probes that are named as left out of what the tags of a repository name.
func unprobed(stands map[string]string, left []retire.Left) map[string]string {
	maps.DeleteFunc(stands, func(tag, _ string) bool {
		return strings.HasPrefix(tag, "staging-cudabuild-retire-") && slices.ContainsFunc(left, func(l retire.Left) bool { return l.Tag == tag })
	})
	return stands
}
