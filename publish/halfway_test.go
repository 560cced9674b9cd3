// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/publish"
)

// odd is a registry in memory that answers some requests in a way of its own.
func odd(t *testing.T, answers func(w http.ResponseWriter, r *http.Request, inner http.Handler) bool) (address string) {
	t.Helper()
	inner := memory.New(memory.Logger(log.New(io.Discard, "", 0))) //nolint:forbidigo // what it wants
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answers(w, r, inner) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestHalfway: a registry does not take one of the tags, which its owner protects: the others go back.
func TestHalfway(t *testing.T) {
	t.Parallel()
	protected := false
	to := odd(t, func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !protected || r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/manifests/latest") {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"tag is immutable"}]}`)
		return true
	}) + "/cuda"
	old, f := newFamily(t, made{seed: 1, day: 1}), newFamily(t, made{seed: 2, day: 2})
	mustRun(t, publisher(t, old.options(to)), nil)
	before := tagsIn(t, to)
	protected = true
	result, err := publisher(t, f.options(to)).Run(t.Context(), nil)
	if err == nil || hint.Code(err, 3) != 1 || !strings.Contains(err.Error(), "tag is immutable") || !strings.Contains(err.Error(), "back where they were") {
		t.Errorf("Run: %v, want that the tags are back", err)
	}
	if last := result.Phases[len(result.Phases)-1]; last.Done >= last.Of {
		t.Errorf("promoted %d of %d", last.Done, last.Of)
	}
	after := tagsIn(t, to)
	for tag, digest := range before {
		if after[tag] != digest {
			t.Errorf("tag %s names %s, and named %s before", tag, after[tag], digest)
		}
	}
}

// TestUnchangedIsStaged: a last job promotes what others have staged, changed or not, and does so
// again.
func TestUnchangedIsStaged(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	to := h.address + "/cuda"
	first := f.options(to)
	first.Cells = f.cells[:1]
	mustRun(t, publisher(t, first), nil)
	stage := f.options(to)
	stage.ID, stage.StageOnly = "ci.1", true
	mustRun(t, publisher(t, stage), nil)
	for range 2 { // the second finds no staging tag any more
		o := f.options(to)
		o.ID, o.Images, o.Journals = "ci.1", nil, t.TempDir()
		mustRun(t, publisher(t, o), nil)
		sameTags(t, to, f.tags())
	}
}

// TestTagsThatGoTogether: where removing a tag removes the image, other tags of it stay all the same.
func TestTagsThatGoTogether(t *testing.T) {
	t.Parallel()
	to := odd(t, func(w http.ResponseWriter, r *http.Request, inner http.Handler) bool {
		if r.Method != http.MethodDelete || !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		ask := func(method, path string) *httptest.ResponseRecorder {
			answer := httptest.NewRecorder()
			inner.ServeHTTP(answer, httptest.NewRequest(method, path, http.NoBody))
			return answer
		}
		repository, _, _ := strings.Cut(r.URL.Path, "/manifests/")
		var tags struct{ Tags []string }
		_ = json.Unmarshal(ask(http.MethodGet, repository+"/tags/list").Body.Bytes(), &tags)
		gone := ask(http.MethodHead, r.URL.Path).Header().Get("Docker-Content-Digest")
		for _, tag := range tags.Tags {
			path := repository + "/manifests/" + tag
			if ask(http.MethodHead, path).Header().Get("Docker-Content-Digest") == gone {
				ask(http.MethodDelete, path)
			}
		}
		list := repository + "/manifests/" + strings.Replace(gone, ":", "-", 1)
		var attached v1.IndexManifest
		_ = json.Unmarshal(ask(http.MethodGet, list).Body.Bytes(), &attached)
		for _, d := range attached.Manifests {
			ask(http.MethodDelete, repository+"/manifests/"+d.Digest.String())
		}
		ask(http.MethodDelete, list)
		w.WriteHeader(http.StatusAccepted)
		return true
	}) + "/cuda"
	f := newFamily(t, made{seed: 1, day: 1})
	whole := func() {
		t.Helper()
		sameTags(t, to, f.tags())
		for _, r := range f.look(t, to, nil) {
			if !complete(r) {
				t.Errorf("evidence went with a tag: %+v", r)
			}
		}
	}
	mustRun(t, publisher(t, f.options(to)), nil)
	whole()
	stage := f.options(to)
	stage.ID, stage.StageOnly = "again", true
	mustRun(t, publisher(t, stage), nil)
	j, err := publish.ReadJournal(stage.Journals, "again")
	if err != nil {
		t.Fatal(err)
	}
	if undone, err := publisher(t, stage).Abandon(t.Context(), j); err != nil || len(undone.Unstaged) != len(f.cells) {
		t.Errorf("Abandon: %+v, %v", undone, err)
	}
	whole()
}

