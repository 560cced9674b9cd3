// SPDX-License-Identifier: Apache-2.0

package update_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/internal/standin/index"
	"github.com/cudabuild/cudabuild/internal/updatetest"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/update"
)

// compare reads the repositories and compares.
func compare(t *testing.T, w *updatetest.World) *update.Found {
	t.Helper()
	c := w.Load(t)
	a, err := update.Read(t.Context(), c, updatetest.Systems, w.Tree, now, get)
	if err != nil {
		t.Fatal(err)
	}
	return update.Compare(c, a)
}

// now is when the stand-ins are read.
var now = index.Date.AddDate(0, 0, 1)

func get(_ context.Context, address string) ([]byte, error) { return os.ReadFile(address) }

// tree are the files of a folder with their texts.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	names, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	hidden, _ := filepath.Glob(filepath.Join(dir, "*", ".*"))
	for _, name := range append(names, hidden...) {
		var data []byte
		if data, err = os.ReadFile(name); err != nil {
			break
		}
		all[strings.TrimPrefix(name, dir+"/")] = string(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestWrite: a release that no toolkit has gets its file, and pins without a source get one. The
// files are as a person would write them, and all is found to be known after that.
func TestWrite(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	for _, name := range updatetest.Systems {
		w.Release(t, updatetest.Released, name, "linux/amd64")
	}
	w.Release(t, updatetest.Released, "rockylinux9", "linux/arm64", "nccl")
	older := map[string]string{"version": "99.0.0", "cudart": "99.0.1", "nccl": "3.0.1"} // not whole: no release
	w.Release(t, older, "ubuntu24.04", "linux/amd64")
	older = maps.Clone(updatetest.Released)
	older["version"] = "99.0.0"
	w.Release(t, older, "rockylinux9", "linux/amd64", "version")
	w.Add("ubuntu2404/x86_64", "libnccl2", "2.25.1-1+cuda12.8")
	w.Add("ubuntu2404/x86_64", "libnccl-dev", "2.25.1-1+cuda12.8")
	w.Add("ubuntu2404/sbsa", "libnccl2", "2.25.1-1+cuda12.8")
	w.Add("ubuntu2404/sbsa", "libnccl-dev", "2.25.1-1+cuda12.8")
	w.Add("rhel9/x86_64", "libnccl", "2.26.1-1+cuda12.8")
	w.Add("rhel9/x86_64", "libnccl-devel", "2.26.1-1+cuda12.8")
	w.Add("ubuntu2404/x86_64", "libcudnn9-cuda-12", "9.8.0.87-1")
	w.Add("ubuntu2404/x86_64", "libcudnn9-dev-cuda-12", "9.8.0.87-1")
	w.Add("rhel9/x86_64", "cuda-compat-12-8", "570.86.10-1") // of two the last: 12.8.1 is the last 12.8
	w.Add("rhel9/x86_64", "cuda-compat-12-8", "570.124.06-1")
	w.Serve(t)
	before := tree(t, w.Recipes)
	if r, _ := w.Load(t).Find("rockylinux9", "12.8.1"); !slices.Contains(r.Unsourced, "libnccl") {
		t.Fatalf("unsourced %v", r.Unsourced)
	}
	found := compare(t, w)
	if len(found.Releases) != 1 || found.Releases[0].CUDA != "99.1.0" || len(found.Vanished) > 0 {
		t.Fatalf("%+v, want CUDA 99.1.0 and nothing vanished", found)
	}
	written, err := found.Write([]string{w.Recipes})
	if err != nil {
		t.Fatal(err)
	}
	after := tree(t, w.Recipes)
	for _, name := range []string{"toolkit/12.8.1.yaml", "toolkit/99.1.0.yaml"} {
		if !slices.Contains(written, name) {
			t.Errorf("written %v, want %s too", written, name)
		}
		// A key is made anew each time.
		text := strings.NewReplacer(`"`+w.Key.ID+`"`, "STANDIN", w.Key.ID, "STANDIN").Replace(after[name])
		for _, r := range sums(t, w) {
			text = strings.ReplaceAll(text, r, "SHA256")
		}
		golden.Check(t, filepath.Join("testdata", filepath.Base(name)), text)
	}
	for name := range before {
		if !slices.Contains(written, name) && before[name] != after[name] {
			t.Errorf("%s has changed, and is not among %v", name, written)
		}
	}
	if again := compare(t, w); again.Any() {
		t.Errorf("found again: %+v", again)
	}
	c := w.Load(t)
	r, _ := c.Find("rockylinux9", "99.1.0")
	pin, ok := r.Pin("cuda-cudart-99-1-99.1.51-1")
	if !ok || !strings.Contains(pin.Source, "nvidia's repository rhel9/x86_64, index sha256 ") || pin.Date != "2026-11-30" {
		t.Errorf("pin %+v", pin)
	}
	if r, _ := c.Find("rockylinux9", "12.8.1"); len(r.Unsourced) > 0 {
		t.Errorf("unsourced %v", r.Unsourced)
	} else if pin, _ := r.Pin("libnccl-2.26.1-1+cuda12.8"); !strings.Contains(pin.Source, "repository rhel9/x86_64") {
		t.Errorf("pin %+v, want it from the repository, though other pins were read in S1", pin)
	}
	if arm := r.On("linux/arm64"); !slices.Equal(arm.Unsourced, []string{"libnccl", "libnccl-devel"}) || slices.Contains(arm.Layers[recipes.Runtime].Packages, "libnccl-3.1.7-1+cuda99.1") {
		t.Errorf("on arm64 %v is unsourced, want what may come, and runtime has %v", arm.Unsourced, arm.Layers[recipes.Runtime].Packages)
	}
}

// sums are those of the signed files.
func sums(t *testing.T, w *updatetest.World) (sums []string) {
	t.Helper()
	for place := range w.Packages {
		for _, name := range []string{"InRelease", "Release", "repodata/repomd.xml"} {
			if data, err := os.ReadFile(filepath.Join(w.Tree, place, name)); err == nil {
				sums = append(sums, index.Sum(data))
			}
		}
	}
	return sums
}

// TestStandIn: what a key says that is marked as a stand-in's, or that is pinned no more, is
// written and stays without a source.
func TestStandIn(t *testing.T) {
	t.Parallel()
	for name, distrust := range map[string]func(*testing.T, *updatetest.World){
		"marked":   func(t *testing.T, w *updatetest.World) { t.Helper(); w.Pin(t, true) },
		"unpinned": func(t *testing.T, w *updatetest.World) { t.Helper(); w.Key = index.NewKey(t, false); w.Pin(t, false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := updatetest.New(t)
			w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64")
			w.Serve(t)
			if _, err := compare(t, w).Write([]string{w.Recipes}); err != nil {
				t.Fatal(err)
			}
			if r, ok := w.Load(t).Find("ubuntu24.04", "99.1.0"); !ok || len(r.Pins) == 0 || len(r.Unsourced) > 0 {
				t.Fatalf("before: %v, %d pins, unsourced %v", ok, len(r.Pins), r.Unsourced)
			}
			distrust(t, w)
			r, ok := w.Load(t).Find("ubuntu24.04", "99.1.0")
			if !ok || len(r.Pins) > 0 || len(r.Unsourced) == 0 {
				t.Errorf("%v, pins %v, unsourced %v: want all unsourced", ok, r.Pins, r.Unsourced)
			}
		})
	}
}

// TestMixed: a pin that a toolkit says for some systems stays as it is for them.
func TestMixed(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Write(t, "toolkit/12.8.1.yaml", strings.Replace(updatetest.Toolkit, "nccl: unsourced # in no document\n", "nccl: 2.25.1\n", 1)+"differ: {ubuntu24.04: {nccl: unsourced}}\n")
	for _, name := range []string{"libnccl2", "libnccl-dev"} {
		w.Add("ubuntu2404/x86_64", name, "2.26.1-1+cuda12.8")
	}
	w.Serve(t)
	if _, err := compare(t, w).Write([]string{w.Recipes}); err != nil {
		t.Fatal(err)
	}
	c := w.Load(t)
	for name, want := range map[string]string{"ubuntu24.04": "libnccl2=2.26.1-1+cuda12.8", "rockylinux9": "libnccl-2.25.1-1+cuda12.8"} {
		if r, _ := c.Find(name, "12.8.1"); !slices.Contains(r.Layers[recipes.Runtime].Packages, want) {
			t.Errorf("%s has %v, want %s", name, r.Layers[recipes.Runtime].Packages, want)
		}
	}
}

// TestVanished: what is pinned and gone is named with its OS, release and place.
func TestVanished(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	gone := func(p pkgindex.Package) bool { return p.Name == "cuda-cudart-12-8" && p.Version == "12.8.90-1" }
	w.Packages["rhel9/sbsa"] = slices.DeleteFunc(w.Packages["rhel9/sbsa"], gone)
	w.Serve(t)
	found := compare(t, w)
	var got []string
	for _, v := range found.Vanished {
		got = append(got, fmt.Sprintf("%s %s %s %s %s", v.CUDA, v.OS, v.Platform, v.Package, v.Version))
		if !strings.Contains(v.Where, "toolkit/12.8.1.yaml:") {
			t.Errorf("where %s", v.Where)
		}
	}
	want := []string{"12.8.1 rockylinux9 linux/arm64 cuda-cudart-12-8 12.8.90-1", "12.8.1 ubi9 linux/arm64 cuda-cudart-12-8 12.8.90-1"}
	if diff := cmp.Diff(want, got); diff != "" || len(found.Releases) > 0 {
		t.Errorf("vanished (-want +got):\n%s\nreleases %v", diff, found.Releases)
	}
}

// TestRefused: if any repository is refused nothing is known, so nothing can be written.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64")
	w.Form = index.Form{Ending: ".gz"}
	w.Serve(t)
	for name, test := range map[string]struct {
		file   string
		change func([]byte) []byte
		code   int
		wrong  string
	}{
		"half-synced": {"ubuntu2404/sbsa/Packages.gz", func(data []byte) []byte { return append(data, 0) }, 3, "repository ubuntu2404/sbsa: "},
		"signature":   {"rhel9/x86_64/repodata/repomd.xml", func(data []byte) []byte { return append(data, '\n') }, 1, "repository rhel9/x86_64: "},
	} {
		file := filepath.Join(w.Tree, test.file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, test.change(slices.Clone(data)), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = update.Read(t.Context(), w.Load(t), updatetest.Systems, w.Tree, now, get)
		if err == nil || !strings.Contains(err.Error(), test.wrong) || hint.Code(err, 0) != test.code {
			t.Errorf("%s: %v, want %q and code %d", name, err, test.wrong, test.code)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNothingWritten: what would be no recipe is written in no part.
func TestNothingWritten(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64")
	w.Serve(t)
	found := compare(t, w)
	w.Write(t, "toolkit/99.1.0.yaml", "someone: else\n")
	w.Write(t, "toolkit/99.2.0.yaml", "no recipe\n")
	before := tree(t, w.Recipes)
	if _, err := found.Write([]string{w.Recipes}); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff(before, tree(t, w.Recipes)); diff != "" {
		t.Errorf("files (-before +after):\n%s", diff)
	}
}
