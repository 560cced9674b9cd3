// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"fmt"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"
)

// groupName keeps names usable in file names, flags and job names.
var groupName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// entry makes every pair of its lists, less the excluded ones.
type entry struct {
	at       *yaml.Node
	os, cuda []word
	lists
	excludes []pair
}

// pair is an OS and a CUDA release by their words in the file.
type pair struct{ os, cuda word }

func (p pair) same(q pair) bool { return p.os.text == q.os.text && p.cuda.text == q.cuda.text }

func (d *decoder) groups(n *yaml.Node) []*group {
	groups := []*group{}
	d.pairs(n, "groups", func(key, value *yaml.Node) {
		if !groupName.MatchString(key.Value) {
			d.node(key, "lower-case letters, digits and . _ -, 64 at most", "%q is not a name for a group", key.Value)
		}
		groups = append(groups, &group{key.Value, key, d.items(value, key.Value)})
	})
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		d.node(n, "add a group: default: [...]", "groups: there is none")
	}
	return groups
}

func (d *decoder) items(n *yaml.Node, groupName string) []item {
	what := fmt.Sprintf("group %q", groupName)
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		d.node(n, `a group is a list of entries {os: [...], cuda: ["..."]} and of names of other groups`,
			"%s: want a list with entries, got %s", what, kindOrEmpty(n))
		return nil
	}
	var items []item
	for _, child := range n.Content {
		if child.Kind == yaml.MappingNode {
			items = append(items, item{entry: d.entry(child, "an entry of "+what)})
		} else if w, ok := d.str(child, "an entry of "+what); ok {
			items = append(items, item{include: w})
		}
	}
	return items
}

func kindOrEmpty(n *yaml.Node) string {
	if n.Kind == yaml.SequenceNode {
		return "an empty one"
	}
	return kind(n)
}

func (d *decoder) entry(n *yaml.Node, what string) *entry {
	e := &entry{at: n}
	var exclude *yaml.Node
	d.mapping(n, what, append([]field{
		{"os", true, func(n *yaml.Node) { e.os = d.some(n, "os", d.names.os, d.oneOf("OS", d.names.os)) }},
		{"cuda", true, func(n *yaml.Node) { e.cuda = d.some(n, "cuda", d.names.cuda, d.cuda) }},
		{"exclude", false, func(n *yaml.Node) { exclude = n }},
	}, d.listFields(&e.lists)...)...)
	if exclude != nil { // after os and cuda, wherever it stands
		d.excludes(exclude, e)
	}
	return e
}

func (d *decoder) excludes(n *yaml.Node, e *entry) {
	if n.Kind != yaml.SequenceNode {
		d.node(n, "write exclude: [{os: ..., cuda: ..., reason: ...}]", "exclude: want a list, got %s", kind(n))
		return
	}
	for _, child := range n.Content {
		p, ok := d.exclude(child)
		switch {
		case !ok:
		case slices.ContainsFunc(e.excludes, p.same):
			d.node(child, "remove one of the two", "exclude: CUDA %s on %s is excluded twice", p.cuda.text, p.os.text)
		case !contains(e.os, p.os) || !contains(e.cuda, p.cuda):
			d.node(child, "remove it", "exclude: the entry makes no CUDA %s on %s", p.cuda.text, p.os.text)
		default:
			e.excludes = append(e.excludes, p)
		}
	}
}

// exclude reads one excluded pair; ok is false if it names none.
func (d *decoder) exclude(n *yaml.Node) (p pair, ok bool) {
	var okOS, okCUDA bool
	d.mapping(n, "exclude",
		field{"os", true, func(n *yaml.Node) { p.os, okOS = d.oneOf("OS", d.names.os)(n, "os") }},
		field{"cuda", true, func(n *yaml.Node) { p.cuda, okCUDA = d.cuda(n, "cuda") }},
		field{"reason", true, d.reason},
	)
	return p, okOS && okCUDA
}

func (d *decoder) reason(n *yaml.Node) {
	if w, ok := d.str(n, "reason"); ok && w.text == "" {
		d.node(n, "say why, for whoever wonders later", "reason: it is empty")
	}
}

func contains(words []word, w word) bool {
	return slices.ContainsFunc(words, func(o word) bool { return o.text == w.text })
}
