// SPDX-License-Identifier: Apache-2.0

// Package recipes is what cudabuild knows about operating systems and CUDA
// releases, as data: which root file system an OS starts from, how its package
// manager installs, and which packages, environment and requirement make the
// base, runtime and devel layers of a CUDA release on it.
//
// Most callers need two functions: [Load] reads the embedded catalog and any
// directories that add to it or override it, and [Catalog.Find] returns the
// release that a cell names.
//
// A recipe is one YAML file: os/NAME.yaml, cuda/ANY.yaml, manager/NAME.yaml. Files
// of a later directory replace files of the same path. Every file is decoded
// strictly: an unknown key is an error with file, line and column. The package runs no
// command and reads no network; it refuses recipes whose parts do not fit
// together (a release for an OS that has no file, an unknown manager) and names that
// could not be part of a tag.
package recipes

import (
	"cmp"
	"slices"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/samples"
)

// Flavor is one of the three layers that CUDA images stack up.
type Flavor string

// The flavors, each built on the one before it.
const (
	Base    Flavor = "base"
	Runtime Flavor = "runtime"
	Devel   Flavor = "devel"
)

// Flavors returns the flavors in the order in which they stack up.
func Flavors() []Flavor { return []Flavor{Base, Runtime, Devel} }

// OS is an operating system that images can start from.
type OS struct {
	Name      string    `yaml:"os"`
	Title     string    `yaml:"title"` // for labels, "Debian 13"
	Source    string    `yaml:"source"`
	Manager   string    `yaml:"manager"`
	Bootstrap Bootstrap `yaml:"bootstrap"`
}

// Bootstrap makes a root file system out of a distribution's own packages.
type Bootstrap struct {
	Suite      string   `yaml:"suite"`
	Components []string `yaml:"components"`
	SizeMB     int      `yaml:"size_mb"` // unpacked
}

// Release is one CUDA release as packaged for some operating systems.
type Release struct {
	CUDA      string           `yaml:"cuda"` // "12.4": the word in cell IDs
	Source    string           `yaml:"source"`
	OS        []string         `yaml:"os"`
	Platforms []string         `yaml:"platforms"`
	Version   string           `yaml:"version"` // CUDA_VERSION
	Layers    map[Flavor]Layer `yaml:"layers"`
	Guard     Guard            `yaml:"guard"`
	Samples   Samples          `yaml:"samples"`

	file  string         // "cuda/ANY.yaml"
	path  string         // the same with the directory that it was read from
	lines map[string]int // of the parts that become build steps
}

// Where returns the file and line that say how a part of the release is made: the
// packages of a flavor, or "samples". The line is 0 if the recipe does not say it.
func (r Release) Where(part string) (file string, line int) { return r.path, r.lines[part] }

// Layer is what one flavor adds to the one below it.
type Layer struct {
	Packages []string          `yaml:"packages"`
	Env      map[string]string `yaml:"env"`
	SizeMB   int               `yaml:"size_mb"` // unpacked, what the disk check counts
}

// Guard is the control-only package that stands in for the driver: it provides
// the names that the toolkit's packages ask for and conflicts with the driver's
// packages, so that neither this build nor a derived one can install the driver.
type Guard struct {
	Provides []string `yaml:"provides"`
}

// SampleNames returns the name of every sample program, sorted.
func SampleNames() []string { return samples.Names() }

// Samples says how the release's nvcc compiles the sample programs.
type Samples struct {
	SASS []int `yaml:"sass"` // compute capabilities times ten, ascending
	PTX  int   `yaml:"ptx"`
}

// Catalog is every OS, package manager and CUDA release at hand. It is read-only.
type Catalog struct {
	os       map[string]OS
	managers map[string]Manager
	releases []Release // ascending by CUDA version, then by first OS
}

// OS returns the operating system with that name.
func (c *Catalog) OS(name string) (OS, bool) {
	o, ok := c.os[name]
	return o, ok
}

// OSNames returns the name of every OS, sorted.
func (c *Catalog) OSNames() []string {
	return sortedKeys(c.os)
}

// Manager returns the package manager of an OS of this catalog.
func (c *Catalog) Manager(o OS) Manager { return c.managers[o.Manager] }

// Find returns the CUDA release packaged for that OS, if there is one.
func (c *Catalog) Find(os, cuda string) (Release, bool) {
	i := slices.IndexFunc(c.releases, func(r Release) bool {
		return r.CUDA == cuda && slices.Contains(r.OS, os)
	})
	if i < 0 {
		return Release{}, false
	}
	return c.releases[i], true
}

// CUDAFor returns the CUDA releases packaged for that OS, oldest first.
func (c *Catalog) CUDAFor(os string) []string {
	var versions []string
	for _, r := range c.releases {
		if slices.Contains(r.OS, os) {
			versions = append(versions, r.CUDA)
		}
	}
	return versions
}

// OSFor returns the operating systems that CUDA release was packaged for, sorted.
func (c *Catalog) OSFor(cuda string) []string {
	var names []string
	for _, r := range c.releases {
		if r.CUDA == cuda {
			names = append(names, r.OS...)
		}
	}
	slices.Sort(names)
	return names
}

// CUDAVersions returns every CUDA release, each once, oldest first.
func (c *Catalog) CUDAVersions() []string {
	var versions []string
	for _, r := range c.releases {
		versions = append(versions, r.CUDA)
	}
	return slices.Compact(versions)
}

func compareReleases(a, b Release) int {
	return cmp.Or(compat.Compare(a.CUDA, b.CUDA), cmp.Compare(a.OS[0], b.OS[0]))
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
