// SPDX-License-Identifier: Apache-2.0

package diff

import (
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

	layers [2]int // those that brought it, old and new; -1 where that is not known
}

// packageChanges compares the packages that both sides know, and finds the cause of each.
func (p *pair) packageChanges() []PackageChange {
	type key struct{ manager, name, arch string }
	versions := [2]map[key][]string{{}, {}}
	var brought [2]map[tree.Owner]int
	for i, t := range p.trees() {
		brought[i] = t.Brought()
		for _, is := range t.Packages() {
			if p.unknown[is.Manager] == "" {
				k := key{is.Manager, is.Name, is.Arch}
				versions[i][k] = append(versions[i][k], is.Version)
			}
		}
	}
	keys := maps.Clone(versions[0])
	maps.Copy(keys, versions[1])
	var all []*moved
	for k := range keys {
		old, now := strings.Join(versions[0][k], ", "), strings.Join(versions[1][k], ", ")
		if old == now {
			continue
		}
		is := &moved{PackageChange{k.manager, k.name, k.arch, old, now, 0}, [2]int{-1, -1}}
		for i, version := range []string{old, now} {
			if layer, ok := brought[i][is.owner()]; ok && version != "" {
				is.layers[i] = layer
			}
		}
		all = append(all, is)
	}
	slices.SortFunc(all, func(a, b *moved) int {
		return cmp.Or(cmp.Compare(a.Manager, b.Manager), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch))
	})
	list := []PackageChange{}
	for _, is := range all {
		is.Cause = p.causeOf(is)
		list = append(list, is.PackageChange)
		if owner := is.owner(); p.packages[owner] == nil {
			p.packages[owner] = is
		}
		for i, layer := range is.layers {
			if p.first[i][layer] == nil {
				p.first[i][layer] = is
			}
		}
	}
	if len(all) > 0 {
		p.firstOfAll = all[0]
	}
	return list
}

func (m *moved) owner() tree.Owner { return tree.Package{Manager: m.Manager, Name: m.Name}.Owner() }

// causeOf is the recipe if the step of the layer that brought the package differs, and asks for it, or brought it where there
// was none, or is gone with it; else it is the package itself.
func (p *pair) causeOf(is *moved) int {
	for i, stepAt := range [][]int{p.old.stepAt, p.now.stepAt} {
		if is.layers[i] < 0 || stepAt[is.layers[i]] < 0 {
			continue
		}
		if s := stepAt[is.layers[i]]; is.Old == "" || is.New == "" || p.steps[s].packages[is.Name] {
			return p.stepCause(s)
		}
	}
	return p.of(Package, fmt.Sprintf("%s %s -> %s", is.Name, cmp.Or(is.Old, "none"), cmp.Or(is.New, "none")), "")
}

// apart are the managers of which each package has a record of its own: that one has no package at all says that all are gone.
var apart = []string{"wheel", "portage", "conda"}

// unknownManagers says why packages of a manager cannot be compared: a record of it is damaged, or one side has no package in a
// database in which the other has some, which is how a lost one looks.
func (p *pair) unknownManagers() map[string]string {
	has, why := [2]map[string]bool{{}, {}}, map[string]string{}
	for i, t := range p.trees() {
		for _, is := range t.Packages() {
			has[i][is.Manager] = true
		}
		for _, d := range t.Damaged {
			if !strings.Contains(why[d.Manager], d.Why) {
				why[d.Manager] = strings.TrimPrefix(why[d.Manager]+"; "+d.Why, "; ")
			}
		}
	}
	for i, side := range []string{"old", "new"} {
		for manager := range has[1-i] {
			if !has[i][manager] && why[manager] == "" && !slices.Contains(apart, manager) {
				why[manager] = fmt.Sprintf("the %s side has no packages of %s", side, manager)
			}
		}
	}
	return why
}
