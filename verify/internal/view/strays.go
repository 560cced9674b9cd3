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

// strays are what links at the places of databases lead to.
type strays struct {
	reached map[string]bool // databases that lie elsewhere, by path
	unread  [][]layer.Hit   // for each layer the links to what was not read as a database
}

// strayLink is a link of a layer that leads from the place of a database to another path.
type strayLink struct{ at, from, to string }

// followRecords follows the links at the places of databases and at folders in front of them.
// One that leads to such a place again needs no look: what is there is read as a database.
func (v *layers) followRecords() strays {
	s := strays{map[string]bool{}, make([][]layer.Hit, len(v.facts))}
	elsewhere := v.elsewhere()
	for i, f := range v.facts {
		im := sync.OnceValue(func() *loader.Image { return v.links(i) })
		for _, l := range append(strayLinks(f.Search.Links), hardRecords(f)...) {
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
func (s *strays) reach(elsewhere []string, p string) bool {
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

// strayLinks returns what symbolic links at the places of databases lead to.
func strayLinks(links []loader.Link) (list []strayLink) {
	for _, l := range links {
		to := layer.LinkTarget(l.Path, l.Target)
		for _, rest := range pkgdb.Behind(l.Path) {
			if !pkgdb.IsPlace(to + rest) {
				list = append(list, strayLink{l.Path, l.Path + rest, to + rest})
			}
		}
	}
	return list
}

// hardRecords are the hard links at the places of databases.
func hardRecords(f *layer.Facts) (list []strayLink) {
	for _, l := range f.Records {
		list = append(list, strayLink{l.Path, "", l.Target})
	}
	return list
}
