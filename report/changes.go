// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"

	"github.com/cudabuild/cudabuild/diff"
)

// mostCauses of what changed are named in an item.
const mostCauses = 3

// changedItems say what became of images since an earlier run: one item for each way.
func (m *maker) changedItems() []Item {
	if m.in.Changes == nil {
		return nil
	}
	of := map[diff.State][]string{}
	worse := Item{State: Warned, Kind: "changed", Images: []string{}}
	for _, img := range m.in.Changes.Images {
		list := of[img.State]
		addTo(&list, img.Cell)
		of[img.State] = list
		if img.OldVerdict == "passed" && img.NewVerdict != "passed" && img.State != diff.Removed {
			addTo(&worse.Images, img.Cell)
		}
	}
	since := " since " + m.in.Changes.Old.Name
	var all []Item
	if len(worse.Images) > 0 {
		worse.Text = fmt.Sprintf("%s passed in %s, and no longer.", who(worse.Images), m.in.Changes.Old.Name)
		all = append(all, worse)
	}
	for _, way := range []struct {
		state   diff.State
		reports State
		words   string
	}{
		{diff.Unread, NotKnown, "changed, and what changed in them could not be read"},
		{diff.Changed, Good, "changed" + since + m.causes()},
		{diff.Added, Good, "new" + since},
		{diff.Removed, Good, "gone" + since},
	} {
		ids := of[way.state]
		if len(ids) == 0 {
			continue
		}
		verb := " "
		if way.state == diff.Added || way.state == diff.Removed {
			verb = " " + are(len(ids)) + " "
		}
		all = append(all, Item{State: way.reports, Kind: "changed", Text: who(ids) + verb + way.words + ".", Images: ids})
	}
	return all
}

// causes names the first causes of all changes.
func (m *maker) causes() string {
	var words []string
	for _, c := range m.in.Changes.Causes[:min(len(m.in.Changes.Causes), mostCauses)] {
		words = append(words, c.What)
	}
	if more := len(m.in.Changes.Causes) - len(words); more > 0 {
		words = append(words, fmt.Sprintf("and %d causes more", more))
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}
