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
// A recipe is one YAML file: os/NAME.yaml, manager/NAME.yaml, and for a CUDA release
// cuda/ANY.yaml, which says all in full, or toolkit/NAME.yaml, which has the version
// numbers and leaves the rest to era/NAME.yaml and repository/NAME.yaml; flavor/NAME.yaml
// is what a team puts on flavors. Files of a later directory change files of the same
// path, key by key. Every file is decoded
// strictly: an unknown key is an error with file, line and column. The package runs no
// command and reads no network; it refuses recipes whose parts do not fit
// together (a release for an OS that has no file, an unknown manager) and names that
// could not be part of a tag.
package recipes

import (
	"maps"
	"slices"
)

// Catalog is every OS, package manager and CUDA release at hand. It is read-only.
type Catalog struct {
	os       map[string]OS
	managers map[string]Manager
	sources  map[string]Source
	releases []Release         // ascending by CUDA version, then by OS
	parts    map[string][]part // of the files, by name
	eras     map[string]eraFile
	toolkits []toolkitFile
	recipes  map[pair]*Recipe

	platforms []string // of any release, sorted
	flavors   []Flavor // of any release, in the order of CompareFlavors
}

// pair is an OS and a CUDA release by their names.
type pair struct{ os, cuda string }

// OS returns the operating system with that name.
func (c *Catalog) OS(name string) (OS, bool) {
	o, ok := c.os[name]
	return o, ok
}

// OSNames returns the name of every OS, sorted.
func (c *Catalog) OSNames() []string {
	return sortedKeys(c.os)
}

// Manager returns the package manager of an OS of this catalog. Its guard keeps out the
// driver packages of that OS too.
func (c *Catalog) Manager(o OS) Manager {
	m := c.managers[o.Manager]
	m.DriverPackages = slices.Concat(m.DriverPackages, o.DriverPackages)
	return m
}

// Find returns the CUDA release packaged for that OS, if there is one.
func (c *Catalog) Find(os, cuda string) (Release, bool) {
	r, ok := c.recipes[pair{os, cuda}]
	if !ok {
		return Release{}, false
	}
	return r.Release, true
}

// CUDAFor returns the CUDA releases packaged for that OS, oldest first.
func (c *Catalog) CUDAFor(os string) []string {
	var versions []string
	for _, r := range c.releases {
		if r.OS == os {
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
			names = append(names, r.OS)
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

// Platforms returns every platform that a release is for, sorted.
func (c *Catalog) Platforms() []string { return slices.Clone(c.platforms) }

// Flavors returns every flavor that a release has, in the order of [CompareFlavors].
func (c *Catalog) Flavors() []Flavor { return slices.Clone(c.flavors) }

// index makes what the catalog answers from, once its releases are known.
func (c *Catalog) index() {
	slices.SortFunc(c.releases, compareReleases)
	c.recipes = map[pair]*Recipe{}
	platforms, flavors := map[string]bool{}, map[Flavor]bool{}
	for _, r := range c.releases {
		c.recipes[pair{r.OS, r.CUDA}] = c.recipe(c.os[r.OS], r)
		for _, p := range r.Platforms {
			platforms[p] = true
		}
		for f := range r.Layers {
			flavors[f] = true
		}
	}
	c.platforms = sortedKeys(platforms)
	c.flavors = slices.SortedFunc(maps.Keys(flavors), CompareFlavors)
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
