// SPDX-License-Identifier: Apache-2.0

package view

import (
	"slices"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// databases are what links at the places of databases lead to.
type databases struct {
	reached map[string]bool // databases that lie elsewhere, by path
	unread  [][]layer.Hit   // for each layer the links to what was not read as a database
}

// recordLink is a link of a layer that leads from the place of a database to another path.
type recordLink struct{ at, from, to string }

// followRecords follows the links at the places of databases and at folders in front of them.
// One that leads to such a place again needs no look: what is there is read as a database.
func (v *layers) followRecords() databases {
	s := databases{map[string]bool{}, make([][]layer.Hit, len(v.facts))}
	elsewhere := v.elsewhere()
	for i, f := range v.facts {
		im := sync.OnceValue(func() *loader.Image { return v.links(i) })
		for _, l := range append(recordLinks(f.Linker.Links), hardRecords(f)...) {
			if l.from != "" && im() != nil {
				l.to, _ = im().Real(l.from)
			}
			if pkgdb.IsPlace(l.to) || s.reach(elsewhere, l.to) || !v.exists(i, l.to) {
				continue
			}
			s.unread[i] = append(s.unread[i], layer.Hit{Rule: rules.Unreadable, Path: l.at, Detail: "a link of a package record leads to /" + l.to + ", which is not known as one"})
		}
	}
	return s
}

// elsewhere returns the paths of databases that lie in no place of one, sorted.
func (v *layers) elsewhere() (paths []string) {
	for _, f := range v.facts {
		for _, set := range f.Packages {
			if set.Aside {
				paths = append(paths, set.Path)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// reach marks the databases at p and below it, and reports whether there are any.
func (s *databases) reach(elsewhere []string, p string) bool {
	found := false
	for at, _ := slices.BinarySearch(elsewhere, p); at < len(elsewhere); at++ {
		one := elsewhere[at]
		if rest, ok := strings.CutPrefix(one, p); !ok || rest != "" && rest[0] != '/' {
			break
		}
		found = true
		if s.reached[one] { // and so are all others of this folder
			break
		}
		s.reached[one] = true
	}
	return found
}

// recordLinks returns what symbolic links at the places of databases lead to.
func recordLinks(links []loader.Link) (list []recordLink) {
	for _, l := range links {
		to := layer.LinkTarget(l.Path, l.Target)
		for _, rest := range pkgdb.Behind(l.Path) {
			if !pkgdb.IsPlace(to + rest) {
				list = append(list, recordLink{l.Path, l.Path + rest, to + rest})
			}
		}
	}
	return list
}

// hardRecords are the hard links at the places of databases.
func hardRecords(f *layer.Facts) (list []recordLink) {
	for _, l := range f.Records {
		list = append(list, recordLink{l.Path, "", l.Target})
	}
	return list
}

// installedAt is one package in one database of one layer.
type installedAt struct {
	layer int
	path  string
	item  layer.Hit
}

func (v *layers) indexPackages() map[installedAt]bool {
	at := map[installedAt]bool{}
	for i, f := range v.facts {
		for _, set := range f.Packages {
			for _, item := range set.Items {
				at[installedAt{i, set.Path, item}] = true
			}
		}
	}
	return at
}

// packageHits returns the driver packages of layer i that the layer below did not
// have, each with the layer in which it is gone.
func (v *layers) packageHits(i int) (hits []layer.Hit, deletedIn []*int) {
	for _, set := range v.facts[i].Packages {
		if !set.Counts() && !v.databases().reached[set.Path] {
			continue
		}
		below := v.recordBelow(i, set.Path)
		for k, h := range set.Hits() {
			item := set.Items[k]
			if v.packages()[installedAt{below, set.Path, item}] {
				continue
			}
			hits = append(hits, h)
			deletedIn = append(deletedIn, v.packageGone(i, set.Path, item))
		}
	}
	return hits, deletedIn
}

// recordBelow returns the topmost layer under i that has the record, -1 if none.
func (v *layers) recordBelow(i int, p string) int {
	below := v.paths.last(layer.Hash(layer.KindFile, p), i)
	if below >= 0 && v.hider(below, p) < i {
		return -1
	}
	return below
}

// packageGone returns the layer in which a record that layer i has is gone or without the
// package.
func (v *layers) packageGone(i int, p string, item layer.Hit) *int {
	for i = v.hider(i, p); i < len(v.facts) && v.packages()[installedAt{i, p, item}]; {
		i = v.hider(i, p)
	}
	return v.layer(i)
}
