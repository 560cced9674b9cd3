// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
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

// mostNamed is how many images a word about branches names; more are counted.
const mostNamed = 3

// onBranches is a set of images on the columns where all of them do not run, for one reason if there is a word for it.
type onBranches struct {
	images  []string
	why     string
	columns []int
}

// failsOnBranches says which images do not run on each of the watched branches, whatever the GPU, and of which newer functions
// fail there.
func (m *maker) failsOnBranches() (fails, limited string) {
	var none, some []onBranches
	for _, d := range m.watched() {
		var not, limited, why []string
		for _, img := range m.doc.Images {
			var fails, limits bool
			for _, p := range img.Platforms {
				if len(p.Grid) == 0 {
					continue
				}
				limits = limits || m.limits(p, d)
				if gpus, others := m.column(p, d); len(gpus) > 0 && others == 0 {
					fails = true
					addTo(&why, m.tooOld(p, d))
				}
			}
			switch {
			case fails:
				not = append(not, img.ID)
			case limits:
				limited = append(limited, img.ID)
			}
		}
		if len(why) != 1 {
			why = []string{""}
		}
		none, some = addColumn(none, not, why[0], d), addColumn(some, limited, "", d)
	}
	return m.onColumns(none), m.onColumns(some)
}

// onColumns is "8 images on R470 (on gpu-7); 13.0-base-debian13 on R535 and R550: driver 580.65.06 or newer is needed".
func (m *maker) onColumns(all []onBranches) string {
	var words []string
	for _, on := range all {
		word := names(on.images) + " on " + m.named(on.columns)
		if on.why != "" {
			word += ": " + on.why
		}
		words = append(words, word)
	}
	return strings.Join(words, "; ")
}

// addColumn puts a column to the set of images that it has, if there are some.
func addColumn(all []onBranches, images []string, why string, column int) []onBranches {
	if len(images) == 0 {
		return all
	}
	at := slices.IndexFunc(all, func(on onBranches) bool { return on.why == why && slices.Equal(on.images, images) })
	if at < 0 {
		all = append(all, onBranches{images: images, why: why})
		at = len(all) - 1
	}
	all[at].columns = append(all[at].columns, column)
	return all
}

// names are the IDs of a few images, or how many there are.
func names(ids []string) string {
	if len(ids) <= mostNamed {
		return list(ids)
	}
	return count(len(ids), "image")
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
