// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// includes resolves the names of groups inside groups.
type includes struct {
	*spec.File
	byName map[string]group
	names  []string        // sorted
	done   map[string]bool // checked, with everything below
	path   []string        // from the group being checked down to here
}

// checkIncludes reports groups that include an unknown group, the same one twice
// or, over others perhaps, themselves.
func checkIncludes(f *spec.File, groups []group) map[string]group {
	c := &includes{File: f, byName: map[string]group{}, done: map[string]bool{}}
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

func (c *includes) visit(g group) {
	if c.done[g.name] {
		return
	}
	c.path = append(c.path, g.name)
	first := map[string]spec.Word{}
	for _, e := range g.entries {
		if e.Include.Text != "" {
			c.include(e.Include, first)
		}
	}
	c.path = c.path[:len(c.path)-1]
	c.done[g.name] = true
}

func (c *includes) include(w spec.Word, first map[string]spec.Word) {
	from := slices.Index(c.path, w.Text)
	switch f, twice := first[w.Text]; {
	case c.byName[w.Text].name == "":
		c.At(w.Place, suggest.Hint(w.Text, c.names), "unknown group %q", w.Text)
	case twice:
		c.At(w.Place, "remove one of the two", "group %q is included twice, first at line %d", w.Text, f.Line)
	case from >= 0:
		circle := append(slices.Clone(c.path[from:]), w.Text)
		c.At(w.Place, "a group cannot include itself: remove one of these", "circle of groups: %s", strings.Join(circle, " -> "))
	default:
		first[w.Text] = w
		c.visit(c.byName[w.Text])
	}
}

// flatten returns the entries of a group and of those it includes, in order, each
// once however many ways lead to it.
func flatten(byName map[string]group, g group) []*entry {
	var entries []*entry
	seen := map[string]bool{}
	var visit func(group)
	visit = func(g group) {
		if seen[g.name] {
			return
		}
		seen[g.name] = true
		for _, e := range g.entries {
			if e.Include.Text == "" {
				entries = append(entries, e)
			} else {
				visit(byName[e.Include.Text])
			}
		}
	}
	visit(g)
	return entries
}
