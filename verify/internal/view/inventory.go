// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
)

// Package is one that a container sees as installed.
type Package struct {
	pkgdb.Package

	Of       pkgdb.Manager
	Database string // that lists it, a path
	Layer    int    // the first that has it so
}

// inventory is what the layers of an image list.
type inventory struct {
	*layers

	lists  []layer.Inventory
	listed []map[string]map[string]bool // for each layer, by database: the packages it has
}

// Inventory returns what a container sees as installed, in no order, and which distribution it says it is. It is an
// error if the layers' records do not tell.
func Inventory(facts []*layer.Facts) ([]Package, pkgdb.Release, error) {
	if len(facts) == 0 {
		return nil, pkgdb.Release{}, nil
	}
	v, room := inventory{layers: newLayers(facts)}, layer.ListsRoom{}
	for i, f := range facts {
		list, err := f.Inventory(&room)
		switch {
		case err != nil:
			return nil, pkgdb.Release{}, fmt.Errorf("layer %d: %w", i, err)
		case list.Over:
			return nil, pkgdb.Release{}, fmt.Errorf("layer %d, or all up to it, lists more packages than are kept", i)
		case !f.Complete():
			return nil, pkgdb.Release{}, fmt.Errorf("layer %d was not understood", i)
		}
		v.lists, v.listed = append(v.lists, list), append(v.listed, index(list))
	}
	for p := range v.databases().reached {
		if v.paths.has(p) && !slices.Contains(pkgdb.RPMFiles, path.Base(p)) {
			return nil, pkgdb.Release{}, fmt.Errorf("a link leads to a package record that lies elsewhere, at /%s", p)
		}
	}
	return v.installed(), v.release(), nil
}

// key is equal for packages that are.
func key(p pkgdb.Package) string {
	return strings.Join(append([]string{p.Name, p.Version, p.Arch, p.Source}, p.Licenses...), "\x00")
}

func index(list layer.Inventory) map[string]map[string]bool {
	at := map[string]map[string]bool{}
	for _, db := range list.Databases {
		has := map[string]bool{}
		for _, p := range db.Packages {
			has[key(p)] = true
		}
		at[db.Path] = has
	}
	return at
}

// installed goes through the databases that no layer above hides. Of two entries of a layer at one path, the last counts.
func (v *inventory) installed() (all []Package) {
	for i, list := range v.lists {
		last := map[string]layer.Database{}
		for _, db := range list.Databases {
			last[db.Path] = db
		}
		for _, name := range slices.Sorted(maps.Keys(last)) {
			if v.hider(i, name) < len(v.facts) {
				continue
			}
			for _, p := range last[name].Packages {
				is := Package{p, last[name].Of, name, v.since(i, name, key(p))}
				if root, _, ok := strings.Cut(name, "var/lib/dpkg/"); ok && root == "" {
					is.Licenses = v.licenses(p.Name)
				}
				all = append(all, is)
			}
		}
	}
	return all
}

// since returns the first layer from which on up to i each copy of a database has a package.
func (v *inventory) since(i int, database, p string) int {
	for {
		below := v.recordBelow(i, database)
		if below < 0 || !v.listed[below][database][p] {
			return i
		}
		i = below
	}
}

// licenses are those that a Debian package's own text names.
func (v *inventory) licenses(name string) []string {
	p := v.real(path.Join(pkgdb.CopyrightDir, name, "copyright"))
	if top := v.top(p); top >= 0 {
		return v.lists[top].Licenses[p]
	}
	return nil
}

func (v *inventory) release() pkgdb.Release {
	for _, p := range pkgdb.ReleaseFiles {
		p = v.real(p)
		if top := v.top(p); top >= 0 {
			return v.lists[top].Releases[p]
		}
	}
	return pkgdb.Release{}
}

// maxLinks is how many links a text may be behind.
const maxLinks = 8

// real follows links of a text and of its folder.
func (v *inventory) real(p string) string {
	for range maxLinks {
		before := p
		for _, at := range []string{path.Dir(p), p} {
			if top := v.top(at); top >= 0 && p == before {
				if to := v.lists[top].Links[at]; to != "" {
					p = path.Join(to, strings.TrimPrefix(p, at))
				}
			}
		}
		if p == before {
			break
		}
	}
	return p
}

// top returns the layer whose file a container sees at p, -1 if there is none.
func (v *inventory) top(p string) int {
	if !v.paths.has(p) {
		return -1
	}
	return v.paths.last(layer.Hash(layer.KindFile, p), v.paths.layers)
}
