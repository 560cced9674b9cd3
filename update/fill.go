// SPDX-License-Identifier: Apache-2.0

package update

import (
	"maps"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/recipes"
)

// open is what else there is to say of pins that are filled in.
type open struct {
	toolkit   recipes.Toolkit
	unsourced values          // where no repository answers
	mixed     map[string]bool // pins that the toolkit says a version of for some systems, or where they differ
	sourced   map[string]bool // pins that are from a document or a repository for some systems
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
			f.keep(t, filled)
		} else if !compat.IsVersion(c.Value) {
			open.unsourced.set(c.Pin, system, recipes.PinUnsourced)
		}
	})
	f.open[t.File] = open
}

// keep adds what is filled in, unless the toolkit could not say what else it says then.
func (f *Found) keep(t recipes.Toolkit, filled Filled) {
	if gone := f.gone(t, filled.Place); len(gone) > 0 {
		f.Held = append(f.Held, Held{filled, t.Index[filled.Place].Date, gone})
		return
	}
	f.Filled = append(f.Filled, filled)
}

// gone are the packages of the state of a repository that a toolkit names which today's has not: its
// other pins cannot be said to be from there.
func (f *Found) gone(t recipes.Toolkit, place string) (gone []string) {
	index, named := t.Index[place]
	if !named {
		return nil
	}
	f.components(t, func(system System, c recipes.Component, unsourced bool) {
		r := f.available.at(system, place)
		if r == nil || !compat.IsVersion(c.Value) {
			return
		}
		version := c.Before + c.Value + c.After
		counts := slices.Contains(index.Pins, c.Pin) || len(index.Pins) == 0 && unsourced || strings.Contains(f.source(t.CUDA, system, c.Package), index.SHA256)
		if one := c.Package + " " + version; counts && !slices.Contains(r.versions[c.Package], version) && !slices.Contains(gone, one) {
			gone = append(gone, one)
		}
	})
	return gone
}

// source is who gives the version of a package in the catalog, "" if nobody does.
func (f *Found) source(cuda string, system System, name string) string {
	r, _ := f.catalog.Find(system.OS, cuda)
	for _, p := range r.On(system.Platform).Pins {
		if p.Package == name {
			return p.Source
		}
	}
	return ""
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
