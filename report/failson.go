// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// notRunning begins what a rule says, "does not run on " of what somebody has seen.
const notRunning = "is predicted not to run on "

// failing is why an image does not run on a branch, and what to do.
type failing struct{ why, do string }

// failsOn says which images do not run on driver branches that hosts have, or may have. Images with one reason on the same
// branches are in one item. First come branches on which an image runs with no GPU at all, those that most hosts have before the others.
func (m *maker) failsOn() []Item {
	var g group
	watched := m.watched()
	urgent, models, ids, why := map[string]int{}, map[string][]string{}, map[string][]string{}, map[string]string{}
	for _, img := range m.doc.Images {
		for _, p := range img.Platforms {
			for _, f := range m.fails(img, p, watched) {
				g.add(f.text, Item{State: Noted, Text: f.text, Do: f.do}, img.ID)
				urgent[f.text] = f.urgent
				if f.here { // else nobody is known to have such a host
					g.items[g.at[f.text]].State = Warned
					m.failHere[img.ID] = true
				}
				switch first, known := why[f.text]; {
				case !known:
					why[f.text] = f.why
				case first != f.why && !strings.HasPrefix(first, "for instance "):
					why[f.text] = "for instance " + first
				}
				on, of := models[f.text], ids[f.text]
				for _, model := range f.seen {
					addTo(&on, model)
					addTo(&of, img.ID)
				}
				models[f.text], ids[f.text] = on, of
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
			g.items[i].Text = strings.Replace(g.items[i].Text, notRunning, "does not run on ", 1)
			g.items[i].Text += fmt.Sprintf("; seen on %s with %s", list(seen), who(ids[item.Text]))
		}
	}
	return g.told()
}

// failure is one text of an image; those of several images that are alike but for why stand in one item.
type failure struct {
	text, why, do string
	urgent        int      // more is more urgent
	here          bool     // hosts have it
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
		columns := whole[f].columns
		here := m.haveOne(columns)
		one := failure{text: notRunning + m.named(columns), why: f.why, do: f.do, urgent: 3 + 2*here, here: here > 0, seen: whole[f].seen}
		if f.do != "" { // drivers that are too old: how old is what tells images apart
			one.text, one.why = one.text+": "+f.why, ""
		}
		all = append(all, one)
	}
	if len(limited) > 0 {
		all = append(all, failure{
			text: "is predicted to run on " + m.named(limited) + ", but functions that are newer than the driver fail there", why: "CUDA error 36, cudaErrorCallRequiresNewerDriver",
			do: "update the driver of hosts whose programs call such functions", urgent: min(m.haveOne(limited), 2),
		})
	}
	return append(all, m.failingGPUs(not, known, why, seen)...)
}

// failingGPUs puts GPUs that fail on the same branches together.
func (m *maker) failingGPUs(not [][]int, known []int, why []string, seen [][]string) (all []failure) {
	of := map[string][]int{} // GPUs by branches
	var order []string
	for g, columns := range not {
		if len(columns) == 0 {
			continue
		}
		branches := m.named(columns)
		if len(columns) == known[g] {
			branches = "any driver"
		}
		if of[branches] == nil {
			order = append(order, branches)
		}
		of[branches] = append(of[branches], g)
	}
	for _, branches := range order {
		f := failure{text: notRunning + m.gpuNames(of[branches]) + " with " + branches, do: "if hosts have them, take a newer CUDA release, and compile what is yours for them too, or with PTX"}
		for i, g := range of[branches] {
			// What a file lacks is said of each GPU alike, but for its architecture.
			reason := strings.ReplaceAll(why[g], m.doc.GPUs[g].Arch, "them")
			switch {
			case i == 0:
				f.why = reason
			case f.why != reason:
				f.why = "for instance " + why[of[branches][0]]
			}
			f.seen = append(f.seen, seen[g]...)
		}
		if len(of[branches]) == 1 {
			f.why = why[of[branches][0]]
		}
		f.urgent, f.here = len(f.seen), len(f.seen) > 0
		all = append(all, f)
	}
	return all
}

// gpuNames is "Maxwell (sm_52) and Blackwell (sm_100, sm_120)".
func (m *maker) gpuNames(gpus []int) string {
	var names, words []string
	archs := map[string][]string{}
	for _, g := range gpus {
		addTo(&names, m.doc.GPUs[g].Name)
		archs[m.doc.GPUs[g].Name] = append(archs[m.doc.GPUs[g].Name], m.doc.GPUs[g].Arch)
	}
	for _, name := range names {
		words = append(words, fmt.Sprintf("%s (%s)", name, strings.Join(archs[name], ", ")))
	}
	return list(words)
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
	if old := m.tooOld(p, driver); old != "" {
		return failing{why: old, do: "update the driver of such hosts, or use an image of an older CUDA release there"}
	}
	return failing{why: why}
}

// tooOld says which driver an image needs, "" if that of the branch is not too old for it.
func (m *maker) tooOld(p Platform, driver int) string {
	if least := m.minDriver(p.Digest); least != "" && compat.Compare(least, m.doc.Drivers[driver].host()) > 0 {
		return "driver " + least + " or newer is needed"
	}
	return ""
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
