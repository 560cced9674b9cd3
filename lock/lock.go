// SPDX-License-Identifier: Apache-2.0

// Package lock is matrix.lock: what the images of a matrix were made from, so exactly that they
// can be made again. It names roots, package lists, packages and tools; whoever has the file and
// a mirror that still has these packages gets the same digests (docs/lock.md).
//
// [Read] and [Lock.Write] are the file, [Lock.Update] puts the state of some systems in the place
// of their old one, [Compare] says what that changes. What a lock is held against is compared by
// [Lock.Lost] (a mirror's lists) and [Lock.Strays] (an image's packages). Nothing here asks
// anybody: package base knows roots and lists, verify the packages of images.
package lock

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// System is an OS on one platform, of which all entries but the tools are.
type System struct {
	OS       string `json:"os"`
	Platform string `json:"platform"` // "linux/amd64"
}

// String is the system in messages.
func (s System) String() string { return s.OS + " " + s.Platform }

func (s System) compare(other System) int {
	return cmp.Or(cmp.Compare(s.OS, other.OS), cmp.Compare(s.Platform, other.Platform))
}

// Lock is the whole file. Its lists are sorted and have nothing twice.
type Lock struct {
	Version int `json:"version"` // 1
	// Tools are the versions of what built the images, by name; several with [ToolSeparator] between.
	Tools    map[string]string `json:"tools"`
	Roots    []Root            `json:"roots"`
	Lists    []List            `json:"lists"`
	Packages []Package         `json:"packages"`

	digest string
}

// ToolSeparator stands between the versions of a tool, if images were built with several.
const ToolSeparator = ", "

// Root is what the images of a system start from.
type Root struct {
	System

	Digest string `json:"digest"`          // of its manifest, "sha256:..."
	Image  string `json:"image,omitempty"` // where a vendor's is pulled; "" of one that was bootstrapped
	Index  string `json:"index"`           // digest of the manifest of the lists, as steps see them
	// Read is when the lists were read: a mirror by date has them at that moment. Zero if nobody has
	// noted it, and of a vendor's.
	Read time.Time `json:"read,omitzero"`
	// Tools are the versions of what bootstrapped it, by package; nil of a vendor's.
	Tools map[string]string `json:"tools,omitempty"`
}

// List is the state of a repository: the file of it that names all others by their sums.
type List struct {
	System

	Repository string    `json:"repository"` // address of the file at its own server, whatever mirror it came from
	Date       time.Time `json:"date"`
	SHA256     string    `json:"sha256"` // 64 hexadecimal digits
}

// Package is one that an image has.
type Package struct {
	System

	Name    string `json:"name"`
	Arch    string `json:"arch,omitempty"` // in the words of its manager
	Version string `json:"version"`        // whole, as the manager compares it: "1:2.3-4"
	// SHA256 is that of its file, "" where no list of the root has it: the guard, and what a vendor's
	// repository has.
	SHA256 string `json:"sha256,omitempty"`
}

func (p Package) compare(other Package) int {
	return cmp.Or(p.System.compare(other.System), cmp.Compare(p.Name, other.Name), cmp.Compare(p.Arch, other.Arch), cmp.Compare(p.Version, other.Version))
}

// title is name and architecture, "libc6:amd64".
func (p Package) title() string {
	if p.Arch == "" {
		return p.Name
	}
	return p.Name + ":" + p.Arch
}

// Digest is that of the file, "sha256:..."; "" of a lock that no file has yet.
func (l *Lock) Digest() string { return l.digest }

// Root returns the root of a system.
func (l *Lock) Root(s System) (Root, bool) {
	i := slices.IndexFunc(l.Roots, func(r Root) bool { return r.System == s })
	if i < 0 {
		return Root{}, false
	}
	return l.Roots[i], true
}

// ListsOf returns the lists of a system.
func (l *Lock) ListsOf(s System) (all []List) {
	for _, list := range l.Lists {
		if list.System == s {
			all = append(all, list)
		}
	}
	return all
}

// PackagesOf returns the packages of a system.
func (l *Lock) PackagesOf(s System) (all []Package) {
	for _, p := range l.Packages {
		if p.System == s {
			all = append(all, p)
		}
	}
	return all
}

// Versions are those of a package by its name, sorted; nil if it is not locked, or there is no lock.
func (l *Lock) Versions(s System, name string) (all []string) {
	if l == nil {
		return nil
	}
	for _, p := range l.Packages {
		if p.System == s && p.Name == name && !slices.Contains(all, p.Version) {
			all = append(all, p.Version)
		}
	}
	return all
}

// Date is the moment at which a mirror by date has the lists of some systems, if they were locked
// together: when the last of them were read or, where nobody has noted that, the date of the newest.
// Those of a vendor are on no such mirror, and do not count.
func (l *Lock) Date(systems ...System) (moment time.Time) {
	later := func(t time.Time) {
		if t.After(moment) {
			moment = t
		}
	}
	for _, r := range l.Roots {
		if r.Image != "" || !slices.Contains(systems, r.System) {
			continue
		}
		if later(r.Read); !r.Read.IsZero() {
			continue
		}
		for _, list := range l.ListsOf(r.System) {
			later(list.Date)
		}
	}
	return moment.UTC()
}

// DateFormat is how a mirror by date has a moment in its addresses.
const DateFormat = "20060102T150405Z"

// Update returns the lock after a run: the systems of which fresh has a root are as it says, the
// others as they were in old, which may be nil. Where the root is still the same, lists included,
// packages are added to those of old, which other cells may have. Both are left as they are.
func (l *Lock) Update(fresh *Lock) *Lock {
	result := &Lock{Version: 1, Tools: map[string]string{}}
	if l == nil {
		l = &Lock{}
	}
	maps.Copy(result.Tools, l.Tools)
	maps.Copy(result.Tools, fresh.Tools)
	replaced := func(s System) bool { _, ok := fresh.Root(s); return ok }
	same := func(s System) bool {
		was, _ := l.Root(s)
		now, _ := fresh.Root(s)
		return was.Digest == now.Digest && was.Index == now.Index
	}
	for _, now := range fresh.Roots {
		if was, _ := l.Root(now.System); same(now.System) && !was.Read.IsZero() {
			now.Read = was.Read
		}
		result.Roots = append(result.Roots, now)
	}
	result.Roots = append(result.Roots, slices.DeleteFunc(slices.Clone(l.Roots), func(r Root) bool { return replaced(r.System) })...)
	result.Lists = append(slices.Clone(fresh.Lists), slices.DeleteFunc(slices.Clone(l.Lists), func(r List) bool { return replaced(r.System) })...)
	result.Packages = append(slices.Clone(fresh.Packages), slices.DeleteFunc(slices.Clone(l.Packages), func(p Package) bool { return replaced(p.System) && !same(p.System) })...)
	result.sort()
	return result
}

// sort brings the entries into their order and drops those that are there twice: the first stays.
func (l *Lock) sort() {
	slices.SortFunc(l.Roots, func(a, b Root) int { return a.compare(b.System) })
	slices.SortFunc(l.Lists, func(a, b List) int {
		return cmp.Or(a.compare(b.System), strings.Compare(a.Repository, b.Repository))
	})
	slices.SortStableFunc(l.Packages, Package.compare)
	l.Packages = slices.CompactFunc(l.Packages, func(a, b Package) bool { return a.compare(b) == 0 })
}
