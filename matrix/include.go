// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/suggest"
)

// includes resolves the names of groups inside groups.
type includes struct {
	*report
	byName map[string]*group
	names  []string        // sorted
	done   map[string]bool // checked, with everything below
	path   []string        // from the group being checked down to here
}

// checkIncludes reports groups that include an unknown group, the same one twice
// or, over others perhaps, themselves.
func checkIncludes(r *report, groups []*group) map[string]*group {
	c := &includes{report: r, byName: map[string]*group{}, done: map[string]bool{}}
	for _, g := range groups {
		c.byName[g.name] = g
		c.names = append(c.names, g.name)
	}
	slices.Sort(c.names)
	for _, g := range groups {
		c.visit(g)
	}
	return c.byName
}

func (c *includes) visit(g *group) {
	if c.done[g.name] {
		return
	}
	c.path = append(c.path, g.name)
	first := map[string]word{}
	for _, it := range g.items {
		if it.entry == nil {
			c.include(it.include, first)
		}
	}
	c.path = c.path[:len(c.path)-1]
	c.done[g.name] = true
}

func (c *includes) include(w word, first map[string]word) {
	from := slices.Index(c.path, w.text)
	switch f, twice := first[w.text]; {
	case c.byName[w.text] == nil:
		c.node(w.at, suggest.Hint(w.text, c.names), "unknown group %q", w.text)
	case twice:
		c.node(w.at, "remove one of the two", "group %q is included twice, first at line %d", w.text, f.at.Line)
	case from >= 0:
		circle := append(slices.Clone(c.path[from:]), w.text)
		c.node(w.at, "a group cannot include itself: remove one of these", "circle of groups: %s", strings.Join(circle, " -> "))
	default:
		first[w.text] = w
		c.visit(c.byName[w.text])
	}
}

// flatten returns the entries of a group and of those it includes, in order, each
// once however many ways lead to it.
func flatten(byName map[string]*group, g *group) []*entry {
	var entries []*entry
	seen := map[string]bool{}
	var visit func(*group)
	visit = func(g *group) {
		if g == nil || seen[g.name] {
			return
		}
		seen[g.name] = true
		for _, it := range g.items {
			if it.entry != nil {
				entries = append(entries, it.entry)
			} else {
				visit(byName[it.include.text])
			}
		}
	}
	visit(g)
	return entries
}
