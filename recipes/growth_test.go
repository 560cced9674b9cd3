// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

// A CUDA point release and an OS that do not exist, as someone would add them.
const (
	pointRelease = `cuda: "13.1.9"
os:
  linux/amd64: [plan9, ubuntu24.04, rockylinux9]
  linux/arm64: [ubuntu24.04, rockylinux9]
documents: {N: {title: its Dockerfiles, date: 2026-01-31}}
read: {N: [ubuntu24.04, rockylinux9]}
pins:
  cudart: 13.1.901
  nvtx: 13.1.902
  npp: 13.0.2.903
  cusparse: 12.7.2.904
  cublas: 13.2.0.905
  nvml: 13.1.906
  nccl: 2.99.1
  cudnn: 9.99.0.1
admits:
  - {branches: C@580}
`
	newOS = `os: plan9
title: Plan 9
source: nvidia
manager: dnf
image: docker.io/library/plan9:4
size_mb: 1
repository: {dir: plan9, packages: rpm, arch: {linux/amd64: x86_64}}
`
)

// grown is the embedded catalog with what someone may add, one file each: a release, an OS that it
// is for, and one that no release is for yet. All that is held of the whole catalog is held of
// this, so that none of it is a matter of what is there today.
func grown(t testing.TB) *recipes.Catalog {
	t.Helper()
	release := strings.NewReplacer("13.1.9", "13.4.99", "admits:\n  - {branches: C@580}\n", "").Replace(pointRelease)
	return load(t, dir(t, map[string]string{"toolkit/13.4.99.yaml": release, "os/plan9.yaml": newOS, "os/aaos1.yaml": strings.ReplaceAll(newOS, "plan9", "aaos1")}))
}

// TestCostOfGrowth: a CUDA point release is under 20 lines and an OS under 10, and each
// number stands in one place: to change it changes one line.
func TestCostOfGrowth(t *testing.T) {
	t.Parallel()
	if n := strings.Count(pointRelease, "\n"); n >= 20 {
		t.Errorf("a CUDA point release costs %d lines", n)
	}
	if n := strings.Count(newOS, "\n"); n >= 10 {
		t.Errorf("an OS costs %d lines", n)
	}
	for _, name := range []string{"13.1.901", "13.1.902", "13.0.2.903", "12.7.2.904", "13.2.0.905", "13.1.906", "2.99.1", "9.99.0.1", "13.1.9\""} {
		if n := strings.Count(pointRelease, name); n != 1 {
			t.Errorf("%s stands in %d places", name, n)
		}
	}
	c := load(t, dir(t, map[string]string{"toolkit/13.1.9.yaml": pointRelease, "os/plan9.yaml": newOS}))
	r := find(t, c, "ubuntu24.04", "13.1.9")
	for flavor, pkg := range map[recipes.Flavor]string{
		"base": "cuda-cudart-13-1=13.1.901-1", "runtime": "libcublas-13-1=13.2.0.905-1", "devel": "libcublas-dev-13-1=13.2.0.905-1",
		"cudnn-devel": "libcudnn9-dev-cuda-13=9.99.0.1-1",
	} {
		if !slices.Contains(r.Layers[flavor].Packages, pkg) {
			t.Errorf("%s has %v, want %s among them", flavor, r.Layers[flavor].Packages, pkg)
		}
	}
	if lacks := find(t, c, "plan9", "13.1.9").UnsourcedIn(recipes.Base); len(lacks) != 1 {
		t.Errorf("plan9, for which nothing was read, has %v unsourced, want cudart", lacks)
	}
	if got := c.CUDAFor("plan9"); len(got) != 1 {
		t.Errorf("CUDAFor(plan9) = %v", got)
	}
}

// TestCopiesAreNamed: who looks up a witness finds it, or reads that nobody knows where it is.
func TestCopiesAreNamed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("toolkit/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	named, copies := regexp.MustCompile(`git(?:hub|lab)\.com/\S+ at [0-9a-f]{8}\b|name unknown`), 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, "kind: copy") {
				copies++
				if !named.MatchString(line) {
					t.Errorf("%s: %swant a repository and its commit", name, line)
				}
			}
		}
	}
	if copies == 0 {
		t.Error("there is no copy: the test checks nothing")
	}
}

// index is what 'cudabuild recipes update' writes of repositories.
var index = regexp.MustCompile(`(?m)^index:\n(?:  .*\n)*`)

// TestRecipesAreShort holds the same for every file that is there. Names of driver packages
// are not written by hand (e2e's TestGuard makes them), nor are states of repositories.
func TestRecipesAreShort(t *testing.T) {
	t.Parallel()
	for folder, limit := range map[string]int{"os": 10, "toolkit": 20} {
		entries, err := os.ReadDir(folder)
		if err != nil || len(entries) == 0 {
			t.Fatalf("%d files in %s: %v", len(entries), folder, err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(folder + "/" + e.Name())
			if err != nil {
				t.Fatal(err)
			}
			text, _, _ := strings.Cut(index.ReplaceAllString(string(data), ""), "\ndriver_packages:")
			if n := strings.Count(text, "\n"); n >= limit {
				t.Errorf("%s/%s has %d lines", folder, e.Name(), n)
			}
		}
	}
}
