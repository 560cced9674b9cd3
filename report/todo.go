// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/attest"
)

// The kinds of items, the most urgent first.
var kinds = []string{"cell", "finding", "disagrees", "fails-on", "slower", "source", "evidence", "changed", "ends", "ended", "stale", "looser"}

// mostItems of one kind are listed, so that no kind hides the others; the last one says how many more there are.
const mostItems = 8

// todo is what somebody should do or know. Images with one reason are in one item.
func (m *maker) todo() []Item {
	var all []Item
	for _, kind := range kinds {
		items := m.items(kind)
		slices.SortStableFunc(items, func(a, b Item) int { return cmp.Compare(b.State.rank(), a.State.rank()) })
		if more := len(items) - mostItems; more > 0 {
			rest := Item{State: items[mostItems].State, Kind: kind, Text: fmt.Sprintf("%d more of this kind, about these images.", more), Images: []string{}}
			for _, i := range items[mostItems:] {
				for _, id := range i.Images {
					addTo(&rest.Images, id)
				}
			}
			items = append(items[:mostItems:mostItems], rest)
		}
		all = append(all, items...)
	}
	return orEmpty(all)
}

func (m *maker) items(kind string) []Item {
	switch kind {
	case "cell":
		return m.cellItems()
	case "finding":
		return m.findingItems()
	case "disagrees":
		return m.rowItems()
	case "fails-on":
		return m.failsOn()
	case "slower":
		return m.slowerItems()
	case "source":
		return m.sourceItems()
	case "evidence":
		return m.evidenceItems()
	case "stale":
		return m.staleItems()
	case "changed":
		return m.changedItems()
	case "ended", "ends":
		return m.endItems(kind == "ended")
	}
	return m.looserItems()
}

// group is items by what they say, in the order of their first images.
type group struct {
	items []Item
	at    map[string]int
}

// add adds an image to the item of a reason; text is made of all images at the end.
func (g *group) add(reason string, item Item, id string) {
	if g.at == nil {
		g.at = map[string]int{}
	}
	i, known := g.at[reason]
	if !known {
		i = len(g.items)
		g.at[reason] = i
		item.Images = []string{}
		g.items = append(g.items, item)
	}
	addTo(&g.items[i].Images, id)
}

// who names the images of an item: one or two by their IDs, more by their number.
func who(ids []string) string {
	if len(ids) == 1 || len(ids) == 2 {
		return list(ids)
	}
	return fmt.Sprintf("%d images", len(ids))
}

// told are the items, each with who they are about before the rest of its text, which begins with a verb.
func (g *group) told() []Item {
	for i, item := range g.items {
		verb, rest, _ := strings.Cut(strings.TrimSuffix(item.Text, "."), " ")
		if many, known := plural[verb]; known && len(item.Images) > 1 {
			verb = many
		}
		g.items[i].Text = who(item.Images) + " " + verb + " " + rest + "."
	}
	return g.items
}

var plural = map[string]string{"has": "have", "was": "were", "is": "are", "does": "do", "stands": "stand", "runs": "run"}

// cellItems are what keeps images from being well that stands in the record itself; what rows and evidence say has items of its own.
func (m *maker) cellItems() []Item {
	var g group
	for _, c := range m.in.Run.Cells {
		if w := worst(m.built(c)); w.state.Worse(Warned) {
			g.add(string(w.state)+w.why+w.hint, Item{State: w.state, Kind: "cell", Text: w.why, Do: w.hint}, c.ID)
		}
	}
	return g.told()
}

func (m *maker) findingItems() []Item {
	var g group
	for _, img := range m.doc.Images {
		for _, p := range img.Platforms {
			for _, f := range p.Findings {
				if f.Severity == "info" || f.Rule == "" {
					continue
				}
				state := Warned
				if f.Severity == "fail" {
					state = Bad
				}
				g.add(f.Rule+f.Severity, Item{State: state, Kind: "finding", Text: fmt.Sprintf("has %s: %s", f.Rule, strings.TrimPrefix(f.Path+": ", ": ")+f.Detail), Do: f.Fix}, img.ID)
			}
		}
	}
	for i, item := range g.items {
		if len(item.Images) > 1 {
			g.items[i].Text += ", among others"
		}
	}
	return g.told()
}

// rowItems are what GPUs showed and nobody had predicted.
func (m *maker) rowItems() []Item {
	var g group
	for i, rows := range m.rows {
		for _, s := range rows {
			state := Warned
			switch {
			case s.against():
				state = Bad
			case !s.counts() || !s.disagrees && !s.otherwise:
				continue
			}
			do := "read the row: the image, or the rule that predicted it, is wrong"
			g.add(string(state)+s.says(), Item{State: state, Kind: "disagrees", Text: "has run otherwise than predicted: " + s.says(), Do: do}, m.in.Run.Cells[i].ID)
		}
	}
	return g.told()
}

