// SPDX-License-Identifier: Apache-2.0

package update

import (
	"slices"

	"github.com/cudabuild/cudabuild/recipes"
)

// Found is where recipes and repositories differ. Nothing in it is nil.
type Found struct {
	Releases []Release  `json:"releases"` // that no toolkit has, oldest first
	Grown    []Grown    `json:"grown"`    // releases that systems have got since
	Filled   []Filled   `json:"filled"`   // pins without a source that a repository answers
	Held     []Held     `json:"held"`     // what a repository answers and a toolkit cannot say
	Partial  []Partial  `json:"partial"`  // releases that a system has not all of: they may come
	Vanished []Vanished `json:"vanished"` // what is pinned and gone

	available *Available
	catalog   *recipes.Catalog
	toolkits  map[string][]recipes.Toolkit // by source, oldest first
	open      map[string]open              // by file
}

// Release is a CUDA release that no toolkit has.
type Release struct {
	CUDA    string   `json:"cuda"`
	File    string   `json:"file"`
	Systems []System `json:"systems"` // that have all of it, by OS and platform

	source   string
	values   values
	defaults map[string]string // of pins, that the era gives
	order    []string          // of pins, in which they are installed
}

// Filled is a pin of a toolkit that no document gives for a system.
type Filled struct {
	CUDA string `json:"cuda"`
	File string `json:"file"`
	System
	Pin     string `json:"pin"`
	Version string `json:"version"`
	Place   string `json:"place"` // of the repository that says so

	stated bool // by the toolkit, which lacks a source alone
}

// Held is what a repository answers of a toolkit that names another state of it, in which there was
// what is there no more: a toolkit has one state of a repository.
type Held struct {
	Filled
	Date string   `json:"date"` // of the state that it names
	Gone []string `json:"gone"` // packages of it, "libnccl2 2.25.1-1+cuda12.8"
}

// Partial is a release that a repository has begun to have.
type Partial struct {
	CUDA string `json:"cuda"`
	System
	Missing []string `json:"missing"` // packages that are not there, or "libcublas-13-4 13.5.0.1-1": not all of a component's in one version
}

// Vanished is a package that recipes pin and that its repositories do not have.
type Vanished struct {
	CUDA string `json:"cuda"`
	System
	Package string `json:"package"`
	Version string `json:"version"`
	Where   string `json:"where"` // file and line of the pin
}

// Any reports whether anything was found that recipes lack or have too much.
func (f *Found) Any() bool {
	return len(f.Releases)+len(f.Grown)+len(f.Filled)+len(f.Held)+len(f.Vanished) > 0
}

// Compare compares the catalog with what is available. A release of whose X.Y a toolkit has the
// same or a later point release is not new. Of several new ones of one X.Y the last is: a repository
// does not say which build of a component belonged to an earlier one.
func Compare(c *recipes.Catalog, a *Available) *Found {
	f := &Found{Releases: []Release{}, Grown: []Grown{}, Filled: []Filled{}, Held: []Held{}, Partial: []Partial{}, Vanished: []Vanished{}, available: a, catalog: c, toolkits: map[string][]recipes.Toolkit{}, open: map[string]open{}}
	for _, source := range c.Sources() {
		known := newest{}
		f.toolkits[source] = c.Toolkits(source)
		for _, t := range f.toolkits[source] {
			known.add(t.Version)
		}
		if len(known) == 0 {
			continue
		}
		f.releases(source, known)
		for _, r := range f.Releases {
			if r.source == source {
				known.add(r.CUDA)
			}
		}
		for _, t := range f.toolkits[source] {
			f.fill(t, known[minor(t.Version)] == t.Version)
			f.grow(t)
		}
	}
	f.vanished()
	return f
}

// vanished finds what is pinned and gone.
func (f *Found) vanished() {
	for _, system := range f.available.list() {
		for _, cuda := range f.catalog.CUDAFor(system.OS) {
			r, _ := f.catalog.Find(system.OS, cuda)
			if !slices.Contains(r.Platforms, system.Platform) {
				continue
			}
			for _, p := range r.On(system.Platform).Pins {
				if f.available.from(system, p.Package, p.Version) == nil {
					if gone := (Vanished{cuda, system, p.Package, p.Version, p.Where}); !slices.Contains(f.Vanished, gone) {
						f.Vanished = append(f.Vanished, gone) // flavors share packages
					}
				}
			}
		}
	}
}
