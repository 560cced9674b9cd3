// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// next is what to do about a cell of which its record does not say it.
var next = map[State]string{
	Warned:    "Run 'cudabuild verify' on the image: it says more.",
	Bad:       "Run 'cudabuild matrix' again: it builds what has not passed, and says why it fails.",
	Cancelled: "Run 'cudabuild matrix' again: it goes on where it ended.",
	Skipped:   "It is built when what it waits for has been mended.",
	NotKnown:  "Run 'cudabuild verify' on the image, or 'cudabuild matrix' again.",
}

// cellItems are what keeps images from being well that stands in the record itself, but for what findings say better.
func (m *maker) cellItems() []Item {
	var g group
	for i, c := range m.in.Run.Cells {
		w := worst(m.built(c))
		unbuilt := c.Stage == record.StageBuild || c.Stage == record.StageBootstrap
		if w.state == Good || w.state == Warned && m.found(i, verify.SeverityWarn) || w.state == Bad && !unbuilt && m.found(i, verify.SeverityFail) {
			continue
		}
		do := w.hint
		if do == "" {
			do = next[w.state]
		}
		g.add(string(w.state)+w.why+do, Item{State: w.state, Text: w.why, Do: do}, c.ID)
	}
	for i, item := range g.items {
		if len(item.Images) == 1 {
			g.items[i].Do = strings.Replace(item.Do, "'cudabuild verify' on the image", fmt.Sprintf("'cudabuild verify oci:%s:%s'", m.folder(), item.Images[0]), 1)
		}
	}
	m.since(&g)
	return g.told()
}

// folder is where the images of the run are.
func (m *maker) folder() string {
	for _, s := range m.doc.Sources {
		if s.Kind == "images" {
			return s.Name
		}
	}
	return "out/images"
}

// found reports whether an image has findings of a severity.
func (m *maker) found(image int, severity verify.Severity) bool {
	return slices.ContainsFunc(m.doc.Images[image].Platforms, func(p Platform) bool {
		return slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Severity == string(severity) && f.Rule != "" })
	})
}

// findingItems are the findings of the verifier, by rule.
func (m *maker) findingItems() []Item {
	var g group
	many := map[string]int{}
	for _, img := range m.doc.Images {
		for _, p := range img.Platforms {
			for _, f := range p.Findings {
				if f.Severity != string(verify.SeverityWarn) && f.Severity != string(verify.SeverityFail) || f.Rule == "" {
					continue
				}
				item := Item{State: Warned, Text: "has a warning of the verifier", Do: cmp.Or(f.Fix, next[Warned])}
				if f.Severity == "fail" {
					item.State, item.Text = Bad, "failed verification"
				}
				item.Text += fmt.Sprintf(": %s%s, rule %s", strings.TrimPrefix(f.Path+": ", ": "), f.Detail, f.Rule)
				g.add(f.Rule+f.Severity, item, img.ID)
				many[f.Rule+f.Severity]++
			}
		}
	}
	for reason, n := range many {
		if n > 1 {
			g.items[g.at[reason]].Text += fmt.Sprintf(", and %d more like it", n-1)
		}
	}
	m.since(&g)
	return g.told()
}

// since adds to items about images that failed how many of these had passed in the earlier run.
func (m *maker) since(g *group) {
	for i, item := range g.items {
		passed := 0
		for _, img := range m.doc.Images {
			if slices.Contains(item.Images, img.ID) && img.Before != nil && (img.Before.State == Good || img.Before.State == Warned) {
				passed++
			}
		}
		switch {
		case passed == 0 || !item.State.Worse(Warned):
		case len(item.Images) == 1:
			g.items[i].Text += "; in the earlier run it passed"
		default:
			g.items[i].Text += fmt.Sprintf("; in the earlier run %d passed", passed)
		}
	}
}

// rowItems are what GPUs showed and nobody had predicted.
func (m *maker) rowItems() []Item {
	var g group
	for i := range m.rows {
		for _, f := range m.shown(i) {
			g.fault(f, m.in.Run.Cells[i].ID)
		}
	}
	return g.told()
}

// slowerItems are images with figures beyond their limit.
func (m *maker) slowerItems() []Item {
	var g group
	for _, t := range m.doc.Trends {
		if t.slower() {
			g.fault(t.fault(), t.Image)
		}
	}
	return g.told()
}

// sourceNames are what kinds of sources are in a sentence.
var sourceNames = map[string]string{"run": "The record", "images": "The folder of images", "ledger": "The ledger", "registry": "The repository", "since": "The earlier record"}

func (m *maker) sourceItems() (all []Item) {
	for _, s := range m.doc.Sources {
		if s.Problem != "" {
			all = append(all, Item{
				State: NotKnown, Text: fmt.Sprintf("%s %s could not be read whole: %s.", sourceNames[s.Kind], s.Name, s.Problem),
				Do: strings.TrimSpace(sentence(s.Do) + " Make the report again when it can be read: what could not be read is missing here."), Images: []string{},
			})
		}
	}
	return all
}
