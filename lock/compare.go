// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The kinds of entries.
const (
	RootKind    = "root"
	ListKind    = "list"
	PackageKind = "package"
	ToolKind    = "tool"
)

// Diff is how a lock differs from an older one: what lock update --json prints.
type Diff struct {
	Version int      `json:"version"` // 1
	Changes []Change `json:"changes"` // sorted by system, kind and name; never null
}

// Change is one entry that differs.
type Change struct {
	OS       string `json:"os,omitempty"` // "" of a tool
	Platform string `json:"platform,omitempty"`
	Kind     string `json:"kind"` // root, list, package or tool
	Name     string `json:"name"` // of a package with its architecture, "libc6:amd64"
	Old      string `json:"old,omitempty"`
	New      string `json:"new,omitempty"` // "" of what is not there
}

// String is a line for people.
func (c Change) String() string {
	what := strings.Join(slices.DeleteFunc([]string{c.OS, c.Platform, c.Kind, c.Name}, func(s string) bool { return s == "" }), " ")
	switch {
	case c.Old == "":
		return "+ " + what + " " + c.New
	case c.New == "":
		return "- " + what + " " + c.Old
	}
	return "~ " + what + " " + c.Old + " -> " + c.New
}

// Compare returns how a lock differs from an older one, of which there may be none: nil.
func Compare(old, l *Lock) Diff {
	d := Diff{Version: 1, Changes: []Change{}}
	was, is := old.values(), l.values()
	for key := range was {
		if _, ok := is[key]; !ok {
			is[key] = ""
		}
	}
	for key, now := range is {
		if was[key] != now {
			key.Old, key.New = was[key], now
			d.Changes = append(d.Changes, key)
		}
	}
	slices.SortFunc(d.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.OS, b.OS), cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return d
}

// values are what the lock says, by a change without values. A package that is there in several
// versions has them all in its one.
func (l *Lock) values() map[Change]string {
	all := map[Change]string{}
	if l == nil {
		return all
	}
	for name, version := range l.Tools {
		all[Change{Kind: ToolKind, Name: name}] = version
	}
	for _, r := range l.Roots {
		all[Change{OS: r.OS, Platform: r.Platform, Kind: RootKind}] = r.Digest
		for name, version := range r.Tools {
			all[Change{OS: r.OS, Platform: r.Platform, Kind: ToolKind, Name: name}] = version
		}
	}
	for _, list := range l.Lists {
		all[Change{OS: list.OS, Platform: list.Platform, Kind: ListKind, Name: list.Repository}] = list.Date.UTC().Format("2006-01-02T15:04:05Z") + " sha256:" + list.SHA256[:min(12, len(list.SHA256))]
	}
	for _, p := range l.Packages {
		key := Change{OS: p.OS, Platform: p.Platform, Kind: PackageKind, Name: p.title()}
		all[key] = strings.TrimPrefix(all[key]+", "+p.Version, ", ")
	}
	for _, p := range l.Packages { // another file of the same version
		if key := (Change{OS: p.OS, Platform: p.Platform, Kind: PackageKind, Name: p.title()}); p.SHA256 != "" {
			all[key] += " sha256:" + p.SHA256[:min(12, len(p.SHA256))]
		}
	}
	return all
}

// Index is what package lists have: by name and architecture, "libc6:amd64", for each version the
// sums of its files. Two lists may have one version as two files.
type Index map[string]map[string][]string

// Add adds a package with the sum of its file.
func (x Index) Add(p Package) {
	versions := x[p.title()]
	if versions == nil {
		versions = map[string][]string{}
		x[p.title()] = versions
	}
	if !slices.Contains(versions[p.Version], p.SHA256) {
		versions[p.Version] = append(versions[p.Version], p.SHA256)
	}
}

// Sum is that of a package's file, of the list that was added first; "" if no list has it.
func (x Index) Sum(p Package) string {
	if sums := x[p.title()][p.Version]; len(sums) > 0 {
		return sums[0]
	}
	return ""
}

// Loss is a locked package that cannot be had.
type Loss struct {
	Package

	There []string // the versions that there are instead, sorted; nil if there are none
	Moved bool     // the version is there, as another file
}

// String names it and says what is there.
func (l Loss) String() string {
	text := l.title() + " " + l.Version
	switch {
	case l.Moved:
		return text + " has moved (the same version is another file)"
	case len(l.There) == 0:
		return text + " is gone"
	}
	return fmt.Sprintf("%s is gone (there is %s)", text, strings.Join(l.There, ", "))
}

// Lost returns the locked packages of a system that lists do not have, in order. A package of
// which the lock has no sum is of no list, and not looked for.
func (l *Lock) Lost(s System, have Index) (all []Loss) {
	for _, p := range l.PackagesOf(s) {
		versions := have[p.title()]
		sums, there := versions[p.Version]
		switch {
		case p.SHA256 == "" || slices.Contains(sums, p.SHA256):
		case there:
			all = append(all, Loss{Package: p, Moved: true})
		default:
			all = append(all, Loss{Package: p, There: slices.Sorted(maps.Keys(versions))})
		}
	}
	return all
}

// Stray is a package of an image that the lock does not have.
type Stray struct {
	Package

	Locked []string // the versions that the lock has instead, sorted; nil if none
}

// String names it and says what the lock has.
func (s Stray) String() string {
	text := s.title() + " " + s.Version
	if len(s.Locked) == 0 {
		return text + " (not in the lock)"
	}
	return fmt.Sprintf("%s (the lock has %s)", text, strings.Join(s.Locked, ", "))
}

// Strays returns those of an image's packages that the lock does not have for their system, in order.
func (l *Lock) Strays(packages []Package) (all []Stray) {
	locked := map[System]Index{}
	for _, p := range l.Packages {
		if locked[p.System] == nil {
			locked[p.System] = Index{}
		}
		locked[p.System].Add(p)
	}
	for _, p := range packages {
		versions := locked[p.System][p.title()]
		if _, ok := versions[p.Version]; !ok {
			all = append(all, Stray{p, slices.Sorted(maps.Keys(versions))})
		}
	}
	return all
}
