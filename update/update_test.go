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
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/update"
)

// world is the vendor's repositories, all of them standing in, and recipes that pin their key.
type world struct {
	key      *index.Key
	recipes  string // a folder
	tree     string // of the repositories
	packages map[string][]pkgindex.Package
	form     index.Form
}

// systems are those of the tests: one family each, and two OSes with one repository.
var systems = []string{"rockylinux9", "ubi9", "ubuntu24.04"}

// released is CUDA 99.1.0, which NVIDIA has not made, in its packages' own words.
var released = map[string]string{
	"version": "99.1.0", "cudart": "99.1.51", "nvtx": "99.1.20", "npp": "99.0.1.2", "cusparse": "98.9.1.4", "cublas": "99.2.0.5",
	"nvml": "99.1.51", "nsight": "99.1.0", "nccl": "3.1.7", "cudnn": "12.1.0.5", "compat": "999.10.01",
}

// toolkit is one that was read for one OS of three, with remarks of whoever wrote it.
const toolkit = `# A toolkit of the tests.
cuda: "12.8.1"
os:
  linux/amd64: [rockylinux9, ubi9, ubuntu24.04]
  linux/arm64: [rockylinux9, ubi9, ubuntu24.04] # all of them
read: {S1: [rockylinux9]}
pins:
  cudart: 12.8.90
  nvtx: 12.8.90
  npp: 12.3.3.100
  cusparse: 12.5.8.93
  cublas: 12.8.4.1
  nvml: 12.8.90
  nvprof: 12.8.90
  nccl: unsourced # in no document
  cudnn: 9.8.0.87
# As NVIDIA has it.
admits:
  - {branches: C@470 C@535 C@550 C@560 C@565}
`

// newWorld has the packages that the recipes of its systems pin, and nothing new.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{key: index.NewKey(t, false), recipes: t.TempDir(), tree: t.TempDir(), packages: map[string][]pkgindex.Package{}}
	w.pin(t, false)
	w.write(t, "toolkit/12.8.1.yaml", toolkit)
	c := w.load(t)
	for _, name := range systems {
		o, _ := c.OS(name)
		for platform := range o.Repository.Arch {
			place := c.Repositories(name, platform)[0].Place
			for _, cuda := range c.CUDAFor(name) {
				r, _ := c.Find(name, cuda)
				for _, p := range r.On(platform).Pins {
					w.add(place, p.Package, p.Version)
				}
			}
		}
	}
	return w
}

// add adds a package to a repository, once.
func (w *world) add(place, name, version string) {
	p := pkgindex.Package{Name: name, Version: version, Arch: "stand-in", SHA256: strings.Repeat("0", 64), File: "none"}
	if !slices.Contains(w.packages[place], p) {
		w.packages[place] = append(w.packages[place], p)
	}
}

// release adds a CUDA release for an OS on a platform, without some of its pins.
func (w *world) release(t *testing.T, cuda map[string]string, os, platform string, without ...string) {
	t.Helper()
	c := w.load(t)
	for _, component := range c.Components(cuda["version"], os, platform) {
		if version := cuda[component.Pin]; version != "" && !slices.Contains(without, component.Pin) {
			w.add(c.Repositories(os, platform)[0].Place, component.Package, component.Before+version+component.After)
		}
	}
}

// serve writes the repositories.
func (w *world) serve(t *testing.T) {
	t.Helper()
	for place, packages := range w.packages {
		write := index.RPM
		if strings.HasPrefix(place, "ubuntu") {
			write = index.Deb
		}
		write(t, filepath.Join(w.tree, place), w.key, w.form, packages)
	}
}

// pin writes the real recipe of the vendor with the key of the stand-ins, which is marked as
// one or not.
func (w *world) pin(t *testing.T, standIn bool) {
	t.Helper()
	data, err := os.ReadFile("../recipes/repository/nvidia.yaml")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(data), "\nkeys:\n")
	_, after, found := strings.Cut(rest, "\ndocuments:\n")
	if !found {
		t.Fatal("recipes/repository/nvidia.yaml has no keys before documents")
	}
	key := fmt.Sprintf("{id: %q, fingerprint: %q, file: %s, sha256: %q, since: 2026-01-01, serves: [deb, rpm, nvidia-ml, rhel10], stand_in: %v}",
		w.key.ID, w.key.Fingerprint, index.KeyFile, w.key.SHA256, standIn)
	w.write(t, "repository/nvidia.yaml", before+"\nkeys: ["+key+"]\ndocuments:\n"+after)
}

