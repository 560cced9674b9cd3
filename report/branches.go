// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// oldest is the branch from which on it is worth a word that an image does not run, even where no host has it.
const oldest = 535

// watched are the columns that are worth a word: of driver branches that hosts have, or may have.
func (m *maker) watched() (columns []int) {
	for i, d := range m.doc.Drivers {
		if len(d.Hosts) > 0 || d.Ends != nil && !d.Ended || compat.Major(d.Branch) >= oldest {
			columns = append(columns, i)
		}
	}
	return columns
}

// failsOnBranches says how many images do not run on each of the watched branches, whatever the GPU, and of how many newer
// functions fail there.
func (m *maker) failsOnBranches() string {
	none, some := map[int]int{}, map[int]int{}
	for _, d := range m.watched() {
		for _, img := range m.doc.Images {
			var fails, limits bool
			for _, p := range img.Platforms {
				if len(p.Grid) > 0 {
					not, others := m.column(p, d)
					fails, limits = fails || len(not) > 0 && others == 0, limits || m.limits(p, d)
				}
			}
			switch {
			case fails:
				none[d]++
			case limits:
				some[d]++
			}
		}
	}
	bare := func(columns []int) string {
		var names []string
		for _, d := range columns {
			names = append(names, "R"+m.doc.Drivers[d].Branch)
		}
		return list(names)
	}
	words := []string{
		perBranch(none, m.named, "1 image fails on %s", "%d images fail on %s"),
		perBranch(some, bare, "functions newer than the driver fail in 1 image on %s", "functions newer than the driver fail in %d images on %s"),
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), "; ")
}

// perBranch is "8 images fail on R470, 3 on R535 and R550" of numbers by column.
func perBranch(n map[int]int, named func([]int) string, one, many string) string {
	of := map[int][]int{} // columns by number
	for _, d := range slices.Sorted(maps.Keys(n)) {
		of[n[d]] = append(of[n[d]], d)
	}
	numbers := slices.SortedFunc(maps.Keys(of), func(a, b int) int { return cmp.Compare(of[a][0], of[b][0]) })
	var words []string
	for i, number := range numbers {
		branches := named(of[number])
		switch {
		case i > 0:
			words = append(words, fmt.Sprintf("%d on %s", number, branches))
		case number == 1:
			words = append(words, fmt.Sprintf(one, branches))
		default:
			words = append(words, fmt.Sprintf(many, number, branches))
		}
	}
	return strings.Join(words, ", ")
}

// named is "R535 (on gpu-7) and R550" of columns.
func (m *maker) named(columns []int) string {
	var words []string
	for _, d := range columns {
		word := "R" + m.doc.Drivers[d].Branch
		if on := m.doc.Drivers[d].Hosts; len(on) > 0 {
			word += fmt.Sprintf(" (on %s)", hosts(on))
		}
		words = append(words, word)
	}
	return list(words)
}

// haveOne is how many hosts have one of the columns.
func (m *maker) haveOne(columns []int) (n int) {
	for _, d := range columns {
		n += len(m.doc.Drivers[d].Hosts)
	}
	return n
}
