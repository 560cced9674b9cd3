// SPDX-License-Identifier: Apache-2.0

package update_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/internal/standin/index"
	"github.com/cudabuild/cudabuild/internal/updatetest"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/update"
)

// write compares and writes into the last folder.
func write(t *testing.T, w *updatetest.World, dirs ...string) *update.Found {
	t.Helper()
	found := compareIn(t, w, dirs...)
	if _, err := found.Write(dirs); err != nil {
		t.Fatal(err)
	}
	return found
}

// compareIn compares recipes of several folders.
func compareIn(t *testing.T, w *updatetest.World, dirs ...string) *update.Found {
	t.Helper()
	c, err := recipes.Load(update.Existing(dirs)...)
	if err != nil {
		t.Fatal(err)
	}
	a, err := update.Read(t.Context(), c, updatetest.Systems, w.Tree, now, get)
	if err != nil {
		t.Fatal(err)
	}
	return update.Compare(c, a)
}

// later serves the world as it is some days later.
func later(t *testing.T, w *updatetest.World, days int) {
	t.Helper()
	w.Form.Date = index.Date.AddDate(0, 0, days)
	w.Serve(t)
}

// sources are the titles of who says each package's version, for an OS on amd64.
func sources(t *testing.T, os, cuda string, dirs ...string) map[string]string {
	t.Helper()
	c, err := recipes.Load(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := c.Find(os, cuda)
	all := map[string]string{}
	for _, p := range r.On("linux/amd64").Pins {
		all[p.Package] = p.Source
	}
	return all
}

// TestFilledKeepsOthers: what comes later is filled in, and all that was read before stays known.
func TestFilledKeepsOthers(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64", "nccl")
	w.Serve(t)
	write(t, w, w.Recipes)
	before := sources(t, "ubuntu24.04", "99.1.0", w.Recipes)
	if before["libnccl2"] != "" || before["libcublas-99-1"] == "" {
		t.Fatalf("%v", before)
	}
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64")
	later(t, w, 1)
	write(t, w, w.Recipes)
	after := sources(t, "ubuntu24.04", "99.1.0", w.Recipes)
	for name := range before {
		if !strings.Contains(after[name], "repository ubuntu2404/x86_64, index sha256 ") || after[name] == before[name] {
			t.Errorf("%s is by %q, want today's state", name, after[name])
		}
	}
	if len(after) != len(before)+2 || after["libnccl2"] == "" {
		t.Errorf("%d packages are pinned, want the %d of before and NCCL", len(after), len(before))
	}
	if found := compareIn(t, w, w.Recipes); found.Any() {
		t.Errorf("found again: %+v", found)
	}
}

// TestHeld: no pin is said to be from a state of a repository that does not have it.
func TestHeld(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64", "cudnn")
	w.Serve(t)
	write(t, w, w.Recipes)
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64")
	w.Packages["ubuntu2404/x86_64"] = slices.DeleteFunc(w.Packages["ubuntu2404/x86_64"], func(p pkgindex.Package) bool {
		return strings.HasPrefix(p.Name, "libnccl") && strings.Contains(p.Version, "cuda99.1")
	})
	later(t, w, 1)
	before := tree(t, w.Recipes)
	found := write(t, w, w.Recipes)
	if len(found.Filled) > 0 || len(found.Held) != 1 || found.Held[0].Pin != "cudnn" || !slices.Contains(found.Held[0].Gone, "libnccl2 3.1.7-1+cuda99.1") {
		t.Errorf("filled %+v, held %+v; want cuDNN held by NCCL", found.Filled, found.Held)
	}
	if !found.Any() {
		t.Error("nothing found")
	}
	if diff := cmp.Diff(before, tree(t, w.Recipes)); diff != "" {
		t.Errorf("files (-before +after):\n%s", diff)
	}
}

// TestOverlay: of what other folders say a file repeats nothing, and takes nothing away.
func TestOverlay(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	for _, name := range []string{"libnccl2", "libnccl-dev"} {
		w.Add("ubuntu2404/x86_64", name, "2.29.1-1+cuda12.8")
	}
	w.Serve(t)
	write(t, w, w.Recipes)
	for _, name := range []string{"libcudnn9-cuda-12", "libcudnn9-dev-cuda-12"} {
		w.Add("ubuntu2404/x86_64", name, "9.8.0.87-1")
	}
	for _, name := range []string{"libnccl", "libnccl-devel"} {
		w.Add("rhel9/x86_64", name, "2.26.1-1+cuda12.8")
	}
	later(t, w, 1)
	for name, text := range map[string]string{"new": "", "one line": "# ours\nends: {date: 2029-01-31, source: us}\n"} {
		ours := t.TempDir()
		if text != "" {
			w := *w
			w.Recipes = ours
			w.Write(t, "toolkit/12.8.1.yaml", text)
		}
		write(t, w, w.Recipes, ours)
		got := tree(t, ours)["toolkit/12.8.1.yaml"]
		if !strings.HasPrefix(got, text) || strings.Contains(got, "cublas") || strings.Contains(got, "cuda:") || !strings.Contains(got, "cudnn") {
			t.Errorf("%s: want what is new alone, got\n%s", name, got)
		}
		after := sources(t, "ubuntu24.04", "12.8.1", w.Recipes, ours)
		for _, pkg := range []string{"libnccl2", "libcudnn9-cuda-12"} {
			if !strings.Contains(after[pkg], "repository ubuntu2404/x86_64, index sha256 ") {
				t.Errorf("%s: %s is by %q", name, pkg, after[pkg])
			}
		}
		if found := compareIn(t, w, w.Recipes, ours); found.Any() {
			t.Errorf("%s: found again: %+v", name, found)
		}
	}
}

// TestStale: a state before one that a toolkit names is refused.
func TestStale(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64")
	w.Serve(t)
	write(t, w, w.Recipes)
	later(t, w, -1)
	_, err := update.Read(t.Context(), w.Load(t), updatetest.Systems, w.Tree, now, get)
	if err == nil || hint.Code(err, 0) != 3 || !strings.Contains(err.Error(), "ubuntu2404/x86_64/InRelease is an old state: it is of 2026-11-29, and toolkit/12.8.1.yaml names one of 2026-11-30") {
		t.Errorf("%v", err)
	}
}

// TestNotFollowed: a file that is there is no release's, and a link beside it leads nowhere.
func TestNotFollowed(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64")
	w.Serve(t)
	ours, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	in := *w
	in.Recipes = ours
	in.Write(t, "toolkit/12.8.1.yaml", "ends: {date: 2029-01-31, source: us}\n")
	if err := os.Symlink(outside, filepath.Join(ours, "toolkit", ".99.1.0.yaml.new")); err != nil {
		t.Fatal(err)
	}
	found := write(t, w, w.Recipes, ours)
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a file outside was written")
	}
	if _, err := found.Write([]string{w.Recipes, ours}); err == nil || !strings.Contains(err.Error(), "toolkit/99.1.0.yaml: CUDA 99.1.0 is new, but that file is there") {
		t.Errorf("written twice: %v", err)
	}
}

// TestOneWriter: who comes second writes nothing, and no message names a folder that is no more.
func TestOneWriter(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64")
	w.Serve(t)
	found := compareIn(t, w, w.Recipes)
	ours := t.TempDir()
	lock, err := files.TryLock(ours + "/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := found.Write([]string{w.Recipes, ours}); err == nil || !strings.Contains(err.Error(), ours+"/ is locked by another process") {
		t.Errorf("with another writer: %v", err)
	}
	lock.Unlock()
	if left := tree(t, ours); len(left) > 0 {
		t.Errorf("%v", left)
	}
	w.Write(t, "toolkit/99.2.0.yaml", "no recipe\n")
	if _, err := found.Write([]string{w.Recipes, ours}); err == nil || strings.Contains(err.Error(), os.TempDir()+"/cudabuild-recipes-") {
		t.Errorf("with a broken recipe: %v", err)
	}
}
