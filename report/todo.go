// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// kinds are what items are about, the most urgent first: an image that fails where it is used before one that was never tagged.
var kinds = []struct {
	name  string
	items func(*maker) []Item
}{
	{"disagrees", (*maker).rowItems},
	{"finding", (*maker).findingItems},
	{"cell", (*maker).cellItems},
	{"evidence", (*maker).evidenceItems},
	{"slower", (*maker).slowerItems},
	{"source", (*maker).sourceItems},
	{"fails-on", (*maker).failsOn},
	{"changed", (*maker).changedItems},
	{"ends", (*maker).endItems},
	{"stale", (*maker).staleItems},
}

// mostItems of one kind are listed, so that no kind hides the others; the last one says how many more there are.
const mostItems = 8

// todo is what somebody should do or know, the worst first. Images with one reason are in one item, and one problem is one item.
func (m *maker) todo() []Item {
	var all []Item
	worstFirst := func(a, b Item) int { return cmp.Compare(b.State.rank(), a.State.rank()) }
	for _, kind := range kinds {
		items := kind.items(m)
		for i, item := range items {
			items[i].Kind, items[i].Do = cmp.Or(item.Kind, kind.name), sentence(item.Do)
		}
		slices.SortStableFunc(items, worstFirst)
		if more := len(items) - mostItems; more > 0 {
			rest := Item{State: items[mostItems].State, Kind: kind.name, Text: fmt.Sprintf("%d more of this kind, about these images.", more), Images: []string{}}
			for _, i := range items[mostItems:] {
				for _, id := range i.Images {
					addTo(&rest.Images, id)
				}
			}
			items = append(items[:mostItems:mostItems], rest)
		}
		all = append(all, items...)
	}
	slices.SortStableFunc(all, worstFirst)
	return orEmpty(all)
}

// group is items by what they say, in the order of their first images.
type group struct {
	items   []Item
	at      map[string]int
	details map[string][]string // by text, one of each image
}

// add adds an image to the item of a reason, whose text begins with a verb.
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

// mostDetails of an item are told.
const mostDetails = 3

// fault adds a fault of an image. Of several that are alike the first one's detail counts.
func (g *group) fault(f fault, id string) {
	reason := string(f.state) + f.why
	if i, known := g.at[reason]; !known || !slices.Contains(g.items[i].Images, id) {
		if g.details == nil {
			g.details = map[string][]string{}
		}
		details := g.details[f.why]
		addTo(&details, f.detail)
		g.details[f.why] = details
	}
	g.add(reason, Item{State: f.state, Text: f.why, Do: f.hint}, id)
}

// told are the items, each with who they are about before the rest of its text.
func (g *group) told() []Item {
	for i, item := range g.items {
		details := g.details[item.Text]
		if more := len(details) - mostDetails; more > 0 {
			details = append(details[:mostDetails:mostDetails], fmt.Sprintf("%d more", more))
		}
		item.Text += inBrackets(details...)
		does, rest, _ := strings.Cut(strings.TrimSuffix(item.Text, "."), " ")
		g.items[i].Text = who(item.Images) + " " + verb(does, len(item.Images)) + " " + rest + "."
	}
	return g.items
}
