// SPDX-License-Identifier: Apache-2.0

package update

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/recipes"
)

// Found is where recipes and repositories differ. Nothing in it is nil.
type Found struct {
	Releases []Release  `json:"releases"` // that no toolkit has, oldest first
	Filled   []Filled   `json:"filled"`   // pins without a source that a repository answers
	Vanished []Vanished `json:"vanished"` // what is pinned and gone

	available *Available
	catalog   *recipes.Catalog
	open      map[string]open // by file
}

// open is what else there is to say of pins that are filled in.
type open struct {
	toolkit   recipes.Toolkit
	unsourced values          // where no repository answers
	mixed     map[string]bool // pins that the toolkit says a version of for some systems, or where they differ
	sourced   map[string]bool // pins that are from a document or a repository for some systems
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

// Vanished is a package that recipes pin and that its repositories do not have.
type Vanished struct {
	CUDA string `json:"cuda"`
	System
	Package string `json:"package"`
	Version string `json:"version"`
	Where   string `json:"where"` // file and line of the pin
}

// Any reports whether anything was found.
func (f *Found) Any() bool { return len(f.Releases)+len(f.Filled)+len(f.Vanished) > 0 }

// Compare compares the catalog with what is available. A release of whose X.Y a toolkit has the
// same or a later point release is not new. Of several new ones of one X.Y the last is: a repository
// does not say which build of a component belonged to an earlier one.
func Compare(c *recipes.Catalog, a *Available) *Found {
	f := &Found{Releases: []Release{}, Filled: []Filled{}, Vanished: []Vanished{}, available: a, catalog: c, open: map[string]open{}}
	for _, source := range c.Sources() {
		known := newest{}
		for _, t := range c.Toolkits(source) {
			known.add(t.Version)
		}
		if len(known) == 0 {
			continue
		}
		f.releases(source, known)
		for _, r := range f.Releases {
			known.add(r.CUDA)
		}
		for _, t := range c.Toolkits(source) {
			f.fill(t, known[minor(t.Version)] == t.Version)
		}
	}
	f.vanished()
	return f
}

// newest is the last point release of each X.Y.
type newest map[string]string

func (n newest) add(version string) {
	if compat.Compare(n[minor(version)], version) < 0 {
		n[minor(version)] = version
	}
}

// covers reports whether a release is no news: it is not later than one of its X.Y, or is
// before all of them.
func (n newest) covers(version string) bool {
	for _, known := range n {
		if minor(known) == minor(version) {
			return compat.Compare(version, known) <= 0
		}
	}
	return !slices.ContainsFunc(slices.Collect(maps.Values(n)), func(known string) bool { return compat.Compare(known, version) < 0 })
}

// minor is X.Y of a release.
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

// release is the number of a CUDA release in the version of a package of its own.
var release = regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+)-`)

// releases finds the new ones of a source.
func (f *Found) releases(source string, known newest) {
	last, tried := newest{}, map[string]bool{}
	for _, r := range f.available.Repositories {
		if r.Source != source {
			continue
		}
		for name, versions := range r.versions {
			for _, version := range versions {
				m := release.FindStringSubmatch(version)
				if m == nil || !strings.HasSuffix(name, "-"+strings.ReplaceAll(minor(m[1]), ".", "-")) || known.covers(m[1]) {
					continue
				}
				if !tried[m[1]] && len(f.systems(source, m[1])) > 0 {
					last.add(m[1])
				}
				tried[m[1]] = true
			}
		}
	}
	for _, cuda := range last {
		f.Releases = append(f.Releases, f.release(source, cuda))
	}
	slices.SortFunc(f.Releases, func(a, b Release) int { return compat.Compare(a.CUDA, b.CUDA) })
}

// release is a new one with the version of every pin.
func (f *Found) release(source, cuda string) Release {
	r := Release{CUDA: cuda, File: "toolkit/" + cuda + ".yaml", source: source, values: values{}, defaults: map[string]string{}}
	r.Systems = f.systems(source, cuda)
	for _, system := range r.Systems {
		for pin, version := range f.pins(cuda, system) {
			r.values.set(pin, system, version)
		}
	}
	for _, system := range r.Systems {
		for _, c := range f.catalog.Components(cuda, system.OS, system.Platform) {
			if !slices.Contains(r.order, c.Pin) && c.Pin != "version" {
				r.order = append(r.order, c.Pin)
				r.defaults[c.Pin] = c.Value
			}
			if strings.Contains(string(c.Flavor), "-") && r.values[c.Pin][system] == recipes.PinNone { // a variant: all platforms of an OS have the same
				for _, other := range r.Systems {
					if _, has := r.values[c.Pin][other]; has && other.OS == system.OS {
						r.values.set(c.Pin, other, recipes.PinNone)
					}
				}
			}
		}
	}
	return r
}

// systems returns those that have the whole of a release: every package with its own number, and every
// component that is named after it and that its era has no other word for. NCCL and cuDNN come when they do.
func (f *Found) systems(source, cuda string) (all []System) {
	for _, system := range f.available.list() {
		if o, _ := f.catalog.OS(system.OS); o.Source != source || f.dropped(source, cuda, system.OS) {
			continue
		}
		own := 0
		whole := true
		for _, c := range f.catalog.Components(cuda, system.OS, system.Platform) {
			versions := f.available.versions(system, c.Package)
			switch {
			case c.Pin == "version":
				own++
				whole = whole && slices.Contains(versions, c.Before+cuda+c.After)
			case c.Value == "" && strings.Contains(c.Package, "-"+strings.ReplaceAll(minor(cuda), ".", "-")):
				whole = whole && len(versions) > 0
			}
		}
		if whole && own > 0 {
			all = append(all, system)
		}
	}
	return all
}

// dropped reports whether an OS is in earlier toolkits, and in none of the last major release
// before that: its repository may be that of another OS, too.
func (f *Found) dropped(source, cuda, os string) bool {
	last := 0 // major release before cuda
	latest := map[string]int{}
	for _, t := range f.catalog.Toolkits(source) { // oldest first
		if compat.Compare(t.Version, cuda) >= 0 {
			break
		}
		last = compat.Major(t.Version)
		for name := range t.Systems {
			latest[name] = last
		}
	}
	return latest[os] != 0 && latest[os] < last
}

// pins returns the newest version of every pin that all packages of the pin have, "none" if there
// is none.
func (f *Found) pins(cuda string, system System) map[string]string {
	all := map[string]string{}
	for pin, versions := range f.candidates(cuda, system, "") {
		if pin == "version" {
			continue
		}
		all[pin] = recipes.PinNone
		if len(versions) > 0 {
			all[pin] = slices.MaxFunc(versions, compat.Compare)
		}
	}
	return all
}

// candidates returns, for every pin, the versions that all of its packages have; of one pin
// alone if that is named.
func (f *Found) candidates(cuda string, system System, only string) map[string][]string {
	all := map[string][]string{}
	for _, c := range f.catalog.Components(cuda, system.OS, system.Platform) {
		if only != "" && c.Pin != only {
			continue
		}
		found := []string{}
		for _, version := range f.available.versions(system, c.Package) {
			rest, before := strings.CutPrefix(version, c.Before)
			pin, after := strings.CutSuffix(rest, c.After)
			earlier, several := all[c.Pin]
			if before && after && compat.IsVersion(pin) && (!several || slices.Contains(earlier, pin)) {
				found = append(found, pin)
			}
		}
		all[c.Pin] = found
	}
	return all
}

// fill finds what repositories answer of a toolkit's pins without a source. Which of several
// versions is the release's they say only of the last release of an X.Y.
func (f *Found) fill(t recipes.Toolkit, last bool) {
	open := open{t, values{}, map[string]bool{}, map[string]bool{}}
	f.components(t, func(_ System, c recipes.Component, unsourced bool) {
		open.mixed[c.Pin] = open.mixed[c.Pin] || c.Value != recipes.PinUnsourced
		open.sourced[c.Pin] = open.sourced[c.Pin] || compat.IsVersion(c.Value) && !unsourced
	})
	for _, differ := range t.Differ {
		for pin := range differ {
			open.mixed[pin] = true
		}
	}
	done := map[System]map[string]bool{}
	f.components(t, func(system System, c recipes.Component, unsourced bool) {
		if done[system] == nil {
			done[system] = map[string]bool{}
		}
		if !unsourced || done[system][c.Pin] {
			return
		}
		done[system][c.Pin] = true
		if filled, known := f.answer(t, system, c, last, t.Read || open.sourced[c.Pin]); known {
			f.Filled = append(f.Filled, filled)
		} else if !compat.IsVersion(c.Value) {
			open.unsourced.set(c.Pin, system, recipes.PinUnsourced)
		}
	})
	f.open[t.File] = open
}

// components calls each for every package of a toolkit whose version is a pin, by system.
func (f *Found) components(t recipes.Toolkit, each func(system System, c recipes.Component, unsourced bool)) {
	for _, os := range slices.Sorted(maps.Keys(t.Systems)) {
		r, _ := f.catalog.Find(os, t.CUDA)
		for _, platform := range t.Systems[os] {
			unsourced := r.On(platform).Unsourced
			for _, c := range f.catalog.Components(t.CUDA, os, platform) {
				each(System{os, platform}, c, slices.Contains(unsourced, c.Package))
			}
		}
	}
}

// answer is what the repositories of a system say of a pin without a source. A version that the
// toolkit states counts before others if somebody has read it anywhere, or if it is there.
func (f *Found) answer(t recipes.Toolkit, system System, c recipes.Component, last, sourced bool) (filled Filled, known bool) {
	candidates := f.candidates(t.CUDA, system, c.Pin)[c.Pin]
	filled = Filled{CUDA: t.CUDA, File: t.File, System: system, Pin: c.Pin, Version: c.Value}
	filled.stated = compat.IsVersion(c.Value) && (sourced || slices.Contains(candidates, c.Value))
	switch {
	case !filled.stated && !f.has(t, system): // what is there is another release's
		return filled, false
	case filled.stated && !slices.Contains(candidates, c.Value), len(candidates) == 0, !filled.stated && len(candidates) > 1 && !last:
		return filled, false
	case !filled.stated:
		filled.Version = slices.MaxFunc(candidates, compat.Compare)
	}
	repository := f.available.from(system, c.Package, c.Before+filled.Version+c.After)
	filled.Place = repository.Place
	return filled, t.Index[repository.Place].SHA256 != repository.SHA256 // else its key does not count
}

// has reports whether a system can install the packages with a toolkit's own number.
func (f *Found) has(t recipes.Toolkit, system System) bool {
	own := false
	for _, c := range f.catalog.Components(t.CUDA, system.OS, system.Platform) {
		if c.Pin != "version" {
			continue
		}
		if own = f.available.from(system, c.Package, c.Before+c.Value+c.After) != nil; !own {
			break
		}
	}
	return own
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
					f.Vanished = append(f.Vanished, Vanished{cuda, system, p.Package, p.Version, p.Where})
				}
			}
		}
	}
}
