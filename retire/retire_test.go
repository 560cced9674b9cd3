// SPDX-License-Identifier: Apache-2.0

package retire_test

import (
	"context"
	"encoding/json"
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
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/retire"
	"github.com/cudabuild/cudabuild/support"
)

// The repository of these tests: what each tag names.
//
//	11.2-base-debian11, 11.2-base     base, and nothing else does
//	11.2-devel-debian11, old, mine    devel; mine is somebody's, as is both, an index that has devel
//	11.2-nbody-debian11               an index of two platforms
//	latest, 12.4-devel-debian13       new; latest was devel's once
var tags = map[string]string{
	"11.2-base-debian11": "base", "11.2-base": "base",
	"11.2-devel-debian11": "devel", "old": "devel", "mine": "devel", "both": "both",
	"11.2-nbody-debian11": "nbody", "latest": "new", "12.4-devel-debian13": "new",
}

func ended() []retire.Cell {
	ends := support.End{Date: "2026-08-31", What: "Debian 11", Source: "wiki.debian.org/LTS"}
	return []retire.Cell{
		{ID: "11.2-base-debian11", Tags: []string{"11.2-base-debian11", "11.2-base"}, Ends: ends},
		{ID: "11.2-runtime-debian11", Tags: []string{"11.2-runtime-debian11", "12.4-devel-debian13"}, Ends: ends}, // was never pushed
		{ID: "11.2-devel-debian11", Tags: []string{"11.2-devel-debian11", "old", "latest"}, Ends: ends},
		{ID: "11.2-nbody-debian11", Tags: []string{"11.2-nbody-debian11"}, Ends: ends},
	}
}

// goes are the tags that are to go; only devel's are shared.
var goes = []string{"11.2-base", "11.2-base-debian11", "11.2-devel-debian11", "11.2-nbody-debian11", "old"}

type put interface {
	remote.Taggable
	partial.Describable
}

// images are what the tags name.
func images(t *testing.T) map[string]put {
	t.Helper()
	all := map[string]put{}
	for _, text := range []string{"base", "devel", "new", "amd64"} {
		all[text] = imagetest.New(imagetest.Layer(imagetest.Gzip, imagetest.Files(map[string]imagetest.Entry{"etc/text": {Data: text}})))
	}
	index := func(of ...string) v1.ImageIndex {
		var adds []mutate.IndexAddendum
		for _, text := range of {
			adds = append(adds, mutate.IndexAddendum{Add: all[text].(v1.Image)})
		}
		return mutate.AppendManifests(empty.Index, adds...)
	}
	all["both"], all["nbody"] = index("devel", "new"), index("amd64")
	return all
}

