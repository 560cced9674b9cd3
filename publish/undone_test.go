// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/registry"
)

// journalOf reads the journal of a run.
func journalOf(t *testing.T, o publish.Options) publish.Journal {
	t.Helper()
	j, err := publish.ReadJournal(o.Journals, o.ID)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// allComplete makes sure that all evidence of all images is there.
func (f family) allComplete(t *testing.T, to string) {
	t.Helper()
	for _, r := range f.look(t, to, nil) {
		if !complete(r) {
			t.Errorf("evidence is not complete: %+v", r)
		}
	}
}

// TestUndoneOfOthers: who finds the evidence of another publisher in place of his own leaves it there.
func TestUndoneOfOthers(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	o, theirs := f.options(h.address+"/cuda"), f.options(h.address+"/cuda")
	o.StageOnly, theirs.Journals = true, t.TempDir()
	var once sync.Once
	h.on(func(method, path string) {
		if method == http.MethodPut && strings.Contains(path, "/manifests/staging-"+o.ID) { // it has planned by then
			once.Do(func() { mustRun(t, publisher(t, theirs), nil) })
		}
	})
	mustRun(t, publisher(t, o), nil)
	undone, err := publisher(t, o).Abandon(t.Context(), journalOf(t, o))
	if err != nil || len(undone.Detached) > 0 || len(undone.Kept) > 0 || len(undone.Attached) > 0 {
		t.Errorf("Abandon: %+v, %v, want that nothing was its own", undone, err)
	}
	f.allComplete(t, o.To)
}

// TestUndoneWhereTagsStay: where tags cannot be removed the images that they name keep their evidence, and so do
// images that another run has given a name.
func TestUndoneWhereTagsStay(t *testing.T) {
	t.Parallel()
	to := odd(t, func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method != http.MethodDelete {
			return false
		}
		w.WriteHeader(http.StatusMethodNotAllowed)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNSUPPORTED"}]}`)
		return true
	}) + "/cuda"
	f := newFamily(t, made{seed: 1, day: 1})
	o := f.options(to)
	mustRun(t, publisher(t, o), nil)
	if undone, err := publisher(t, o).Undo(t.Context(), journalOf(t, o)); err == nil || len(undone.Left) == 0 || len(undone.Kept) == 0 || len(undone.Detached)+len(undone.Attached) > 0 {
		t.Errorf("Undo: %+v, %v", undone, err)
	}
	f.allComplete(t, to)

	h := newHost(t)
	o = f.options(h.address + "/cuda")
	o.StageOnly = true
	mustRun(t, publisher(t, o), nil)
	later := f.options(o.To)
	mustRun(t, publisher(t, later), nil)
	if undone, err := publisher(t, o).Abandon(t.Context(), journalOf(t, o)); err != nil || len(undone.Kept) == 0 || len(undone.Detached) > 0 {
		t.Errorf("Abandon: %+v, %v", undone, err)
	}
	f.allComplete(t, o.To)
}

// TestUndoneLater: staging tags that a registry was too busy to remove are not given up: the same command removes them later.
func TestUndoneLater(t *testing.T) {
	t.Parallel()
	busy := false
	to := odd(t, func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !busy || r.Method != http.MethodDelete {
			return false
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}) + "/cuda"
	f := newFamily(t, made{seed: 1, day: 1})
	o := f.options(to)
	o.StageOnly, o.Registry.Pause = true, time.Millisecond
	mustRun(t, publisher(t, o), nil)
	busy = true
	if undone, err := publisher(t, o).Abandon(t.Context(), journalOf(t, o)); !registry.Busy(err) || len(undone.Staged)+len(undone.Unstaged) > 0 {
		t.Errorf("Abandon: %+v, %v, want an error of a busy registry", undone, err)
	}
	busy = false
	if undone, err := publisher(t, o).Abandon(t.Context(), journalOf(t, o)); err != nil || len(undone.Unstaged) == 0 {
		t.Errorf("Abandon later: %+v, %v", undone, err)
	}
}
