// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/internal/standin/repo"
	"github.com/cudabuild/cudabuild/recipes"
)

// vendorMatrix is what is built from stand-ins. The name of its images says so.
const vendorMatrix = `version: 1
image: localhost:5000/stand-in/cuda
defaults: {platforms: [linux/amd64], flavors: [base, runtime, devel], samples: []}
groups:
  default:
    - {os: [ubuntu16.04], cuda: ["9.0"]}
    - {os: [ubuntu14.04], cuda: ["7.5"], flavors: [devel]}
    - {os: [centos7], cuda: ["8.0"], flavors: [runtime]}
    - {os: [rockylinux9], cuda: ["12.8.1"], flavors: [base, runtime]}
`

// vendorReleases are the same as pairs of OS and CUDA.
var vendorReleases = map[string]string{"ubuntu16.04": "9.0", "ubuntu14.04": "7.5", "centos7": "8.0", "rockylinux9": "12.8.1"}

// vendor is the world of source nvidia, all of it standing in: a registry, the
// repositories, the key, and recipes that are the real ones with other addresses.
type vendor struct {
	fixture

	server   *repo.Server
	catalog  *recipes.Catalog // the real one
	key      *repo.Key
	recipes  string // the overlay
	registry string // its host
	tree     string // what server serves
}

func newVendor(t testing.TB) *vendor {
	t.Helper()
	v := emptyVendor(t, vendorMatrix, sortedOS())
	for _, name := range sortedOS() {
		v.serve(t, name, v.key, v.packages(t, name, vendorReleases[name]))
	}
	return v
}

// emptyVendor is a world for some OSes, with no package in it yet.
func emptyVendor(t testing.TB, matrix string, systems []string) *vendor {
	t.Helper()
	for program, from := range repo.Tools {
		if _, err := exec.LookPath(program); err != nil {
			require.Missing(t, "standin", fmt.Errorf("%w (package %s; run 'scripts/deps.sh e2e')", err, from))
		}
	}
	v := &vendor{fixture: newFixture(t), key: repo.NewKey(t, false), recipes: t.TempDir(), tree: t.TempDir()}
	dir := filepath.Dir(v.state)
	v.state, v.out, v.matrix = filepath.Join(dir, "vendor-state"), filepath.Join(dir, "vendor-out"), filepath.Join(v.recipes, "matrix.yaml")
	var err error
	if v.catalog, err = recipes.Load(); err != nil {
		t.Fatal(err)
	}
	v.server = repo.Serve(t, v.tree)
	v.registry = registrytest.Start(t, nil).Host
	root := repo.Root(t, dir, os.Getenv("CUDABUILD_DEBIAN_MIRROR"))
	for _, name := range systems {
		o, _ := v.catalog.OS(name)
		ref := strings.Replace(o.Image, "docker.io", v.registry, 1)
		repo.Push(t, ref, o.Title, root)
	}
	write(t, v.matrix, matrix)
	v.pin(t, v.key, systems...)
	return v
}

