// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/recipes"
)

// pinOf is the pin of a package, which must have one.
func pinOf(t *testing.T, c *recipes.Catalog, os, cuda, pkg string) recipes.Pin {
	t.Helper()
	for _, p := range find(t, c, os, cuda).Pins {
		if p.Package == pkg {
			return p
		}
	}
	t.Fatalf("CUDA %s on %s has no pin of %s", cuda, os, pkg)
	return recipes.Pin{}
}

// TestOverlayMerges: a file of the same path changes the keys that it names, lists as a whole; of
// several folders the last wins, and the embedded catalog of another Load is not touched.
func TestOverlayMerges(t *testing.T) {
	t.Parallel()
	change := func(text string) string { return dir(t, map[string]string{"cuda/12.4-debian13.yaml": text}) }
	before := find(t, load(t), "debian13", "12.4")
	second := change("version: 12.4.9\nlayers: {base: {packages: [second]}}\n")
	c := load(t, change("layers: {base: {packages: [first]}, devel: {env: {NVCC_PREPEND_FLAGS: null}}}\n"), second)
	r := find(t, c, "debian13", "12.4")
	if r.Version != "12.4.9" || len(r.Layers[recipes.Devel].Env) != len(before.Layers[recipes.Devel].Env)-1 {
		t.Errorf("version %s, devel sets %v; it was %v", r.Version, r.Layers[recipes.Devel].Env, before.Layers[recipes.Devel].Env)
	}
	if diff := cmp.Diff([]string{"second"}, r.Layers[recipes.Base].Packages); diff != "" {
		t.Errorf("base packages (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before.Guard, r.Guard); diff != "" || r.Layers[recipes.Base].SizeMB != before.Layers[recipes.Base].SizeMB {
		t.Errorf("what no folder names has changed (-before +after):\n%s", diff)
	}
	if file, line := r.Where("base"); file != filepath.Join(second, "cuda/12.4-debian13.yaml") || line != 2 {
		t.Errorf("Where(base) = %s:%d, want line 2 of the last folder's", file, line)
	}
	if file, _ := r.Where("devel"); file != "recipes/cuda/12.4-debian13.yaml" {
		t.Errorf("Where(devel) = %s", file)
	}
	if diff := cmp.Diff(before.Layers, find(t, load(t), "debian13", "12.4").Layers); diff != "" {
		t.Errorf("the embedded catalog has changed:\n%s", diff)
	}
}

// TestOverlayOwnPins: a version that a folder changes is not from where the one before it was
// read. It is from what the folder says it has read, or else the folder's own.
func TestOverlayOwnPins(t *testing.T) {
	t.Parallel()
	const file = "toolkit/12.4.1.yaml"
	embedded := load(t)
	mine := dir(t, map[string]string{file: "pins:\n  nccl: 2.21.6\n  cublas: 12.4.5.8 # as it was\n"})
	c := load(t, mine)
	for os, pkg := range map[string]string{"ubuntu22.04": "libnccl2", "rockylinux8": "libnccl"} {
		want := recipes.Pin{Package: pkg, Version: "2.21.6-1+cuda12.4", Source: filepath.Join(mine, file), Where: filepath.Join(mine, file) + ":2"}
		if diff := cmp.Diff(want, pinOf(t, c, os, "12.4.1", pkg)); diff != "" {
			t.Errorf("on %s (-want +got):\n%s", os, diff)
		}
	}
	if got, want := pinOf(t, c, "ubuntu22.04", "12.4.1", "libcublas-12-4"), pinOf(t, embedded, "ubuntu22.04", "12.4.1", "libcublas-12-4"); got != want {
		t.Errorf("what the folder says again is %+v, was %+v", got, want)
	}
	read := load(t, dir(t, map[string]string{file: "documents: {N: {title: NCCL's notes, date: 2026-01-31}}\nread: {N: [ubuntu22.04]}\npins: {nccl: 2.21.6}\n"}))
	if got := pinOf(t, read, "ubuntu22.04", "12.4.1", "libnccl2"); got.Source != "NCCL's notes" || got.Date != "2026-01-31" {
		t.Errorf("a pin that was read is %+v", got)
	}
	if got := find(t, read, "rockylinux8", "12.4.1").UnsourcedIn(recipes.Runtime); !slices.Equal(got, []string{"libnccl"}) {
		t.Errorf("where the folder has read nothing, unsourced are %v", got)
	}
	more := dir(t, map[string]string{file: "read: {S1: [ubuntu22.04, rockylinux8, rockylinux9]}\n"})
	if got := pinOf(t, load(t, more), "rockylinux9", "12.4.1", "libnccl"); got.By != filepath.Join(more, file) || !strings.Contains(got.Source, "e3c1b680") {
		t.Errorf("on the word of a folder: %+v", got)
	}
	if got := pinOf(t, embedded, "ubuntu22.04", "12.4.1", "libnccl2"); got.By != "" {
		t.Errorf("on cudabuild's own word: %+v", got)
	}
	number := dir(t, map[string]string{file: "version: 12.4.9\n"})
	for _, pkg := range []string{"cuda-libraries-12-4", "cuda-nsight-compute-12-4"} {
		if got := pinOf(t, load(t, number), "ubuntu22.04", "12.4.1", pkg); got.Version != "12.4.9-1" || got.Source != filepath.Join(number, file) || got.Where != got.Source+":1" {
			t.Errorf("of a changed number there is %+v", got)
		}
	}
	era := dir(t, map[string]string{"era/12.0.yaml": "pins: {nsight: 12.9.9}\n"})
	if got := pinOf(t, load(t, era), "ubuntu22.04", "12.4.1", "cuda-nsight-compute-12-4"); got.Source != filepath.Join(era, "era/12.0.yaml") || got.Date != "" {
		t.Errorf("a pin of a changed era is %+v", got)
	}
}

// TestOverlayChangesOne: three lines change the releases that they are about, and nothing else.
func TestOverlayChangesOne(t *testing.T) {
	t.Parallel()
	before, after := load(t), load(t, dir(t, map[string]string{"toolkit/12.4.1.yaml": "pins:\n  nccl: 2.21.6\n"}))
	for _, os := range before.OSNames() {
		for _, cuda := range before.CUDAFor(os) {
			a, b := find(t, before, os, cuda), find(t, after, os, cuda)
			if same := cmp.Equal(a.Layers, b.Layers) && cmp.Equal(a.Pins, b.Pins); same == (cuda == "12.4.1") {
				t.Errorf("CUDA %s on %s is the same: %v", cuda, os, same)
			}
		}
	}
}

// TestOverlayRefuses: what changes nothing, what would make others say what they do not, and
// places in the right one of two files.
func TestOverlayRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, text, want string }{
		"nothing new":          {"os/debian13.yaml", "title: \"Debian 13\"\n", `FILE:1:1: changes nothing: all of it is in recipes/os/debian13.yaml`},
		"nothing to take out":  {"toolkit/12.4.1.yaml", "pins: {cudnn8: null, nccl: 2.21.6}\n", `FILE:1:8: "cudnn8" has nothing to take out`},
		"needed, taken out":    {"toolkit/12.4.1.yaml", "pins:\n  nccl: null\n", `FILE:2:3: layer runtime of era "12.0" for rockylinux8: no pin "nccl"`},
		"a source taken away":  {"os/debian13.yaml", "ends: {date: 2026-11-30, source: \"\"}\n", `FILE:1:1: `},
		"a part taken away":    {"os/debian13.yaml", "bootstrap:\n  suite: null\n", `FILE:2:3: no bootstrap suite`},
		"a whole taken away":   {"os/debian13.yaml", "title: x\nbootstrap: null\n", `FILE:2:1: no bootstrap suite`},
		"a mapping twice":      {"toolkit/12.4.1.yaml", "# c\npins: {nccl: 2.1.1}\npins: {nccl: 2.1.2}\n", `FILE:3:1: duplicate key "pins" in the recipe: first at line 2`},
		"key twice":            {"toolkit/12.4.1.yaml", "pins: {nccl: 1.2, nccl: 1.3}\n", `FILE:1:19: duplicate key "nccl"`},
		"unknown pin":          {"toolkit/12.4.1.yaml", "pins: {ncl: 1.2}\n", `FILE:1:8: no package of era "12.0" uses the pin "ncl"`},
		"unknown key":          {"toolkit/12.4.1.yaml", "pin: {nccl: 1.2}\n", `FILE:1:1: unknown key "pin" in the recipe`},
		"about another":        {"toolkit/12.4.1.yaml", "cuda: 12.4.2\n", `FILE:1:1: is about "12.4.2", so its name must be 12.4.2.yaml`},
		"no mapping":           {"toolkit/12.4.1.yaml", "[pins]\n", `FILE:1:1: the recipe: want a mapping, got a list`},
		"another's document":   {"repository/nvidia.yaml", "documents:\n  S1:\n    newest: \"13.9.0\"\n", `FILE:3:5: document "S1" is another file's: it stays as it is there`},
		"its limit taken out":  {"repository/nvidia.yaml", "documents: {S1: {os: null}}\n", `FILE:1:18: document "S1" is another file's: it stays as it is there`},
		"all of it taken out":  {"repository/nvidia.yaml", "documents: {S1: null}\n", `FILE:1:13: document "S1" is another file's: it stays as it is there`},
		"a toolkit's document": {"toolkit/13.3.1.yaml", "documents: {K1: {kind: null}}\n", `FILE:1:18: document "K1" is another file's: it stays as it is there`},
		"a release not in it":  {"toolkit/13.9.9.yaml", strings.NewReplacer("13.1.9", "13.9.9", "documents: {N: {title: its Dockerfiles, date: 2026-01-31}}\n", "", "read: {N:", "read: {S1:", "plan9, ", "").Replace(pointRelease), `FILE:5:8: document "S1" ends at CUDA 13.1.0: it has no 13.9.9`},
		"no table of branches": {"toolkit/13.99.9.yaml", strings.NewReplacer("13.1.9", "13.99.9", "plan9, ", "").Replace(pointRelease), `FILE:17:6: "C@580": no table says on which drivers cuda-compat of CUDA 13.99 runs`},
		"ends in part":         {"os/debian13.yaml", "ends: {date: 2026-11-29}\n", `FILE:1:1: ends: want source, who says so`},
		"another's end, taken": {"os/debian13.yaml", "ends: {source: me}\n", `FILE:1:1: ends: want a date`},
		"ends of nobody":       {"os/debian13.yaml", "ends: {date: 2026-11-29, source: \"\"}\n", `FILE:1:1: ends: want source, who says so`},
		"a driver, taken":      {"toolkit/12.6.3.yaml", "ends: {driver: 580}\n", `FILE:1:1: ends: want source, who says so`},
		"another's title":      {"toolkit/12.4.1.yaml", "documents: {N: {title: Gitlab.com/nvidia/container-images/cuda at e3c1b680, date: 2025-12-15}}\n", `FILE:1:17: document "N" has the title of S1`},
		"another's number":     {"toolkit/12.4.1.yaml", "version: \"12.9.9\"\n", `FILE:1:1: version "12.9.9" is none of CUDA 12.4`},
		"admits, not read for": {"toolkit/13.2.0.yaml", "admits:\n  - {branches: C@535}\n", `FILE:2:5: admits: no document was read for linux/amd64`},
		"admits of a copy":     {"toolkit/13.1.1.yaml", "admits:\n  - {branches: C@580}\n", `FILE:2:5: admits: no document was read for linux/amd64`},
		"compared in an older": {"era/13.0.yaml", "checked: [{os: [ubuntu18.04], document: S2}]\n", `FILE:1:31: document "S2" ends at CUDA 10.0: it has no 13.0`},
		"an OS not in it":      {"toolkit/12.4.1.yaml", "read: {S1: [ubuntu22.04, rockylinux9, ubuntu14.04]}\n", `FILE:1:39: document "S1" has nothing about ubuntu14.04`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := dir(t, map[string]string{test.file: test.text})
			_, err := recipes.Load(root)
			if want := strings.Replace(test.want, "FILE", filepath.Join(root, test.file), 1); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Load = %v\nwant it to hold %q", err, want)
			}
		})
	}
}

