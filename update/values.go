// SPDX-License-Identifier: Apache-2.0

package update

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// values are the versions of pins by system, as repositories have them.
type values map[string]map[System]string

func (v values) set(pin string, system System, version string) {
	if v[pin] == nil {
		v[pin] = map[System]string{}
	}
	v[pin][system] = version
}

// of are the versions of all pins for a system.
func (v values) of(system System) map[string]string {
	pins := map[string]string{}
	for pin, versions := range v {
		if version, ok := versions[system]; ok {
			pins[pin] = version
		}
	}
	return pins
}

// said is how a toolkit says values: each number once, and where it is another.
type said struct {
	pins   map[string]string
	differ map[string]map[string]string // by OS, platform, or both
}

// say says the values in as few numbers as it takes: one for all, then one for a platform, for
// an OS, for an OS on a platform.
func (v values) say() said {
	s := said{map[string]string{}, map[string]map[string]string{}}
	for _, pin := range slices.Sorted(maps.Keys(v)) {
		s.pins[pin] = common(v[pin])
		for _, group := range []func(System) string{
			func(system System) string { return system.Platform },
			func(system System) string { return system.OS },
			func(system System) string { return system.OS + " " + system.Platform },
		} {
			s.sayEach(pin, v[pin], group)
		}
	}
	return s
}

// sayEach gives a group of systems a version of its own if that is right for all of them, and
// what was said before is right for none.
func (s said) sayEach(pin string, values map[System]string, group func(System) string) {
	members := map[string][]System{}
	for system := range values {
		members[group(system)] = append(members[group(system)], system)
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		want := values[members[key][0]]
		wrong := !slices.ContainsFunc(members[key], func(system System) bool {
			return values[system] != want || s.version(pin, system) == values[system]
		})
		if !wrong || len(members[key]) == len(values) {
			continue
		}
		if s.differ[key] == nil {
			s.differ[key] = map[string]string{}
		}
		s.differ[key][pin] = want
	}
}

// version is what recipes make of it: the narrowest counts.
func (s said) version(pin string, system System) string {
	for _, key := range []string{system.OS + " " + system.Platform, system.Platform, system.OS} {
		if version := s.differ[key][pin]; version != "" {
			return version
		}
	}
	return s.pins[pin]
}

// common is the version that most systems have, the highest of several.
func common(values map[System]string) string {
	count := map[string]int{}
	for _, version := range values {
		count[version]++
	}
	return slices.MaxFunc(slices.Collect(maps.Keys(count)), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[a], count[b]), compat.Compare(a, b), strings.Compare(a, b))
	})
}