func (w *world) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(w.recipes, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (w *world) load(t *testing.T) *recipes.Catalog {
	t.Helper()
	c, err := recipes.Load(w.recipes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// compare reads the repositories and compares.
func (w *world) compare(t *testing.T) *update.Found {
	t.Helper()
	c := w.load(t)
	a, err := update.Read(t.Context(), c, systems, w.tree, get)
	if err != nil {
		t.Fatal(err)
	}
	return update.Compare(c, a)
}

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
	w := newWorld(t)
	for _, name := range systems {
		w.release(t, released, name, "linux/amd64")
	}
	w.release(t, released, "rockylinux9", "linux/arm64", "nccl")
	older := map[string]string{"version": "99.0.0", "cudart": "99.0.1", "nccl": "3.0.1"} // not whole: no release
	w.release(t, older, "ubuntu24.04", "linux/amd64")
	older = maps.Clone(released)
	older["version"] = "99.0.0"
	w.release(t, older, "rockylinux9", "linux/amd64", "version")
	w.add("ubuntu2404/x86_64", "libnccl2", "2.25.1-1+cuda12.8")
	w.add("ubuntu2404/x86_64", "libnccl-dev", "2.25.1-1+cuda12.8")
	w.add("ubuntu2404/sbsa", "libnccl2", "2.25.1-1+cuda12.8")
	w.add("ubuntu2404/sbsa", "libnccl-dev", "2.25.1-1+cuda12.8")
	w.add("rhel9/x86_64", "libnccl", "2.26.1-1+cuda12.8")
	w.add("rhel9/x86_64", "libnccl-devel", "2.26.1-1+cuda12.8")
	w.add("ubuntu2404/x86_64", "libcudnn9-cuda-12", "9.8.0.87-1")
	w.add("ubuntu2404/x86_64", "libcudnn9-dev-cuda-12", "9.8.0.87-1")
	w.add("rhel9/x86_64", "cuda-compat-12-8", "570.86.10-1") // of two the last: 12.8.1 is the last 12.8
	w.add("rhel9/x86_64", "cuda-compat-12-8", "570.124.06-1")
	w.serve(t)
	before := tree(t, w.recipes)
	if r, _ := w.load(t).Find("rockylinux9", "12.8.1"); !slices.Contains(r.Unsourced, "libnccl") {
		t.Fatalf("unsourced %v", r.Unsourced)
	}
	found := w.compare(t)
	if len(found.Releases) != 1 || found.Releases[0].CUDA != "99.1.0" || len(found.Vanished) > 0 {
		t.Fatalf("%+v, want CUDA 99.1.0 and nothing vanished", found)
	}
	written, err := found.Write([]string{w.recipes})
	if err != nil {
		t.Fatal(err)
	}
	after := tree(t, w.recipes)
	for _, name := range []string{"toolkit/12.8.1.yaml", "toolkit/99.1.0.yaml"} {
		if !slices.Contains(written, name) {
			t.Errorf("written %v, want %s too", written, name)
		}
		// A key is made anew each time.
		text := strings.NewReplacer(`"`+w.key.ID+`"`, "STANDIN", w.key.ID, "STANDIN").Replace(after[name])
		for _, r := range w.sums(t) {
			text = strings.ReplaceAll(text, r, "SHA256")
		}
		golden.Check(t, filepath.Join("testdata", filepath.Base(name)), text)
	}
	for name := range before {
		if !slices.Contains(written, name) && before[name] != after[name] {
			t.Errorf("%s has changed, and is not among %v", name, written)
		}
	}
	if again := w.compare(t); again.Any() {
		t.Errorf("found again: %+v", again)
	}
	c := w.load(t)
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
	if arm := r.On("linux/arm64"); len(arm.Unsourced) > 0 || slices.Contains(arm.Layers[recipes.Runtime].Packages, "libnccl-3.1.7-1+cuda99.1") {
		t.Errorf("on arm64 %v is unsourced, and runtime has %v", arm.Unsourced, arm.Layers[recipes.Runtime].Packages)
	}
}

// sums are those of the signed files.
func (w *world) sums(t *testing.T) (sums []string) {
	t.Helper()
	for place := range w.packages {
		for _, name := range []string{"InRelease", "Release", "repodata/repomd.xml"} {
			if data, err := os.ReadFile(filepath.Join(w.tree, place, name)); err == nil {
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
	for name, distrust := range map[string]func(*testing.T, *world){
		"marked":   func(t *testing.T, w *world) { t.Helper(); w.pin(t, true) },
		"unpinned": func(t *testing.T, w *world) { t.Helper(); w.key = index.NewKey(t, false); w.pin(t, false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.release(t, released, "ubuntu24.04", "linux/amd64")
			w.serve(t)
			if _, err := w.compare(t).Write([]string{w.recipes}); err != nil {
				t.Fatal(err)
			}
			if r, ok := w.load(t).Find("ubuntu24.04", "99.1.0"); !ok || len(r.Pins) == 0 || len(r.Unsourced) > 0 {
				t.Fatalf("before: %v, %d pins, unsourced %v", ok, len(r.Pins), r.Unsourced)
			}
			distrust(t, w)
			r, ok := w.load(t).Find("ubuntu24.04", "99.1.0")
			if !ok || len(r.Pins) > 0 || len(r.Unsourced) == 0 {
				t.Errorf("%v, pins %v, unsourced %v: want all unsourced", ok, r.Pins, r.Unsourced)
			}
		})
	}
}

// TestVanished: what is pinned and gone is named with its OS, release and place.
func TestVanished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone := func(p pkgindex.Package) bool { return p.Name == "cuda-cudart-12-8" && p.Version == "12.8.90-1" }
	w.packages["rhel9/sbsa"] = slices.DeleteFunc(w.packages["rhel9/sbsa"], gone)
	w.serve(t)
	found := w.compare(t)
	var got []string
	for _, v := range found.Vanished {
		got = append(got, fmt.Sprintf("%s %s %s %s %s", v.CUDA, v.OS, v.Platform, v.Package, v.Version))
		if !strings.HasSuffix(v.Where, "toolkit/12.8.1.yaml:8") {
			t.Errorf("where %s", v.Where)
		}
	}
	want := []string{"12.8.1 rockylinux9 linux/arm64 cuda-cudart-12-8 12.8.90-1", "12.8.1 ubi9 linux/arm64 cuda-cudart-12-8 12.8.90-1"}
	if diff := cmp.Diff(want, got); diff != "" || len(found.Releases) > 0 {
		t.Errorf("vanished (-want +got):\n%s\nreleases %v", diff, found.Releases)
	}
}

// TestPointReleases: of several the last is offered, and none that a later one is known of.
func TestPointReleases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, version := range []string{"99.1.0", "99.1.2", "99.1.1", "12.8.0", "12.4.0", "6.4.1"} {
		cuda := map[string]string{}
		for pin, value := range released {
			cuda[pin] = value
		}
		cuda["version"], cuda["nsight"] = version, version
		w.release(t, cuda, "ubuntu24.04", "linux/amd64")
	}
	w.serve(t)
	found := w.compare(t)
	if len(found.Releases) != 1 || found.Releases[0].CUDA != "99.1.2" {
		t.Errorf("releases %+v, want 99.1.2 alone", found.Releases)
	}
}

// TestRefused: if any repository is refused nothing is known, so nothing can be written.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.release(t, released, "ubuntu24.04", "linux/amd64")
	w.form = index.Form{Ending: ".gz"}
	w.serve(t)
	for name, test := range map[string]struct {
		file   string
		change func([]byte) []byte
		code   int
		wrong  string
	}{
		"half-synced": {"ubuntu2404/sbsa/Packages.gz", func(data []byte) []byte { return append(data, 0) }, 3, "repository ubuntu2404/sbsa: "},
		"signature":   {"rhel9/x86_64/repodata/repomd.xml", func(data []byte) []byte { return append(data, '\n') }, 1, "repository rhel9/x86_64: "},
	} {
		file := filepath.Join(w.tree, test.file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, test.change(slices.Clone(data)), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = update.Read(t.Context(), w.load(t), systems, w.tree, get)
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
	w := newWorld(t)
	w.release(t, released, "ubuntu24.04", "linux/amd64")
	w.serve(t)
	found := w.compare(t)
	w.write(t, "toolkit/99.1.0.yaml", "someone: else\n")
	w.write(t, "toolkit/99.2.0.yaml", "no recipe\n")
	before := tree(t, w.recipes)
	if _, err := found.Write([]string{w.recipes}); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff(before, tree(t, w.recipes)); diff != "" {
		t.Errorf("files (-before +after):\n%s", diff)
	}
}
