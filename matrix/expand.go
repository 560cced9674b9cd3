// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
)

// group is a named list of entries.
type group struct {
	name    string
	entries []*entry
}

func groupsOf(f file) []group {
	var groups []group
	for _, name := range ordered(f.Groups) {
		g := group{name: name.Text}
		for i := range f.Groups[name] {
			g.entries = append(g.entries, &f.Groups[name][i])
		}
		groups = append(groups, g)
	}
	return groups
}

// expandAll multiplies out every entry once and lays the groups over the result.
func expandAll(at *spec.File, catalog *recipes.Catalog, f file) *Matrix {
	f.Defaults = f.Defaults.or(builtin())
	groups := groupsOf(f)
	byName := checkIncludes(at, groups)
	byEntry := map[*entry][]made{}
	for _, g := range groups {
		for _, e := range g.entries {
			if e.Include.Text == "" {
				checkExcludes(at, e)
				byEntry[e] = multiply(at, catalog, f, e)
			}
		}
	}
	m := &Matrix{file: at.Path, cells: map[string][]Cell{}, catalog: catalog, compression: cmp.Or(f.Compression, Zstd), builders: texts(f.Builders), publish: f.publishing(at)}
	m.tagging = tagging{image: f.Image, aliases: aliases(at, f.Tags), places: places(byEntry)}
	twins := &duplicates{File: at, told: map[pair]bool{}}
	for _, g := range groups {
		m.groups = append(m.groups, g.name)
		m.cells[g.name] = twins.collect(g, flatten(byName, g), byEntry)
	}
	m.fillGroups()
	return m
}

// places returns where the file first makes each cell.
func places(byEntry map[*entry][]made) map[string]place {
	first := map[string]place{}
	for _, all := range byEntry {
		for _, m := range all {
			for _, cell := range m.cells {
				if other := first[cell.ID]; other.version == "" || m.cuda.Before(other.at) {
					first[cell.ID] = place{m.cuda.Place, m.version}
				}
			}
		}
	}
	return first
}

// duplicates finds tags that two pairs of one group claim.
type duplicates struct {
	*spec.File
	told map[pair]bool // reported, in whichever group
}

// collect returns the cells of a group, each pair's together where its first one
// stands, so that parents come before children even if two entries share a pair.
func (d *duplicates) collect(g group, entries []*entry, byEntry map[*entry][]made) []Cell {
	cells := []Cell{}
	first := map[string]pair{}
	for _, e := range entries {
		for _, m := range byEntry[e] {
			var same []string
			for _, cell := range m.cells {
				if _, ok := first[cell.ID]; ok {
					same = append(same, cell.ID)
					continue
				}
				first[cell.ID] = m.pair
				cells = append(cells, cell)
			}
			if len(same) > 0 && !d.told[m.pair] {
				d.told[m.pair] = true
				d.tell(g, m, same, first[same[0]])
			}
		}
	}
	sortFamilies(cells)
	return cells
}

// sortFamilies sorts by the place of the first cell of the same OS and CUDA, then
// from the lowest flavor up, then samples as they came.
func sortFamilies(cells []Cell) {
	type family struct{ os, cuda string }
	of := func(c Cell) family { return family{c.OS, c.CUDA} }
	place := map[family]int{}
	for i, c := range cells {
		if _, ok := place[of(c)]; !ok {
			place[of(c)] = i
		}
	}
	slices.SortStableFunc(cells, func(a, b Cell) int {
		if a.Sample != "" || b.Sample != "" {
			return cmp.Or(cmp.Compare(place[of(a)], place[of(b)]), cmp.Compare(min(len(a.Sample), 1), min(len(b.Sample), 1)))
		}
		return cmp.Or(cmp.Compare(place[of(a)], place[of(b)]), recipes.CompareFlavors(a.Flavor, b.Flavor))
	})
}

func (d *duplicates) tell(g group, second made, ids []string, first pair) {
	tag, more := "", ""
	for _, cell := range second.cells {
		if cell.ID == ids[0] {
			tag = cell.Tags[0]
		}
	}
	if len(ids) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(ids)-1)
	}
	at := first.cuda
	d.At(second.cuda.Place, "list CUDA and OS once in a group, or split the flavors and samples between the two entries",
		"duplicate tag %s%s in group %q: first made at %s:%d:%d", tag, more, g.name, d.Path, at.Line, at.Column)
}

// fillGroups writes into each cell which groups it belongs to.
func (m *Matrix) fillGroups() {
	of := map[string][]string{}
	names := slices.Sorted(slices.Values(m.groups))
	for _, name := range names {
		for _, cell := range m.cells[name] {
			of[cell.ID] = append(of[cell.ID], name)
		}
	}
	for _, cells := range m.cells {
		for i := range cells {
			cells[i].Groups = of[cells[i].ID]
		}
	}
}
