// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"archive/tar"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/tree"
)

// moved is a package that changed.
type moved struct {
	PackageChange

	layers [2]int // of the first of its files that changed, old and new; -1 if there is none
}

// packageChanges compares the packages, and finds the cause of each.
func (p *pair) packageChanges(changes []*change) []PackageChange {
	type key struct{ manager, name, arch string }
	versions := [2]map[key][]string{{}, {}}
	for i, t := range []*tree.Tree{p.old.tree, p.now.tree} {
		for _, is := range t.Packages() {
			k := key{is.Manager, is.Name, is.Arch}
			versions[i][k] = append(versions[i][k], is.Version)
		}
	}
	keys := maps.Clone(versions[0])
	maps.Copy(keys, versions[1])
	var all []*moved
	for k := range keys {
		old, now := strings.Join(versions[0][k], ", "), strings.Join(versions[1][k], ", ")
		if old != now {
			all = append(all, &moved{PackageChange{k.manager, k.name, k.arch, old, now, 0}, [2]int{-1, -1}})
		}
	}
	slices.SortFunc(all, func(a, b *moved) int {
		return cmp.Or(cmp.Compare(a.Manager, b.Manager), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch))
	})
	for _, is := range all {
		if p.packages[is.Name] == nil {
			p.packages[is.Name] = is
		}
	}
	p.layersOf(changes)
	list := []PackageChange{}
	for _, is := range all {
		is.layers = p.packages[is.Name].layers
		is.Cause = p.causeOf(is)
		list = append(list, is.PackageChange)
		if _, known := p.first[is.layers[1]]; !known {
			p.first[is.layers[1]] = is.Name
		}
	}
	return list
}

// layersOf notes in which layers the packages changed.
func (p *pair) layersOf(changes []*change) {
	for _, c := range changes {
		if c.only("time") {
			continue
		}
		for _, owner := range c.owners {
			is := p.packages[owner]
			if is == nil || c.now != nil && c.now.Type == tar.TypeDir {
				continue
			}
			old, now := c.layers()
			is.layers = [2]int{max(is.layers[0], old), max(is.layers[1], now)}
		}
	}
}

// causeOf is the recipe if a step that differs asks for the package, or the package is there or gone in the layer of such a
// step; else it is the package itself.
func (p *pair) causeOf(is *moved) int {
	for i, s := range p.steps {
		in := is.layers[0] >= 0 && p.old.stepAt[is.layers[0]] == i || is.layers[1] >= 0 && p.now.stepAt[is.layers[1]] == i
		if s.names(is.Name) || in && (is.Old == "" || is.New == "") {
			return p.stepCause(i)
		}
	}
	return p.of(Package, fmt.Sprintf("%s %s -> %s", is.Name, cmp.Or(is.Old, "none"), cmp.Or(is.New, "none")), "")
}
