// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"cmp"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/recipes"
)

// expandAll multiplies out every entry once and lays the groups over the result.
func expandAll(r *report, catalog *recipes.Catalog, f file) *Matrix {
	byName := checkIncludes(r, f.groups)
	byEntry := map[*entry][]made{}
	for _, g := range f.groups {
		for _, it := range g.items {
			if it.entry != nil {
				byEntry[it.entry] = multiply(r, catalog, f, it.entry)
			}
		}
	}
	m := &Matrix{file: r.file, cells: map[string][]Cell{}, catalog: catalog}
	m.tagging = tagging{image: f.image, aliases: f.tags, places: places(byEntry)}
	twins := &duplicates{report: r, told: map[pair]bool{}}
	for _, g := range f.groups {
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
				if other := first[cell.ID]; other.at == nil || before(m.cuda.at, other.at) {
					first[cell.ID] = place{m.cuda.at, m.version}
				}
			}
		}
	}
	return first
}

func before(a, b *yaml.Node) bool {
	return a.Line < b.Line || a.Line == b.Line && a.Column < b.Column
}

// duplicates finds tags that two pairs of one group claim.
type duplicates struct {
	*report
	told map[pair]bool // reported, in whichever group
}

// collect returns the cells of a group, each pair's together where its first one
// stands, so that parents come before children even if two entries share a pair.
func (d *duplicates) collect(g *group, entries []*entry, byEntry map[*entry][]made) []Cell {
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

func (d *duplicates) tell(g *group, second made, ids []string, first pair) {
	tag, more := "", ""
	for _, cell := range second.cells {
		if cell.ID == ids[0] {
			tag = cell.Tags[0]
		}
	}
	if len(ids) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(ids)-1)
	}
	at := first.cuda.at
	d.node(second.cuda.at, "list CUDA and OS once in a group, or split the flavors and samples between the two entries",
		"duplicate tag %s%s in group %q: first made at %s:%d:%d", tag, more, g.name, d.file, at.Line, at.Column)
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
