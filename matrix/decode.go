// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/recipes"
)

// word is a string of the file and where it stands.
type word struct {
	text string
	at   *yaml.Node
	glob bool // one of those that a glob there stands for
}

// decoder reads nodes into words, reporting what does not fit and going on.
type decoder struct {
	*report
	names names
}

func newDecoder(r *report, catalog *recipes.Catalog) *decoder {
	return &decoder{report: r, names: namesOf(catalog)}
}

func (r *report) node(n *yaml.Node, hint, format string, args ...any) {
	r.at(n.Line, n.Column, hint, format, args...)
}

// field is a key of a mapping and what reads its value.
type field struct {
	key      string
	required bool
	read     func(*yaml.Node)
}

// mapping reads the keys of n, in the order of the file. It reports keys that are
// unknown, there twice, or missing; what names the mapping in messages.
func (d *decoder) mapping(n *yaml.Node, what string, fields ...field) {
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	seen := map[string]*yaml.Node{}
	d.pairs(n, what, func(key, value *yaml.Node) {
		i := slices.Index(known, key.Value)
		if i < 0 {
			d.node(key, suggest.Hint(key.Value, known), "unknown key %q in %s", key.Value, what)
			return
		}
		seen[key.Value] = key
		fields[i].read(value)
	})
	if n.Kind != yaml.MappingNode {
		return
	}
	for _, f := range fields {
		if f.required && seen[f.key] == nil {
			d.node(n, "known keys: "+strings.Join(known, ", "), "missing key %q in %s", f.key, what)
		}
	}
}

// pairs calls each for every key of a mapping, a second use of a key excepted.
func (d *decoder) pairs(n *yaml.Node, what string, each func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.node(n, "", "%s: want a mapping, got %s", what, kind(n))
		return
	}
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if _, ok := d.str(key, "a key of "+what); !ok {
			continue
		}
		if f := first[key.Value]; f != nil {
			d.node(key, "keep one of the two", "duplicate key %q in %s: first at line %d", key.Value, what, f.Line)
			continue
		}
		first[key.Value] = key
		each(key, value)
	}
}

// str reads a string; ok is false after a problem.
func (d *decoder) str(n *yaml.Node, what string) (w word, ok bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		hint := ""
		if n.Kind == yaml.ScalarNode && slices.Contains([]string{"!!int", "!!float", "!!bool", "!!timestamp"}, n.ShortTag()) {
			hint = fmt.Sprintf("quote it: %q", n.Value)
		}
		d.node(n, hint, "%s: want a string, got %s", what, kind(n))
		return word{}, false
	}
	return word{text: n.Value, at: n}, true
}

// words reads a list of different strings with one, in the order of the file. It
// returns nil for what is no list, and leaves out what it reports.
func (d *decoder) words(n *yaml.Node, what string, one func(*yaml.Node, string) (word, bool)) []word {
	if n.Kind != yaml.SequenceNode {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.Value != "" {
			hint = fmt.Sprintf("write [%s]", literal(n))
		}
		d.node(n, hint, "%s: want a list, got %s", what, kind(n))
		return nil
	}
	list := []word{}
	first := map[string]*yaml.Node{}
	for _, item := range n.Content {
		w, ok := one(item, what)
		switch f := first[w.text]; {
		case !ok:
		case f != nil:
			d.node(item, "remove one of the two", "%s: %q is listed twice, first at line %d", what, w.text, f.Line)
		default:
			first[w.text] = item
			list = append(list, w)
		}
	}
	return list
}

// literal returns a scalar as YAML would have it in a list of strings.
func literal(n *yaml.Node) string {
	if n.ShortTag() == "!!str" && n.Style == 0 {
		return n.Value
	}
	return fmt.Sprintf("%q", n.Value)
}

// kind says what a node is, for "want X, got Y".
func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "nothing"
	case n.ShortTag() == "!!int" || n.ShortTag() == "!!float":
		return "the number " + n.Value
	case n.ShortTag() == "!!str":
		return fmt.Sprintf("the string %q", n.Value)
	}
	return fmt.Sprintf("%q, which YAML reads as %s", n.Value, strings.TrimPrefix(n.ShortTag(), "!!"))
}
