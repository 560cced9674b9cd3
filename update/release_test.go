// SPDX-License-Identifier: Apache-2.0

package update_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/updatetest"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/update"
)

// TestNotThere: what repositories have of an earlier point release fills in nothing of a later one.
func TestNotThere(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Write(t, "toolkit/12.8.9.yaml", strings.Replace(updatetest.Toolkit, `cuda: "12.8.1"`, `cuda: "12.8.9"`, 1))
	w.Serve(t)
	for _, filled := range compare(t, w).Filled {
		if filled.CUDA == "12.8.9" {
			t.Errorf("filled %+v", filled)
		}
	}
}

// TestPointReleases: of several the last is offered, and none that a later one is known of.
func TestPointReleases(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	for _, version := range []string{"99.1.0", "99.1.2", "99.1.1", "12.8.0", "12.4.0", "6.4.1"} {
		cuda := map[string]string{}
		for pin, value := range updatetest.Released {
			cuda[pin] = value
		}
		cuda["version"], cuda["nsight"] = version, version
		w.Release(t, cuda, "ubuntu24.04", "linux/amd64")
	}
	w.Serve(t)
	found := compare(t, w)
	if len(found.Releases) != 1 || found.Releases[0].CUDA != "99.1.2" {
		t.Errorf("releases %+v, want 99.1.2 alone", found.Releases)
	}
}

// TestDropped: an OS that has its repository from another one is not taken up again when NVIDIA has left it.
func TestDropped(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Release(t, updatetest.Released, "rockylinux8", "linux/amd64")
	for _, place := range []string{"rhel8/sbsa", "nvidia-ml/rhel8/x86_64", "nvidia-ml/rhel8/sbsa"} {
		w.Packages[place] = nil
	}
	w.Serve(t)
	c := w.Load(t)
	centos, _ := c.OS("centos8")
	if rocky, _ := c.OS("rockylinux8"); rocky.Repository.Dir != centos.Repository.Dir {
		t.Fatalf("centos8 has the repository %s", centos.Repository.Dir)
	}
	a, err := update.Read(t.Context(), c, []string{"centos8", "rockylinux8", "ubi8"}, w.Tree, now, get)
	if err != nil {
		t.Fatal(err)
	}
	found := update.Compare(c, a)
	want := []update.System{{OS: "rockylinux8", Platform: "linux/amd64"}, {OS: "ubi8", Platform: "linux/amd64"}}
	if len(found.Releases) != 1 || !slices.Equal(found.Releases[0].Systems, want) {
		t.Errorf("releases %+v, want one for %v", found.Releases, want)
	}
}

// TestPartial: a release is there where all of it is, in one version of each component; what lacks is named. Packages for
// another architecture are none of it.
func TestPartial(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	for _, name := range updatetest.Systems {
		w.Release(t, updatetest.Released, name, "linux/amd64")
	}
	replace := func(name, version, arch string) {
		for i, p := range w.Packages["ubuntu2404/x86_64"] {
			if p.Name == name {
				w.Packages["ubuntu2404/x86_64"][i].Version, w.Packages["ubuntu2404/x86_64"][i].Arch = version, arch
			}
		}
	}
	replace("libcublas-dev-99-1", "99.2.0.5-2", "amd64")
	replace("cuda-cudart-dev-99-1", "99.1.51-1", "i386")
	w.Serve(t)
	found := compareIn(t, w, w.Recipes)
	if len(found.Releases) != 1 || slices.ContainsFunc(found.Releases[0].Systems, func(s update.System) bool { return s.OS == "ubuntu24.04" }) {
		t.Errorf("releases %+v, want one for the others", found.Releases)
	}
	want := []update.Partial{{CUDA: "99.1.0", System: update.System{OS: "ubuntu24.04", Platform: "linux/amd64"}, Missing: []string{
		"cuda-cudart-99-1 99.1.51-1", "libcublas-99-1 99.2.0.5-1", "cuda-cudart-dev-99-1", "libcublas-dev-99-1 99.2.0.5-2",
	}}}
	if diff := cmp.Diff(want, found.Partial); diff != "" {
		t.Errorf("partial (-want +got):\n%s", diff)
	}
}

// TestGrown: a system that gets a release later than others is added to its toolkit, with what differs there.
func TestGrown(t *testing.T) {
	t.Parallel()
	w := updatetest.New(t)
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64")
	w.Serve(t)
	write(t, w, w.Recipes)
	other := maps.Clone(updatetest.Released)
	other["nccl"] = "3.1.8"
	w.Release(t, other, "rockylinux9", "linux/amd64")
	later(t, w, 1)
	found := compareIn(t, w, w.Recipes)
	want := []update.System{{OS: "rockylinux9", Platform: "linux/amd64"}, {OS: "ubi9", Platform: "linux/amd64"}}
	if len(found.Grown) != 1 || !slices.Equal(found.Grown[0].Systems, want) || len(found.Releases) > 0 {
		t.Fatalf("%+v, want CUDA 99.1.0 for %v", found, want)
	}
	write(t, w, w.Recipes)
	c := w.Load(t)
	for os, nccl := range map[string]string{"ubuntu24.04": "libnccl2=3.1.7-1+cuda99.1", "ubi9": "libnccl-3.1.8-1+cuda99.1"} {
		r, _ := c.Find(os, "99.1.0")
		if !slices.Contains(r.Layers[recipes.Runtime].Packages, nccl) || len(r.Unsourced) > 0 {
			t.Errorf("%s has %v, %v unsourced; want %s", os, r.Layers[recipes.Runtime].Packages, r.Unsourced, nccl)
		}
	}
	if found := compareIn(t, w, w.Recipes); found.Any() {
		t.Errorf("found again: %+v", found)
	}
}