// TestWitness: what somebody else says of a version is told, and makes no pin; what was read for
// one platform holds for that one.
func TestWitness(t *testing.T) {
	t.Parallel()
	files := vendorFiles()
	files["os/mine1.yaml"] = strings.Replace(goodVendorOS, "{linux/amd64: x86_64}", "{linux/amd64: x86_64, linux/arm64: sbsa}", 1)
	files["toolkit/12.6.9.yaml"] = strings.NewReplacer(
		"{linux/amd64: [mine1]}", "{linux/amd64: [mine1], linux/arm64: [mine1]}\ndocuments: {K: {title: a copy, date: 2024-02-02, kind: copy}}\nwitness: {K: [mine1 linux/amd64]}",
		"[mine1]}\npins", "[mine1 linux/arm64]}\npins", "admits: [{", "admits: [{platform: linux/arm64, ").Replace(goodToolkit)
	root := dir(t, files)
	r := find(t, load(t, root), "mine1", "12.6.9")
	if got := r.On("linux/arm64"); len(got.Unsourced) > 0 || got.Pins[0].Source != "the notes" {
		t.Errorf("on arm64: %v unsourced, pins %+v", got.Unsourced, got.Pins)
	}
	if got := r.UnsourcedOn(recipes.Base, []string{"linux/amd64", "linux/arm64"}); !slices.Equal(got, []string{"cudart-12-6"}) {
		t.Errorf("unsourced: %v", got)
	}
	want := []recipes.Pin{{Package: "cudart-12-6", Version: "12.6.1-1", Source: "a copy", Date: "2024-02-02", Where: filepath.Join(root, "toolkit/12.6.9.yaml") + ":7", By: filepath.Join(root, "toolkit/12.6.9.yaml")}}
	if diff := cmp.Diff(want, r.WitnessedOn(recipes.Base, []string{"linux/amd64", "linux/arm64"})); diff != "" {
		t.Errorf("witnesses (-want +got):\n%s", diff)
	}
}
