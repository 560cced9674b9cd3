// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"archive/tar"
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
)

// Package is one installed package.
type Package struct{ Manager, Name, Arch, Version string }

func comparePackages(a, b Package) int {
	return cmp.Or(cmp.Compare(a.Manager, b.Manager), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Version, b.Version))
}

// Damage is why packages of a manager are not known.
type Damage struct{ Manager, Why string }

// Owner is a package by its name, in whatever version.
type Owner struct{ Manager, Name string }

// Owner is the package in whatever version.
func (p Package) Owner() Owner { return ownerOf(p.Manager, p.Name) }

var separators = regexp.MustCompile(`[-_.]+`)

// ownerOf writes names of Python packages as pip compares them: the one of a folder has other separators than that in its METADATA.
func ownerOf(manager, name string) Owner {
	if manager == string(pkgdb.Wheel) {
		name = strings.ToLower(separators.ReplaceAllString(name, "-"))
	}
	return Owner{manager, name}
}

// placed is a record as a layer has it.
type placed struct {
	*record

	layer int
}

// visible reports whether a container sees a record.
func (t *Tree) visible(r placed) bool {
	_, at := t.lookup(r.path, false)
	return at != nil && at.Layer == r.layer
}

// Packages are what the records that a container sees call installed, sorted; one may be in several versions.
func (t *Tree) Packages() (all []Package) {
	for _, r := range t.records {
		if t.visible(r) {
			all = append(all, r.installed...)
		}
	}
	slices.SortFunc(all, comparePackages)
	return slices.Compact(all)
}

// Owners returns the packages that own each path, by the records that a container sees.
func (t *Tree) Owners() map[string][]Owner {
	owners := map[string][]Owner{}
	t.owned(func(_ placed, is Owner, path string, _ *folder) {
		if !slices.Contains(owners[path], is) {
			owners[path] = append(owners[path], is)
		}
	})
	return owners
}

func (t *Tree) owned(each func(by placed, is Owner, path string, at *folder)) {
	diverted := map[string]ownership{} // where dpkg puts a file, but for that of one package
	for _, r := range t.records {
		if len(r.diverted) > 0 && t.visible(r) {
			maps.Copy(diverted, r.diverted)
		}
	}
	for _, r := range t.records {
		if !t.visible(r) {
			continue
		}
		for _, o := range r.owned {
			if to, ok := diverted[o.file]; ok && to.pkg != o.pkg {
				o.file = to.file
			}
			if clean, at := t.lookup(o.file, false); at != nil {
				each(r, ownerOf(r.of, o.pkg), clean, at)
			}
		}
	}
}

// Brought returns the layer that brought each package: that of the record which lists its files alone (dpkg's), else that of
// most of its files, else that of the record which is of it alone (a wheel's). Of other packages it knows nothing.
func (t *Tree) Brought() map[Owner]int {
	files, lists := map[Owner]map[int]int{}, map[Owner]int{}
	t.owned(func(by placed, is Owner, _ string, at *folder) {
		if len(by.installed) == 0 {
			lists[is] = by.layer
		}
		if at.Type != tar.TypeDir {
			if files[is] == nil {
				files[is] = map[int]int{}
			}
			files[is][at.Layer]++
		}
	})
	all := map[Owner]int{}
	for _, r := range t.records {
		if len(r.installed) == 1 && t.visible(r) {
			all[r.installed[0].Owner()] = r.layer
		}
	}
	for is, in := range files {
		most := -1
		for layer, n := range in {
			if most < 0 || n > in[most] || n == in[most] && layer > most {
				most = layer
			}
		}
		all[is] = most
	}
	maps.Copy(all, lists)
	return all
}
