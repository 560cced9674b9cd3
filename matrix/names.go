// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/recipes"
)

// names is every word that a matrix file may use, by what it stands for.
type names struct {
	os, cuda, platforms, samples []string
	flavors                      []recipes.Flavor
}

func namesOf(c *recipes.Catalog) names {
	return names{os: c.OSNames(), cuda: c.CUDAVersions(), platforms: c.Platforms(), samples: recipes.SampleNames(), flavors: c.Flavors()}
}

// oneOf reads a string that must be one of known; noun says what it stands for.
func (d *decoder) oneOf(noun string, known []string) func(*yaml.Node, string) (word, bool) {
	return func(n *yaml.Node, what string) (word, bool) {
		w, ok := d.str(n, what)
		if ok && !slices.Contains(known, w.text) {
			d.node(n, suggest.Hint(w.text, known), "unknown %s %q", noun, w.text)
			return w, false
		}
		return w, ok
	}
}

// cuda reads a CUDA release. A number without quotes is refused even where its text
// would do: 12.10 is 12.1 to YAML, and every other tool that reads the file
// would see that. The text is checked all the same, to report all there is.
func (d *decoder) cuda(n *yaml.Node, what string) (word, bool) {
	if tag := n.ShortTag(); n.Kind == yaml.ScalarNode && (tag == "!!float" || tag == "!!int") {
		d.node(n, "quote it: \""+n.Value+"\" (YAML reads 12.10 as the number 12.1)",
			"%s: want a string, got the number %s", what, n.Value)
		quoted := *n
		quoted.Tag = "!!str"
		n = &quoted
	}
	return d.oneOf("CUDA release", d.names.cuda)(n, what)
}

// list reads a list of known words and of globs over them ([path.Match]). A glob stands
// for all that it matches, less what the list has already; it must match something.
func (d *decoder) list(n *yaml.Node, what string, known []string, one func(*yaml.Node, string) (word, bool)) []word {
	matching := func(glob string) (found []string) {
		for _, name := range known {
			if matches(glob, name) {
				found = append(found, name)
			}
		}
		return found
	}
	words := d.words(n, what, func(n *yaml.Node, what string) (word, bool) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || !strings.ContainsAny(n.Value, "*?[") {
			return one(n, what)
		}
		if len(matching(n.Value)) == 0 {
			d.node(n, suggest.Hint(n.Value, known), "%s: %q matches nothing", what, n.Value)
			return word{}, false
		}
		return word{text: n.Value, at: n, glob: true}, true
	})
	if words == nil {
		return nil
	}
	all := []word{}
	for _, w := range words {
		if !w.glob {
			all = append(all, w)
			continue
		}
		for _, name := range matching(w.text) {
			if !contains(words, word{text: name}) && !contains(all, word{text: name}) {
				all = append(all, word{name, w.at, true})
			}
		}
	}
	return all
}
