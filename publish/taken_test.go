// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// TestEvidenceTakenAway: what was there when a run planned, and was taken away by who gave up the same images before
// the run had named them, is there again before a tag moves.
func TestEvidenceTakenAway(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	a, b := f.options(h.address+"/cuda"), f.options(h.address+"/cuda")
	a.Key, a.StageOnly, a.Journals = newKey(t), true, t.TempDir()
	b.Key = a.Key
	mustRun(t, publisher(t, a), nil)
	var once sync.Once
	h.on(func(method, path string) {
		if method == http.MethodPut && strings.Contains(path, "/manifests/staging-"+b.ID) {
			once.Do(func() {
				if undone, err := publisher(t, a).Abandon(t.Context(), journalOf(t, a)); err != nil || len(undone.Detached) != 3*8 {
					t.Errorf("Abandon: %+v, %v", undone, err)
				}
			})
		}
	})
	result := mustRun(t, publisher(t, b), nil)
	for _, r := range f.look(t, b.To, b.Key) {
		if !complete(r) {
			t.Errorf("evidence is gone: %+v", r)
		}
	}
	if result.Plan.Totals.EvidenceNew != 5*8 {
		t.Errorf("%+v, want that all is new", result.Plan.Totals)
	}
}

// TestEvidenceDamaged: where the registry gives evidence other than it was attached no tag moves.
func TestEvidenceDamaged(t *testing.T) {
	t.Parallel()
	f := newFamily(t, made{seed: 1, day: 1})
	o := f.options(odd(t, func(w http.ResponseWriter, r *http.Request, inner http.Handler) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		got := httptest.NewRecorder()
		inner.ServeHTTP(got, r)
		w.WriteHeader(got.Code)
		_, _ = w.Write(bytes.ReplaceAll(got.Body.Bytes(), []byte("predicateType"), []byte("predicatetype")))
		return true
	}) + "/cuda")
	_, err := publisher(t, o).Run(t.Context(), nil)
	if hint.Code(err, 3) != 1 || !strings.Contains(err.Error(), "was attached, and the registry does not give it") {
		t.Errorf("Run: %v", err)
	}
	for tag := range tagsIn(t, o.To) {
		if !strings.HasPrefix(tag, "staging-") {
			t.Errorf("tag %s is there", tag)
		}
	}
}

// TestUndoneWithoutOneList: an image whose list cannot be read keeps nothing else from going, and its name is said.
func TestUndoneWithoutOneList(t *testing.T) {
	t.Parallel()
	f := newFamily(t, made{seed: 1, day: 1})
	list := "/manifests/" + strings.Replace(f.record.Cells[0].Digest, ":", "-", 1)
	var broken atomic.Bool
	to := odd(t, func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !broken.Load() || !strings.HasSuffix(r.URL.Path, list) {
			return false
		}
		w.WriteHeader(http.StatusNotImplemented) // nobody asks again then
		return true
	}) + "/cuda"
	for _, staged := range []bool{true, false} {
		broken.Store(false)
		o := f.options(to)
		o.StageOnly = staged
		mustRun(t, publisher(t, o), nil)
		broken.Store(true)
		undone, err := publisher(t, o).Undo(t.Context(), journalOf(t, o))
		if err == nil || hint.Code(err, 3) != 3 || !strings.Contains(err.Error(), f.record.Cells[0].Digest) || len(undone.Detached) < 4*6 && !staged {
			t.Errorf("Undo: %+v, %v", undone, err)
		}
		sameTags(t, to, map[string]string{})
		broken.Store(false)
		if _, err := publisher(t, o).Undo(t.Context(), journalOf(t, o)); err != nil {
			t.Errorf("Undo again: %v", err)
		}
		if left := lists(t, to); len(left) > 0 {
			t.Errorf("lists %v are left", left)
		}
	}
}

// TestUndoneByTheLast: who takes the last tag of an image away takes what the others had attached and left for its sake.
func TestUndoneByTheLast(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	x, y := f.options(h.address+"/cuda"), f.options(h.address+"/cuda")
	x.ID, y.ID, x.StageOnly, y.StageOnly = "x", "y", true, true
	mustRun(t, publisher(t, x), nil)
	mustRun(t, publisher(t, y), nil)
	if undone, err := publisher(t, x).Abandon(t.Context(), journalOf(t, x)); err != nil || len(undone.Kept) != 3*8 || len(undone.Unstaged) != len(f.cells) {
		t.Errorf("Abandon: %+v, %v", undone, err)
	}
	y.StageOnly, y.Images = false, nil
	mustRun(t, publisher(t, y), nil)
	f.allComplete(t, y.To)
	undone, err := publisher(t, y).Undo(t.Context(), journalOf(t, y))
	if err != nil || len(undone.Detached) != 4*8 || len(undone.Unstaged) != 0 {
		t.Errorf("Undo: %+v, %v", undone, err)
	}
	if diff := cmp.Diff(undone.Back, undone.New); diff != "" {
		t.Errorf("tags that were new:\n%s", diff)
	}
	if left := lists(t, y.To); len(left) > 0 {
		t.Errorf("lists %v are left", left)
	}
	// What others have attached since is theirs.
	theirs := f.options(y.To)
	theirs.StageOnly, theirs.Journals = true, t.TempDir()
	mustRun(t, publisher(t, theirs), nil)
	z := f.options(y.To)
	mustRun(t, publisher(t, z), nil)
	if _, err := publisher(t, theirs).Abandon(t.Context(), journalOf(t, theirs)); err != nil {
		t.Error(err)
	}
	undone, err = publisher(t, z).Undo(t.Context(), journalOf(t, z))
	if err != nil || len(undone.Detached) != 8 || slices.ContainsFunc(f.look(t, y.To, nil), complete) {
		t.Errorf("Undo: %+v, %v", undone, err)
	}
}

// TestStagedSigned: who has no key does not move the tags of what was staged with one.
func TestStagedSigned(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	o := f.options(h.address + "/cuda")
	o.ID, o.StageOnly, o.Key, o.Journals = "42.1", true, newKey(t), t.TempDir()
	mustRun(t, publisher(t, o), nil)
	o.StageOnly, o.Images, o.Journals = false, nil, t.TempDir()
	without := o
	without.Key = nil
	result, err := publisher(t, without).Run(t.Context(), nil)
	if hint.Code(err, 3) != 1 || !strings.Contains(err.Error(), "was staged with a signed sbom alone: give --sign-key the key that signed it") {
		t.Errorf("Run: %+v, %v", result, err)
	}
	for tag := range tagsIn(t, o.To) {
		if !strings.HasPrefix(tag, "staging-") {
			t.Errorf("tag %s is there", tag)
		}
	}
	o.Journals = t.TempDir()
	mustRun(t, publisher(t, o), nil)
	sameTags(t, o.To, f.tags())
}
