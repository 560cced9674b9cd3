// SPDX-License-Identifier: Apache-2.0

package update

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/recipes"
)

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
	for cuda := range tried {
		if compat.Compare(last[minor(cuda)], cuda) > 0 {
			continue
		}
		for _, system := range f.eligible(source, cuda) {
			if missing, some := f.whole(cuda, system); some && len(missing) > 0 {
				f.Partial = append(f.Partial, Partial{cuda, system, missing})
			}
		}
	}
	slices.SortFunc(f.Partial, func(a, b Partial) int {
		return cmp.Or(compat.Compare(a.CUDA, b.CUDA), compareSystems(a.System, b.System))
	})
	for _, cuda := range last {
		f.Releases = append(f.Releases, f.release(source, cuda))
	}
	slices.SortFunc(f.Releases, func(a, b Release) int { return compat.Compare(a.CUDA, b.CUDA) })
}

// release is a new one with the version of every pin.
func (f *Found) release(source, cuda string) Release {
	r := Release{CUDA: cuda, File: "toolkit/" + cuda + ".yaml", source: source, values: values{}, defaults: map[string]string{}}
	r.Systems = f.systems(source, cuda)
	had := f.had(source, cuda)
	for _, system := range r.Systems {
		for pin, version := range f.pins(cuda, system, had) {
			r.values.set(pin, system, version)
		}
	}
	for _, system := range r.Systems {
		for _, c := range f.catalog.Components(cuda, system.OS, system.Platform) {
			if !slices.Contains(r.order, c.Pin) && c.Pin != "version" {
				r.order = append(r.order, c.Pin)
				r.defaults[c.Pin] = c.Value
			}
		}
	}
	return r
}

// systems returns those that have the whole of a release. NCCL and cuDNN come when they do.
func (f *Found) systems(source, cuda string) (all []System) {
	for _, system := range f.eligible(source, cuda) {
		if missing, some := f.whole(cuda, system); some && len(missing) == 0 {
			all = append(all, system)
		}
	}
	return all
}

// eligible returns the systems that were read and may have a release.
func (f *Found) eligible(source, cuda string) []System {
	return slices.DeleteFunc(f.available.list(), func(system System) bool {
		o, _ := f.catalog.OS(system.OS)
		return o.Source != source || f.dropped(source, cuda, system.OS)
	})
}

// whole returns what a system lacks of a release, "libcublas-dev-13-4" or with the versions that are there, and
// whether it has anything of it. All of it is every package with its own number, and one version of every
// component that is named after it and that its era does not leave open.
func (f *Found) whole(cuda string, system System) (missing []string, some bool) {
	candidates, said := f.candidates(cuda, system, ""), map[string]bool{}
	for _, c := range f.catalog.Components(cuda, system.OS, system.Platform) {
		has, number := f.available.versions(system, c.Package), c.Before+cuda+c.After
		switch {
		case c.Pin == "version" && slices.Contains(has, number):
			some = true
			continue
		case c.Pin == "version":
			has = []string{number}
		case c.Value != "" && !compat.IsVersion(c.Value), len(candidates[c.Pin]) > 0:
			continue
		case !strings.Contains(c.Package, "-"+strings.ReplaceAll(minor(cuda), ".", "-")):
			continue
		}
		if lack := strings.TrimSpace(c.Package + " " + strings.Join(has, " ")); !said[lack] {
			said[lack] = true
			missing = append(missing, lack)
		}
	}
	return missing, some
}

// dropped reports whether an OS is in earlier toolkits, and in none of the last major release
// before that: its repository may be that of another OS, too.
func (f *Found) dropped(source, cuda, os string) bool {
	last := 0 // major release before cuda
	latest := map[string]int{}
	for _, t := range f.toolkits[source] { // oldest first
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

// pins returns the newest version of every pin that all packages of the pin have. What is not there
// may come, so it is "unsourced": "none" is only what an era says, of a pin that its like has not had.
func (f *Found) pins(cuda string, system System, had map[string]bool) map[string]string {
	all := map[string]string{}
	for _, c := range f.catalog.Components(cuda, system.OS, system.Platform) {
		if c.Value == recipes.PinNone && !had[c.Pin] {
			all[c.Pin] = recipes.PinNone
		}
	}
	for pin, versions := range f.candidates(cuda, system, "") {
		switch {
		case pin == "version":
		case len(versions) > 0:
			all[pin] = slices.MaxFunc(versions, compat.Compare)
		case all[pin] == "":
			all[pin] = recipes.PinUnsourced
		}
	}
	return all
}

// had are the pins that any toolkit of the last major release up to that one has.
func (f *Found) had(source, cuda string) (pins map[string]bool) {
	last := 0
	for _, t := range f.toolkits[source] { // oldest first
		if compat.Compare(t.Version, cuda) >= 0 {
			break
		}
		if major := compat.Major(t.Version); major != last {
			last, pins = major, map[string]bool{}
		}
		f.components(t, func(_ System, c recipes.Component, _ bool) {
			pins[c.Pin] = pins[c.Pin] || c.Value != recipes.PinNone
		})
	}
	return pins
}
