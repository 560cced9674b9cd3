// SPDX-License-Identifier: Apache-2.0

// Package updatetest makes a vendor whose repositories stand in for NVIDIA's, and recipes that
// pin its key, for tests of what keeps recipes up to date.
package updatetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/internal/standin/index"
	"github.com/cudabuild/cudabuild/recipes"
)

// World is the vendor's repositories, all of them standing in, and recipes that pin their key.
type World struct {
	Key      *index.Key
	Recipes  string                        // a folder that is laid over the embedded ones
	Tree     string                        // of the repositories
	Packages map[string][]pkgindex.Package // by place, not served yet
	Form     index.Form
}

// Systems are those of the world: one family each, and two OSes with one repository.
var Systems = []string{"rockylinux9", "ubi9", "ubuntu24.04"}

// Released is CUDA 99.1.0, which NVIDIA has not made, in its packages' own words.
var Released = map[string]string{
	"version": "99.1.0", "cudart": "99.1.51", "nvtx": "99.1.20", "npp": "99.0.1.2", "cusparse": "98.9.1.4", "cublas": "99.2.0.5",
	"nvml": "99.1.51", "nsight": "99.1.0", "nccl": "3.1.7", "cudnn": "12.1.0.5", "compat": "999.10.01",
}

// Toolkit is one that was read for one OS of three, with remarks of whoever wrote it.
const Toolkit = `# A toolkit of the tests.
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

// New returns a world with the packages that the recipes of its Systems pin, and nothing new.
func New(t testing.TB) *World {
	t.Helper()
	w := &World{Key: index.NewKey(t, false), Recipes: t.TempDir(), Tree: t.TempDir(), Packages: map[string][]pkgindex.Package{}}
	w.Pin(t, false)
	w.Write(t, "toolkit/12.8.1.yaml", Toolkit)
	c := w.Load(t)
	for _, name := range Systems {
		o, _ := c.OS(name)
		for platform := range o.Repository.Arch {
			for _, placed := range c.Repositories(name, platform) {
				w.Packages[placed.Place] = append(w.Packages[placed.Place], pkgindex.Package{Name: "stand-in", Version: "1-1", Arch: "all", SHA256: strings.Repeat("0", 64), File: "none"})
			}
			place := c.Repositories(name, platform)[0].Place
			for _, cuda := range c.CUDAFor(name) {
				r, _ := c.Find(name, cuda)
				for _, p := range r.On(platform).Pins {
					w.Add(place, p.Package, p.Version)
				}
			}
		}
	}
	return w
}

// Add adds a package to a repository, once.
func (w *World) Add(place, name, version string) {
	p := pkgindex.Package{Name: name, Version: version, Arch: "noarch", SHA256: strings.Repeat("0", 64), File: "none"}
	if !slices.Contains(w.Packages[place], p) {
		w.Packages[place] = append(w.Packages[place], p)
	}
}

// Release adds a CUDA release for an OS on a platform, without some of its pins.
func (w *World) Release(t testing.TB, cuda map[string]string, os, platform string, without ...string) {
	t.Helper()
	c := w.Load(t)
	for _, component := range c.Components(cuda["version"], os, platform) {
		if version := cuda[component.Pin]; version != "" && !slices.Contains(without, component.Pin) {
			w.Add(c.Repositories(os, platform)[0].Place, component.Package, component.Before+version+component.After)
		}
	}
}

// Serve writes the repositories.
func (w *World) Serve(t testing.TB) {
	t.Helper()
	for place, packages := range w.Packages {
		write := index.RPM
		if strings.Contains(place, "ubuntu") {
			write = index.Deb
		}
		write(t, filepath.Join(w.Tree, place), w.Key, w.Form, packages)
	}
}

// Pin writes the real recipe of the vendor with the key of the stand-ins, which is marked as
// one or not.
func (w *World) Pin(t testing.TB, standIn bool) {
	t.Helper()
	data, err := recipes.Text("repository/nvidia.yaml")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(data), "\nkeys:\n")
	_, after, found := strings.Cut(rest, "\ndocuments:\n")
	if !found {
		t.Fatal("recipes/repository/nvidia.yaml has no keys before documents")
	}
	key := fmt.Sprintf("{id: %q, fingerprint: %q, file: %s, sha256: %q, since: 2026-01-01, serves: [deb, rpm, nvidia-ml, rhel10], stand_in: %v}",
		w.Key.ID, w.Key.Fingerprint, index.KeyFile, w.Key.SHA256, standIn)
	w.Write(t, "repository/nvidia.yaml", before+"\nkeys: ["+key+"]\ndocuments:\n"+after)
}

// Write writes a file of recipes.
func (w *World) Write(t testing.TB, name, text string) {
	t.Helper()
	file := filepath.Join(w.Recipes, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Load reads the recipes.
func (w *World) Load(t testing.TB) *recipes.Catalog {
	t.Helper()
	c, err := recipes.Load(w.Recipes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
