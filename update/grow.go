// SPDX-License-Identifier: Apache-2.0

package update

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/recipes"
)

// Grown is a release of the recipes that more systems have by now: repositories get it one after the
// other.
type Grown struct {
	CUDA    string   `json:"cuda"`
	File    string   `json:"file"`
	Systems []System `json:"systems"` // that have all of it and are not in the toolkit

	toolkit recipes.Toolkit
	values  values
	said    values // what the toolkit says for them as it is
}

// grow finds systems that have got a release since its toolkit was written. Which OSes have images
// of a release whose toolkit a person wrote is that person's word.
func (f *Found) grow(t recipes.Toolkit) {
	if !fromRepositories(t) {
		return
	}
	g := Grown{CUDA: t.CUDA, File: t.File, toolkit: t, values: values{}, said: values{}}
	for _, system := range f.systems(t.Source, t.Version) {
		if slices.Contains(t.Systems[system.OS], system.Platform) {
			continue
		}
		if r := f.available.systems[system][0]; len(f.gone(t, r.Place)) > 0 {
			f.Held = append(f.Held, Held{Filled{CUDA: t.CUDA, File: t.File, System: system, Pin: "version", Version: t.Version, Place: r.Place}, t.Index[r.Place].Date, f.gone(t, r.Place)})
			continue
		}
		g.Systems = append(g.Systems, system)
		there := f.candidates(t.CUDA, system, "")
		for pin, version := range f.pins(t.CUDA, system, f.had(t.Source, t.CUDA)) {
			g.values.set(pin, system, version)
		}
		for _, c := range f.catalog.Components(t.CUDA, system.OS, system.Platform) {
			variant := strings.Contains(string(c.Flavor), "-")                                                                    // all platforms of an OS have the same
			if variant && c.Value == recipes.PinNone && len(t.Systems[system.OS]) > 0 || slices.Contains(there[c.Pin], c.Value) { // what others have counts before what is newer
				g.values.set(c.Pin, system, c.Value)
			}
			g.said.set(c.Pin, system, c.Value)
		}
	}
	if len(g.Systems) > 0 {
		f.Grown = append(f.Grown, g)
	}
}

// fromRepositories reports whether a toolkit is one that [Found.Write] wrote: all of it was read in
// repositories.
func fromRepositories(t recipes.Toolkit) bool {
	for _, index := range t.Index {
		if len(index.Pins) == 0 && !t.Read {
			return true
		}
	}
	return false
}

// write adds the systems to the file of the toolkit, with the pins that are others there. Filled
// are those that are about to change for all.
func (g Grown) write(file *yaml.Node, filled []string) {
	platforms := map[string][]string{}
	for os, has := range g.toolkit.Systems {
		for _, platform := range has {
			platforms[platform] = append(platforms[platform], os)
		}
	}
	for _, system := range g.Systems {
		platforms[system.Platform] = append(platforms[system.Platform], system.OS)
		for pin, version := range g.values {
			if said := g.said[pin][system]; pin != "version" && (said != version[system] || slices.Contains(filled, pin)) {
				entry(differ(file, system.OS+" "+system.Platform), pin, word(version[system]))
			}
		}
	}
	for _, system := range g.Systems {
		put := slices.SortedFunc(slices.Values(platforms[system.Platform]), compareNames)
		entry(below(file, "os"), system.Platform, words(put))
	}
}

// places are the repositories that the systems have the release from.
func (g Grown) places(a *Available, c *recipes.Catalog) (places []string) {
	for _, system := range g.Systems {
		for _, one := range c.Components(g.CUDA, system.OS, system.Platform) {
			version := g.values[one.Pin][system]
			if one.Pin == "version" {
				version = g.toolkit.Version
			}
			if r := a.from(system, one.Package, one.Before+version+one.After); compat.IsVersion(version) && r != nil && !slices.Contains(places, r.Place) {
				places = append(places, r.Place)
			}
		}
	}
	return places
}