func (m *maker) slowerItems() []Item {
	var g group
	for _, t := range m.doc.Trends {
		if last := t.Points[len(t.Points)-1]; t.Worse && last.Now {
			below := "below"
			if t.Better == "lower" {
				below = "above"
			}
			text := fmt.Sprintf("is slower than before: %s is %.6g, %s the limit %.6g (median of %s %.6g)", t.label(), last.Median, below, t.Limit, count(t.Starts, "start"), t.Median)
			g.add(t.Image+text, Item{State: Warned, Kind: "slower", Text: text, Do: "run it again with --repeat 10, and look what changed"}, t.Image)
		}
	}
	return g.told()
}

func (m *maker) sourceItems() (all []Item) {
	for _, s := range m.doc.Sources {
		if s.Problem != "" {
			all = append(all, Item{State: NotKnown, Kind: "source", Text: fmt.Sprintf("%s %s could not be read, and is missing here: %s.", s.Kind, s.Name, s.Problem), Images: []string{}})
		}
	}
	return all
}

func (m *maker) evidenceItems() []Item {
	var g group
	details := map[string]string{}
	for _, c := range m.in.Run.Cells {
		for _, f := range m.attached(c) {
			g.add(string(f.state)+f.why, Item{State: f.state, Kind: "evidence", Text: f.why, Do: f.hint}, c.ID)
			details[f.why] = f.says()
		}
	}
	for i, item := range g.items {
		if len(item.Images) == 1 {
			g.items[i].Text = details[item.Text]
		}
	}
	return append(g.told(), m.uncheckedItems()...)
}

// uncheckedItems say, in one item for all images, that no key was given to check signatures of evidence with. That makes no
// image worse: who pushes without a key would have all of them warned for ever. Nothing else claims that evidence is signed.
func (m *maker) uncheckedItems() []Item {
	ids, unsigned := []string{}, 0
	for _, img := range m.doc.Images {
		var none, some bool // are signed, of those that hold
		for _, p := range img.Platforms {
			for _, e := range p.Evidence {
				none, some = none || e.State == string(attest.Unsigned), some || e.State == Unchecked
			}
		}
		switch {
		case m.in.Evidence[img.Digest].Key != "" || !none && !some:
			continue
		case none:
			unsigned++
		}
		ids = append(ids, img.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	text := fmt.Sprintf("Nobody has checked who signed the evidence of %s", who(ids))
	switch {
	case unsigned == len(ids):
		text = fmt.Sprintf("The evidence of %s is not signed", who(ids))
	case unsigned > 0:
		text += fmt.Sprintf("; that of %d is not signed", unsigned)
	}
	return []Item{{State: NotKnown, Kind: "evidence", Text: text + ".", Do: "Give --key and the public key that must have signed it, if somebody has to.", Images: ids}}
}

// staleItems are the images that have rows, none of which counts.
func (m *maker) staleItems() []Item {
	var g group
	for i, rows := range m.rows {
		if len(rows) == 0 || slices.ContainsFunc(rows, seen.counts) {
			continue
		}
		var why []string
		for _, s := range rows {
			addTo(&why, s.row.Discount)
		}
		slices.Sort(why)
		text := "has not been seen on a GPU: there are only rows that do not count (" + strings.Join(why, ", ") + ")"
		g.add(text, Item{State: NotKnown, Kind: "stale", Text: text, Do: "cudabuild gpu --ledger ledger oci:out/images:TAG, on a host with a GPU"}, m.in.Run.Cells[i].ID)
	}
	return g.told()
}

func (m *maker) endItems(ended bool) []Item {
	var all []Item
	for _, e := range m.doc.Ends {
		if e.Ended != ended {
			continue
		}
		item := Item{State: Warned, Kind: "ends", Text: fmt.Sprintf("%s ends on %s, in %s: %s.", e.End.What, e.End.Date, count(e.Days, "day"), m.concerns(e)), Images: e.Images}
		if ended {
			item.Kind, item.Text = "ended", fmt.Sprintf("%s has ended%s: %s.", e.End.What, strings.TrimSuffix(" on "+e.End.Date, " on "), m.concerns(e))
			if m.branchThatEnds(e) == "" {
				item.Do = "leave such images out with --supported; cudabuild retire --ended takes their tags away"
			}
		}
		all = append(all, item)
	}
	return all
}

// concerns says what stands on something that ends.
func (m *maker) concerns(e Ending) string {
	branch := m.branchThatEnds(e)
	switch hosts := len(m.hosts[branch]); {
	case branch == "":
		return "it concerns " + who(e.Images)
	case hosts == 0:
		return "no host here has it"
	case hosts == 1:
		return "1 host here has it"
	default:
		return fmt.Sprintf("%d hosts here have it", hosts)
	}
}

// branchThatEnds is the driver branch whose end it is, "" if it is that of something else.
func (m *maker) branchThatEnds(e Ending) string {
	for _, d := range m.doc.Drivers {
		if d.Ends != nil && *d.Ends == e.End {
			return d.Branch
		}
	}
	return ""
}

func (m *maker) looserItems() []Item {
	var g group
	for _, l := range m.doc.Looser {
		branches := "R" + strings.Join(l.Drivers, ", R")
		text := fmt.Sprintf("could ask for less: %s refuses %s, on which the image is predicted to run; %s would do", l.Requires, branches, l.Could)
		g.add(text, Item{State: Good, Kind: "looser", Text: text}, l.Image)
	}
	return g.told()
}
