// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/compat"
)

// oldest is the branch from which on it is worth a word that an image does not run, even where no host has it.
const oldest = 535

// failing is on what an image does not run, and why.
type failing struct {
	why  string
	do   string
	gpus string // "" is all that these branches know
	seen string // models on which that was seen
}

// failsOn says which images do not run on driver branches that hosts have, or may have. Images with one reason on the same
// branches are in one item; those that concern hosts come first.
func (m *maker) failsOn() []Item {
	var watched []int
	for i, d := range m.doc.Drivers {
		if len(m.hosts[d.Branch]) > 0 || d.Ends != nil && !d.Ended || compat.Major(d.Branch) >= oldest {
			watched = append(watched, i)
		}
	}
	var g group
	concerned := map[string]int{} // hosts, by text
	for _, img := range m.doc.Images {
		for _, p := range img.Platforms {
			var order []failing
			on := map[failing][]int{}
			for _, d := range watched {
				for _, f := range m.fails(img, p, d) {
					if on[f] == nil {
						order = append(order, f)
					}
					on[f] = append(on[f], d)
				}
			}
			for _, f := range order {
				branches, hosts := m.named(on[f])
				if f.gpus != "" {
					branches = f.gpus + " with " + branches
				}
				text := "does not run on " + branches + f.seen + ": " + f.why
				concerned[text] = hosts
				g.add(text, Item{State: Warned, Kind: "fails-on", Text: text, Do: f.do}, img.ID)
			}
		}
	}
	slices.SortStableFunc(g.items, func(a, b Item) int { return cmp.Compare(concerned[b.Text], concerned[a.Text]) })
	return g.told()
}

// fails is on which GPUs of a driver's column an image does not run: all in one where that is the driver's doing.
func (m *maker) fails(img Image, p Platform, driver int) []failing {
	width := len(m.doc.GPUs)
	if len(p.Grid) < width*(driver+1) {
		return nil
	}
	var not []int
	others, models, why := 0, []string{}, ""
	for g, at := range p.Grid[width*driver : width*(driver+1)] {
		switch {
		case at < 0:
		case m.doc.Answers[at].Runs != "no":
			others++
		default:
			not, why = append(not, g), cmp.Or(m.doc.Answers[at].Why, why)
			for _, row := range m.doc.Answers[at].Rows {
				addTo(&models, img.Rows[row].GPU)
				if m.doc.Answers[at].How == Disagrees && img.Rows[row].Result != "pass" {
					why = cmp.Or(img.Rows[row].Reason, img.Rows[row].CUDAError, img.Rows[row].Result)
				}
			}
		}
	}
	if len(not) == 0 {
		return nil
	}
	f := failing{why: why}
	if len(models) > 0 {
		f.seen = ", as seen on " + list(models)
	}
	if others > 0 {
		var names []string
		for _, g := range not {
			names = append(names, fmt.Sprintf("%s (%s)", m.doc.GPUs[g].Arch, m.doc.GPUs[g].Name))
		}
		f.gpus = list(names)
		return []failing{f}
	}
	if least := m.minDriver(p.Digest); least != "" && compat.Compare(least, m.doc.Drivers[driver].host()) > 0 {
		f.why, f.do = "needs driver "+least+" or newer", "update the driver of such hosts, or use an image of an older CUDA release there"
	}
	return []failing{f}
}

// minDriver is the oldest driver on which the image of a digest runs with some GPU, "" if nobody knows.
func (m *maker) minDriver(digest string) string {
	if m.oldestDriver == nil {
		m.oldestDriver = map[string]string{}
		for _, c := range m.in.Run.Cells {
			for _, r := range c.Images {
				m.oldestDriver[r.Digest] = m.report(r).Portability.MinDriver
			}
		}
	}
	return m.oldestDriver[digest]
}

// named is "R535 (which 3 hosts here have) and R550" of columns, and how many hosts that are.
func (m *maker) named(drivers []int) (branches string, hosts int) {
	var words []string
	for _, d := range drivers {
		branch := m.doc.Drivers[d].Branch
		word := "R" + branch
		if n := len(m.hosts[branch]); n > 0 {
			hosts += n
			have := "have"
			if n == 1 {
				have = "has"
			}
			word += fmt.Sprintf(" (which %s here %s)", count(n, "host"), have)
		}
		words = append(words, word)
	}
	return list(words), hosts
}