// TestResumeKeepsToStaging: a run that was to stage moves no tags when it goes on, and one name of a run
// for parts of a family is one run.
func TestResumeKeepsToStaging(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	to := h.address + "/cuda"
	for _, part := range [][2]int{{0, 2}, {2, len(f.cells)}} {
		o := f.options(to)
		o.ID, o.StageOnly, o.Cells = "parts", true, f.cells[part[0]:part[1]]
		mustRun(t, publisher(t, o), nil)
	}
	o := f.options(to)
	o.ID = "parts"
	j, err := publish.ReadJournal(o.Journals, "parts")
	if err != nil || len(j.Plan().Cells) != len(f.cells) || !j.As().StageOnly {
		t.Fatalf("the journal has %d cells, %+v, %v", len(j.Plan().Cells), j.As(), err)
	}
	p := publisher(t, o)
	if err := p.Resume(j); err != nil {
		t.Fatal(err)
	}
	mustRun(t, p, nil)
	for tag := range tagsIn(t, to) {
		if !strings.HasPrefix(tag, "staging-parts-") {
			t.Errorf("tag %s is there", tag)
		}
	}
	if j, err = publish.ReadJournal(o.Journals, "parts"); err != nil {
		t.Fatal(err)
	}
	if undone, err := publisher(t, o).Abandon(t.Context(), j); err != nil || len(undone.Unstaged) != len(f.cells) {
		t.Errorf("Abandon: %+v, %v", undone, err)
	}
	sameTags(t, to, map[string]string{})
}

// TestResumeWithOtherGates: a run does not go on with less than it had to show.
func TestResumeWithOtherGates(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1, extra: "publish: {require: {gpu: [{driver: \"535\", gpu: [sm_90], samples: [nbody]}]}}\n"})
	f.cells = f.cells[:5] // for the others there is no nbody
	o := f.options(h.address + "/cuda")
	o.Command = func(do, run string) string { return "cudabuild push " + do + " " + run + " --file gate.yaml" }
	_, err := publisher(t, o).Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "cudabuild push --resume "+o.ID+" --file gate.yaml") {
		t.Fatalf("Run: %v, want the command that goes on", err)
	}
	j, err := publish.ReadJournal(filepath.Join(f.dir, "push"), "")
	if err != nil {
		t.Fatal(err)
	}
	o.Rules.GPU = nil
	p := publisher(t, o)
	if err := p.Resume(j); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "is it the same matrix?") {
		t.Errorf("Run without the gate: %v", err)
	}
}

// TestAttestations: what buildx puts beside an image is no platform.
func TestAttestations(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 2})
	to := h.address + "/cuda"
	for _, config := range []v1.ConfigFile{{OS: "linux", Architecture: "amd64", Variant: "v2"}, {OS: "unknown", Architecture: "unknown"}} {
		img, err := mutate.ConfigFile(empty.Image, &config)
		if err != nil {
			t.Fatal(err)
		}
		index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img})
		tag, err := name.NewTag(to + ":" + f.cells[0].ID)
		if err == nil {
			err = remote.WriteIndex(tag, index)
		}
		if err != nil {
			t.Fatal(err)
		}
		o := f.options(to)
		o.Cells = f.cells[:1]
		mustRun(t, publisher(t, o), nil)
	}
}