// filled makes the repository, with evidence attached to base and to nbody's platform, and returns
// the digests by the names of images.
func filled(t *testing.T, repo name.Repository) map[string]string {
	t.Helper()
	digests := map[string]string{}
	all := images(t)
	for text, img := range all {
		desc, err := partial.Descriptor(img)
		if err != nil {
			t.Fatal(err)
		}
		digests[text] = desc.Digest.String()
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		ref, img := repo.Tag(tag), all[tags[tag]]
		var err error
		if index, is := img.(v1.ImageIndex); is {
			err = remote.WriteIndex(ref, index)
		} else {
			err = remote.Write(ref, img.(v1.Image))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	client, err := registry.New(t.Context(), repo, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	attached, err := referrer.Open(repo, client)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"base", "amd64", "devel"} {
		desc, err := partial.Descriptor(all[text])
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := attached.Attach(t.Context(), *desc, referrer.Artifact{Type: "application/spdx+json", MediaType: "application/spdx+json", Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	return digests
}

func repository(t *testing.T, host, path string) name.Repository {
	t.Helper()
	repo, err := name.NewRepository(host + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func retirer(ctx context.Context, t *testing.T, repo name.Repository) *retire.Retirer {
	t.Helper()
	r, err := retire.New(ctx, repo, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func planned(t *testing.T, repo name.Repository) *retire.Plan {
	t.Helper()
	p, err := retirer(t.Context(), t, repo).Plan(t.Context(), ended())
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = retire.ParsePlan(data); err != nil { // as it is read again
		t.Fatal(err)
	}
	return p
}

// standing is what the tags of a repository name, by the names of images.
func standing(t *testing.T, repo name.Repository, digests map[string]string) map[string]string {
	t.Helper()
	all, err := remote.List(repo)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for text, digest := range digests {
		names[digest] = text
	}
	stand := map[string]string{}
	for _, tag := range all {
		if referrer.IsTag(tag) {
			continue
		}
		desc, err := remote.Get(repo.Tag(tag)) // and it can be had
		if err != nil {
			t.Errorf("tag %s: %v", tag, err)
			continue
		}
		stand[tag] = names[desc.Digest.String()]
	}
	return stand
}

// without returns the tags less some.
func without(gone ...string) map[string]string {
	left := map[string]string{}
	for tag, text := range tags {
		if !slices.Contains(gone, tag) {
			left[tag] = text
		}
	}
	return left
}

func TestPlan(t *testing.T) {
	t.Parallel()
	repo := repository(t, registrytest.Start(t, nil).Host, "team/cuda")
	digests := filled(t, repo)
	p := planned(t, repo)
	type short struct{ tags, keptBy, platforms, attached []string }
	got := map[string]short{}
	for _, i := range p.Images {
		s := short{keptBy: i.KeptBy, platforms: i.Platforms}
		for _, tag := range i.Tags {
			s.tags = append(s.tags, tag.Name)
			if tag.Ends.Date != "2026-08-31" || !strings.HasPrefix(tag.Cell, "11.2-") {
				t.Errorf("tag %+v", tag)
			}
		}
		for _, a := range i.Attached {
			s.attached = append(s.attached, a.Type+" of "+a.Subject)
		}
		got[i.Digest] = s
	}
	want := map[string]short{
		digests["base"]:  {tags: []string{"11.2-base", "11.2-base-debian11"}, keptBy: []string{}, platforms: []string{}, attached: []string{"application/spdx+json of " + digests["base"]}},
		digests["devel"]: {tags: []string{"old", "11.2-devel-debian11"}, keptBy: []string{"both", "mine"}, platforms: []string{}},
		digests["nbody"]: {tags: []string{"11.2-nbody-debian11"}, keptBy: []string{}, platforms: []string{digests["amd64"]}, attached: []string{"application/spdx+json of " + digests["amd64"]}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(short{})); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	left := []retire.Left{
		{Tag: "12.4-devel-debian13", Why: "there is no tag 11.2-runtime-debian11, so nobody knows whether it names that cell's image"},
		{Tag: "latest", Why: "it names " + digests["new"] + ", which is not what 11.2-devel-debian11 does"},
	}
	if diff := cmp.Diff(left, p.Left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tags, standing(t, repo, digests)); diff != "" {
		t.Errorf("planning has changed tags:\n%s", diff)
	}
	empty, err := retirer(t.Context(), t, repo.Registry.Repo("none")).Plan(t.Context(), ended())
	if err != nil || len(empty.Images) > 0 {
		t.Errorf("of a repository that is not there: %+v, %v", empty, err)
	}
}

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
	if diff := cmp.Diff(&retire.Done{Removed: goes, Gone: []string{}, Images: []string{}, Left: []retire.Left{}}, done); diff != "" {
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
		proxy.Arm(nil, func(_ int, r *http.Request) registrytest.Fault {
			reads := r.Method == http.MethodGet || r.Method == http.MethodHead
			if !reads && n.Add(1) == int64(point)+1 {
				kill()
			}
			return registrytest.Fault{}
		})
		_, err := retirer(ctx, t, repo).Do(ctx, p)
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
		if diff := cmp.Diff(without(goes...), standing(t, repo, digests)); diff != "" {
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

// TestRegistries: what a registry does not remove stays, with the reason and exit code 1, and tags that nobody
// asked about are never lost.
func TestRegistries(t *testing.T) {
	t.Parallel()
	host := registrytest.Start(t, nil).Host
	unsupported := registrytest.Fault{Status: http.StatusMethodNotAllowed, Body: `{"errors":[{"code":"UNSUPPORTED"}]}`}
	byDigest := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/sha256:") }
	for _, tt := range []struct {
		name   string
		refuse func(r *http.Request) bool
		gone   []string
		left   string
		next   string
	}{
		{"nothing is removed", func(*http.Request) bool { return true }, nil, "the registry removes neither tags nor images: ", "storage.delete.enabled"},
		{"only images", func(r *http.Request) bool { return !byDigest(r) }, []string{"11.2-base", "11.2-base-debian11", "11.2-nbody-debian11"}, "the registry removes no tags, and with the image both, mine would go", "storage.delete.enabled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proxy := registrytest.Proxy(t, host)
			repo := repository(t, proxy.Host, "team/"+strings.ReplaceAll(tt.name, " ", "-"))
			digests := filled(t, repo)
			p := planned(t, repo)
			proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
				if r.Method == http.MethodDelete && tt.refuse(r) {
					return unsupported
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
	repo := repository(t, wholly(t, host), "team/cuda")
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
func wholly(t *testing.T, upstream string) (host string) {
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
	})).Host
}

func TestParsePlan(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "[]", `{"version":2,"to":"r/x","images":[]}`, `{"version":1,"images":[]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:1"}]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:` + strings.Repeat("a", 64) + `","tags":[{"name":"sha256-` + strings.Repeat("a", 64) + `"}]}]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:` + strings.Repeat("a", 64) + `","tags":[{"name":"../x"}]}]}`,
	} {
		if p, err := retire.ParsePlan([]byte(text)); err == nil {
			t.Errorf("ParsePlan(%s) = %+v", text, p)
		}
	}
}
