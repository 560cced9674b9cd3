// SPDX-License-Identifier: Apache-2.0

package retire_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

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
	r, err := retire.New(ctx, repo, registry.Options{Pause: time.Millisecond})
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
		{Tag: "12.4-devel-debian13", Why: "there is no tag 11.2-runtime-debian11, so nobody knows whether it names that cell's image: look, and remove it in the registry's own way"},
		{Tag: "latest", Why: "it names another image, " + digests["new"] + ", than 11.2-devel-debian11"},
	}
	if diff := cmp.Diff(left, p.Left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tags, standing(t, repo, digests)); diff != "" {
		t.Errorf("planning has changed tags:\n%s", diff)
	}
	if _, err := retirer(t.Context(), t, repo.Registry.Repo("none")).Plan(t.Context(), ended()); err == nil || hint.Of(err) == "" || !strings.Contains(err.Error(), "there is no repository") {
		t.Errorf("of a repository that is not there: %v", err)
	}
}

func TestParsePlan(t *testing.T) {
	t.Parallel()
	a := strings.Repeat("a", 64)
	for _, text := range []string{
		"", "[]", `{"version":2,"to":"r/x","images":[]}`, `{"version":1,"images":[]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:1"}]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:` + a + `","tags":[{"name":"a"}],"tags":[{"name":"b"}]}]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:` + a + `","tags":[{"name":"a"},{"name":"a"}]}]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:` + a + `"},{"digest":"sha256:` + a + `"}]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:` + a + `","platforms":["\u001b[2J"]}]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:` + a + `","attached":[{"digest":"x","subject":"sha256:` + a + `"}]}]}`,
		`{"version":1,"to":"r/x","images":[]} {}`,
		`{"version":1,"to":"r/x"}`, `{"version":1,"to":"r/x","imagess":[]}`, `{"version":1,"to":"r/x:tag","images":[]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:` + a + `","tags":null}]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:` + a + `","tags":[{"name":"sha256-` + a + `"}]}]}`,
		`{"version":1,"to":"r/x","images":[{"digest":"sha256:` + a + `","tags":[{"name":"../x"}]}]}`,
	} {
		if p, err := retire.ParsePlan([]byte(text)); err == nil {
			t.Errorf("ParsePlan(%s) = %+v", text, p)
		}
	}
}
