// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/diff"
)

// changedItems are what nobody can tell, or may not know: what else changed stands in a section of its own, and what got worse is
// told with what is wrong.
func (m *maker) changedItems() (all []Item) {
	if gone := m.gone(); len(gone) > 0 {
		named := gone
		if more := len(gone) - 4; more > 0 {
			named = append(gone[:4:4], fmt.Sprintf("%d more", more))
		}
		text := fmt.Sprintf("%s of the earlier run %s not in this one: %s", count(len(gone), "image"), verb("is", len(gone)), list(named))
		all = append(all, Item{State: Warned, Text: text + ".", Do: "if they are not meant to go, add the record of the job that builds them", Images: []string{}})
	}
	if m.in.Changes == nil {
		return all
	}
	var ids []string
	for _, img := range m.in.Changes.Images {
		if img.State == diff.Unread {
			addTo(&ids, img.Cell)
		}
	}
	if len(ids) == 0 {
		return all
	}
	return append(all, Item{
		State: Noted, Text: fmt.Sprintf("%s changed since %s, and what changed could not be read.", who(ids), m.in.Changes.Old.Name), Images: ids,
		Do: "keep the folder of images of the earlier run beside its record",
	})
}

// gone are the images of the earlier run that are not in this one.
func (m *maker) gone() (ids []string) {
	if m.in.Before == nil {
		return nil
	}
	for _, c := range m.in.Before.Cells {
		if !slices.ContainsFunc(m.doc.Images, func(img Image) bool { return img.ID == c.ID }) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// staleItems are the images that have rows, none of which counts.
func (m *maker) staleItems() []Item {
	var g group
	for i, rows := range m.rows {
		if m.doc.Images[i].Digest == "" || len(rows) == 0 || slices.ContainsFunc(rows, seen.counts) {
			continue
		}
		var why []string
		for _, s := range rows {
			addTo(&why, s.row.Discount)
		}
		slices.Sort(why)
		text := fmt.Sprintf("has not been seen on a GPU: no row of it counts (%s)", strings.Join(why, ", "))
		g.add(text, Item{State: Noted, Text: text}, m.in.Run.Cells[i].ID)
	}
	all := g.told()
	for i, item := range all {
		tag := "TAG"
		if len(item.Images) == 1 {
			tag = item.Images[0]
		}
		all[i].Do = fmt.Sprintf("Run 'cudabuild gpu --ledger ledger oci:%s:%s' on a host with a GPU.", m.folder(), tag)
	}
	return all
}

// endItems are what ends within 90 days, and then what has ended.
func (m *maker) endItems() []Item {
	var all []Item
	for _, e := range m.doc.Ends {
		if e.Days > soon {
			continue
		}
		branch, what := m.branchThatEnds(e) != "", strings.ToUpper(e.End.What[:min(1, len(e.End.What))])+e.End.What[min(1, len(e.End.What)):]
		item := Item{State: Noted, Kind: "ends", Text: fmt.Sprintf("%s ends on %s, in %s", what, e.End.Date, count(e.Days, "day")), Images: e.Images}
		if e.Days == 0 {
			item.Text = what + " ends today"
		}
		if e.Ended {
			item.Kind, item.Text = "ended", fmt.Sprintf("%s has ended%s", what, strings.TrimSuffix(" on "+e.End.Date, " on "))
		}
		switch {
		case branch && len(e.Hosts) == 0:
			item.Text += ": no host is known here that has it."
		case branch:
			item.Text += ": " + hosts(e.Hosts) + " " + verb("has", len(e.Hosts)) + " it."
			item.Do = "update the driver there"
		case e.Ended:
			item.Text += ": it concerns " + who(e.Images) + "."
			item.Do = "'cudabuild matrix --supported' leaves such images out, 'cudabuild retire --ended' takes their tags away"
		default:
			item.Text += ": it concerns " + who(e.Images) + "."
			item.Do = "move those who use them to a newer release"
		}
		all = append(all, item)
	}
	return all
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