func sortedOS() []string {
	var names []string
	for name := range vendorReleases {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// packages are all that a release for an OS pins or names, with its real name and
// version; a newer version of each that nobody asked for; what these depend on; and
// the driver.
func (v *vendor) packages(t testing.TB, name, cuda string) []repo.Package {
	t.Helper()
	r, ok := v.catalog.Find(name, cuda)
	if !ok || len(r.Unsourced) > 0 {
		t.Fatalf("CUDA %s for %s: %v, unsourced %v", cuda, name, ok, r.Unsourced)
	}
	license := repo.Package{Name: "stand-in-license", Version: "1-1"} // a dependency that no recipe names
	all := []repo.Package{license}
	pinned := map[string]bool{}
	for _, pin := range r.Pins {
		p := repo.Package{Name: pin.Package, Version: pin.Version, Depends: []string{license.Name}}
		if strings.HasPrefix(p.Name, "cuda-core-") || strings.HasPrefix(p.Name, "cuda-minimal-build-") {
			nvcc := fmt.Sprintf("/usr/local/cuda-%s/bin/nvcc", strings.Join(strings.Split(r.CUDA, ".")[:2], "."))
			if p.Name == "cuda-minimal-build-9-0" { // the real one depends on cuda-core
				nvcc += ".minimal"
			}
			p.Scripts = map[string]string{nvcc: "#!/bin/sh\necho 'stand-in for nvcc " + r.CUDA + "'\n"}
		}
		newer := p
		newer.Version, newer.Scripts = "999.0-1", nil
		all, pinned[p.Name] = append(all, p, newer), true
	}
	for _, f := range r.Flavors() {
		for _, p := range r.Layers[f].Packages {
			isPin := func(pin recipes.Pin) bool {
				return p == pin.Package+"="+pin.Version || p == pin.Package+"-"+pin.Version
			}
			if !pinned[p] && !slices.ContainsFunc(r.Pins, isPin) {
				all, pinned[p] = append(all, repo.Package{Name: p, Version: "1-1"}), true
			}
		}
	}
	o, _ := v.catalog.OS(name)
	for _, p := range o.Repository.Prerequisites {
		all = append(all, repo.Package{Name: p, Version: "1-1"})
	}
	return append(all,
		repo.Package{Name: "nvidia-driver", Version: "570.86-1"},
		repo.Package{Name: "libnvidia-compute-570", Version: "570.86-1"},
		repo.Package{Name: "cuda-drivers", Version: "570.86-1", Depends: []string{"nvidia-driver"}})
}

// dir is the folder of an OS's repository below a root of the source.
func (v *vendor) dir(name, root string) string {
	o, _ := v.catalog.OS(name)
	return filepath.Join(v.tree, "compute", root, "repos", o.Repository.Dir, o.Repository.Arch["linux/amd64"])
}

// serve writes the repositories of an OS. What is NCCL or cuDNN is where it was then.
func (v *vendor) serve(t testing.TB, name string, key *repo.Key, packages []repo.Package) {
	t.Helper()
	o, _ := v.catalog.OS(name)
	if o.Repository.Packages == "rpm" {
		repo.RPM(t, key, v.dir(name, "cuda"), packages)
		return
	}
	learning := func(p repo.Package) bool { return strings.HasPrefix(p.Name, "libnccl") }
	if slices.Contains(o.Repository.Also, "nvidia-ml") {
		repo.Apt(t, key, v.dir(name, "machine-learning"), slices.DeleteFunc(slices.Clone(packages), func(p repo.Package) bool { return !learning(p) }))
		packages = slices.DeleteFunc(slices.Clone(packages), learning)
	}
	repo.Apt(t, key, v.dir(name, "cuda"), packages)
}

// pin writes the overlay: the real recipes with the addresses and the key of stand-ins.
func (v *vendor) pin(t testing.TB, key *repo.Key, systems ...string) {
	t.Helper()
	for _, name := range systems {
		text := read(t, filepath.Join("..", "recipes", "os", name+".yaml"))
		write(t, filepath.Join(v.recipes, "os", name+".yaml"), strings.ReplaceAll(text, "docker.io", v.registry))
	}
	text := strings.ReplaceAll(read(t, "../recipes/repository/nvidia.yaml"), "https://developer.download.nvidia.com", v.server.URL)
	before, rest, found := strings.Cut(text, "\nkeys:\n")
	_, after, ends := strings.Cut(rest, "\ndocuments:\n")
	if !found || !ends {
		t.Fatal("recipes/repository/nvidia.yaml has no keys before documents")
	}
	sum := sha256.Sum256(key.Armored)
	keys := fmt.Sprintf(`[{id: "%s", fingerprint: "%s", file: %s, sha256: "%s", since: 2026-01-01, serves: [deb, rpm, nvidia-ml]}]`,
		key.Fingerprint[32:], key.Fingerprint, repo.KeyFile, hex.EncodeToString(sum[:]))
	write(t, filepath.Join(v.recipes, "repository", "nvidia.yaml"), before+"\nkeys: "+keys+"\ndocuments:\n"+after)
}

func read(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
