// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// oldest is the branch from which on it is worth a word that an image does not run, even where no host has it.
const oldest = 535

// failing is why an image does not run on a branch, and what to do.
type failing struct{ why, do string }

// failsOn says which images do not run on driver branches that hosts have, or may have. Images with one reason on the same
// branches are in one item. First come branches on which an image runs with no GPU at all, those that most hosts have before the others.
func (m *maker) failsOn() []Item {
	var watched []int
	for i, d := range m.doc.Drivers {
		if len(m.hosts[d.Branch]) > 0 || d.Ends != nil && !d.Ended || compat.Major(d.Branch) >= oldest {
			watched = append(watched, i)
		}
	}
	var g group
	urgent, models, why := map[string]int{}, map[string][]string{}, map[string]string{}
	for _, img := range m.doc.Images {
		for _, p := range img.Platforms {
			for _, f := range m.fails(img, p, watched) {
				g.add(f.text, Item{State: Warned, Kind: "fails-on", Text: f.text, Do: f.do}, img.ID)
				urgent[f.text] = f.urgent
				switch first, known := why[f.text]; {
				case !known:
					why[f.text] = f.why
				case first != f.why && !strings.HasPrefix(first, "for instance "):
					why[f.text] = "for instance " + first
				}
				for _, model := range f.seen {
					list := models[f.text]
					addTo(&list, model)
					models[f.text] = list
				}
			}
		}
	}
	slices.SortStableFunc(g.items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(urgent[b.Text], urgent[a.Text]), cmp.Compare(len(b.Images), len(a.Images)))
	})
	for i, item := range g.items {
		if why[item.Text] != "" {
			g.items[i].Text += ": " + why[item.Text]
		}
		if seen := models[item.Text]; len(seen) > 0 {
			g.items[i].Text += "; so it was seen on " + list(seen)
		}
	}
	return g.told()
}

// failure is one text of an image; those of several images that are alike but for why stand in one item.
type failure struct {
	text, why, do string
	urgent        int      // more is more urgent
	seen          []string // models of GPUs
}

// fails is on which of the watched columns an image does not run: whole branches by reason, then GPUs by the branches that
// know them and on which others run.
func (m *maker) fails(img Image, p Platform, watched []int) (all []failure) {
	if len(p.Grid) == 0 {
		return nil
	}
	width := len(m.doc.GPUs)
	type stretch struct {
		columns []int
		seen    []string
	}
	whole, reasons := map[failing]*stretch{}, []failing{}
	not, known := make([][]int, width), make([]int, width) // by GPU: columns on which it fails, and how many know it
	why, seen := make([]string, width), make([][]string, width)
	var limited []int
	for _, d := range watched {
		fails, runs := m.column(p, d)
		if m.limits(p, d) {
			limited = append(limited, d)
		}
		if len(fails) > 0 && runs == 0 {
			f := m.reason(p, d, m.doc.Answers[p.Grid[width*d+fails[len(fails)-1]]].Why)
			if whole[f] == nil {
				whole[f] = &stretch{}
				reasons = append(reasons, f)
			}
			whole[f].columns = append(whole[f].columns, d)
			for _, g := range fails {
				m.models(&whole[f].seen, img, p.Grid[width*d+g])
			}
			continue
		}
		for g, at := range p.Grid[width*d : width*(d+1)] {
			if at >= 0 {
				known[g]++
			}
		}
		for _, g := range fails {
			a := m.doc.Answers[p.Grid[width*d+g]]
			if a.How == Disagrees { // it has an item of its own
				continue
			}
			not[g], why[g] = append(not[g], d), a.Why
			m.models(&seen[g], img, p.Grid[width*d+g])
		}
	}
	for _, f := range reasons {
		branches, hosts := m.named(whole[f].columns)
		one := failure{text: "does not run on " + branches, why: f.why, do: f.do, urgent: 3 + 2*hosts, seen: whole[f].seen}
		if f.do != "" { // drivers that are too old: how old is what tells images apart
			one.text, one.why = one.text+": "+f.why, ""
		}
		all = append(all, one)
	}
	if len(limited) > 0 {
		branches, hosts := m.named(limited)
		all = append(all, failure{
			text: "runs on " + branches + " but for functions that are newer than the driver", why: "they fail with error 36", urgent: min(hosts, 2),
		})
	}
	return append(all, m.failingGPUs(not, known, why, seen)...)
}

// failingGPUs puts GPUs that fail on the same branches together.
func (m *maker) failingGPUs(not [][]int, known []int, why []string, seen [][]string) (all []failure) {
	at := map[string]int{}
	var names [][]string
	for g, columns := range not {
		if len(columns) == 0 {
			continue
		}
		branches, _ := m.named(columns)
		if len(columns) == known[g] {
			branches = "any driver that knows them"
		}
		i, there := at[branches]
		if !there {
			i = len(all)
			at[branches] = i
			all, names = append(all, failure{}), append(names, nil)
		}
		names[i] = append(names[i], fmt.Sprintf("%s (%s)", m.doc.GPUs[g].Arch, m.doc.GPUs[g].Name))
		all[i].seen = append(all[i].seen, seen[g]...)
		all[i].urgent = len(all[i].seen)
		all[i].text, all[i].why = "does not run on "+list(names[i])+" with "+branches, why[g]
	}
	return all
}

// column is on which GPUs of a driver an image does not run, and for how many that is not so.
func (m *maker) column(p Platform, driver int) (fails []int, others int) {
	width := len(m.doc.GPUs)
	for g, at := range p.Grid[width*driver : width*(driver+1)] {
		switch {
		case at < 0:
		case m.doc.Answers[at].Runs == "no":
			fails = append(fails, g)
		default:
			others++
		}
	}
	return fails, others
}

// limits reports whether an image runs on a driver without what is newer than that.
func (m *maker) limits(p Platform, driver int) bool {
	width := len(m.doc.GPUs)
	return slices.ContainsFunc(p.Grid[width*driver:width*(driver+1)], func(at int) bool { return at >= 0 && m.doc.Answers[at].Runs == "limited" })
}

// reason is why an image does not run on a whole branch: most often the driver is too old.
func (m *maker) reason(p Platform, driver int, why string) failing {
	if least := m.minDriver(p.Digest); least != "" && compat.Compare(least, m.doc.Drivers[driver].host()) > 0 {
		return failing{why: "driver " + least + " or newer is needed", do: "update the driver of such hosts, or use an image of an older CUDA release there"}
	}
	return failing{why: why}
}

// models adds those of the rows of an answer.
func (m *maker) models(to *[]string, img Image, answer int) {
	for _, row := range m.doc.Answers[answer].Rows {
		addTo(to, img.Rows[row].GPU)
	}
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
