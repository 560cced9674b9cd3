// SPDX-License-Identifier: Apache-2.0

// Package update compares recipes with what the vendors' repositories have today.
//
// [Read] reads the repositories that the recipes name, by the keys that they pin;
// [Compare] says which CUDA releases no toolkit has, which pins without a source the repositories
// answer, and what is pinned and gone; [Found.Write] writes that into a folder of recipes, all of it or
// nothing, as a person would. It guesses nothing: a version is the repository's, for the OSes
// that it is there for, and what no repository says (the drivers that cuda-compat admits) is
// left out.
package update

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/upstream"
)

// System is an OS on a platform.
type System struct {
	OS       string `json:"os"`
	Platform string `json:"platform"`
}

// Repository is one of a vendor's as it was read.
type Repository struct {
	Source   string    `json:"source"`
	Place    string    `json:"place"` // below the roots: "ubuntu2404/x86_64"
	URL      string    `json:"url"`
	Date     time.Time `json:"date"`
	SHA256   string    `json:"sha256"` // of the signed file
	Key      string    `json:"key"`
	Packages int       `json:"packages"` // how many it has
	Systems  []System  `json:"systems"`  // that install from it

	versions map[string][]string // by package
}

// archs are what packages for a platform, or for all, are called. Debs for 32 bits lie beside others.
var archs = map[string][]string{"linux/amd64": {"amd64", "x86_64", "all", "noarch"}, "linux/arm64": {"arm64", "aarch64", "all", "noarch"}}

// Available is what the repositories of the recipes have.
type Available struct {
	Repositories []Repository // by source and place
	systems      map[System][]*Repository
}

// Read reads the repositories of these OSes, each once; of an OS that has none it reads
// nothing. From, if it is not "", is where they lie in place of their roots, each below it at its
// place. A state that is older than one that a toolkit names is refused with an
// [*upstream.StaleError]. The error has all that could not be read.
func Read(ctx context.Context, c *recipes.Catalog, systems []string, from string, now time.Time, get upstream.Get) (*Available, error) {
	all := map[string]*Repository{}
	known := states(c)
	a := &Available{systems: map[System][]*Repository{}}
	var errs []error
	for _, name := range systems {
		o, _ := c.OS(name)
		for _, platform := range slices.Sorted(maps.Keys(o.Repository.Arch)) {
			system := System{name, platform}
			for _, placed := range c.Repositories(name, platform) {
				id := o.Source + "/" + placed.Place
				if all[id] == nil {
					all[id] = &Repository{Source: o.Source, Place: placed.Place}
					errs = append(errs, all[id].read(ctx, placed, o.Repository.Packages, platform, from, now, known[id], get))
				}
				all[id].Systems = append(all[id].Systems, system)
				a.systems[system] = append(a.systems[system], all[id])
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		a.Repositories = append(a.Repositories, *all[id])
	}
	return a, errors.Join(errs...)
}

func (r *Repository) read(ctx context.Context, placed recipes.Placed, packages, platform, from string, now time.Time, known state, get upstream.Get) error {
	r.URL, r.versions = placed.URL, map[string][]string{}
	if from != "" {
		r.URL = strings.TrimRight(from, "/") + "/" + placed.Place
	}
	index, err := upstream.Repository{URL: r.URL, Packages: packages, Lists: []string{"Packages"}, Key: placed.Key, Now: now}.Read(ctx, get, func(p pkgindex.Package) {
		r.Packages++
		if !slices.Contains(archs[platform], p.Arch) {
			return
		}
		if !slices.Contains(r.versions[p.Name], p.Version) {
			r.versions[p.Name] = append(r.versions[p.Name], p.Version)
		}
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &absentError{fmt.Errorf("repository %s: %w", placed.Place, err)}
	case err != nil:
		return fmt.Errorf("repository %s: %w", placed.Place, err)
	case index.Date.Format(time.DateOnly) < known.date:
		return &upstream.StaleError{Address: index.Address, Problem: fmt.Sprintf("is of %s, and %s names one of %s", index.Date.Format(time.DateOnly), known.file, known.date)}
	}
	r.Date, r.SHA256, r.Key = index.Date, index.SHA256, index.Key
	return nil
}

// state is the newest one of a repository that a toolkit names.
type state struct{ date, file string }

// states are those that the toolkits name, by source and place.
func states(c *recipes.Catalog) map[string]state {
	all := map[string]state{}
	for _, source := range c.Sources() {
		for _, t := range c.Toolkits(source) {
			for place, index := range t.Index {
				if id := source + "/" + place; index.Date > all[id].date {
					all[id] = state{index.Date, t.File}
				}
			}
		}
	}
	return all
}

// absentError is a repository that is not where others are.
type absentError struct{ error }

func (e *absentError) Unwrap() error { return e.error }

// Hint is what to do without it.
func (*absentError) Hint() string {
	return "a mirror may lack some repositories, and a vendor takes old ones away: --os GLOB chooses OSes"
}

// versions returns those that a system can install of a package.
func (a *Available) versions(system System, name string) (all []string) {
	for _, r := range a.systems[system] {
		all = append(all, r.versions[name]...)
	}
	return all
}

// from returns the first of a system's repositories that has a version of a package, nil if none has.
func (a *Available) from(system System, name, version string) *Repository {
	for _, r := range a.systems[system] {
		if slices.Contains(r.versions[name], version) {
			return r
		}
	}
	return nil
}

// at returns the repository of a system at a place, nil if that is none of its own.
func (a *Available) at(system System, place string) *Repository {
	for _, r := range a.systems[system] {
		if r.Place == place {
			return r
		}
	}
	return nil
}

// list returns the systems that were read, by OS and platform.
func (a *Available) list() []System {
	return slices.SortedFunc(maps.Keys(a.systems), compareSystems)
}

func compareSystems(a, b System) int {
	return cmp.Or(strings.Compare(a.OS, b.OS), strings.Compare(a.Platform, b.Platform))
}
