// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/recipes"
)

// file is matrix.yaml as it stands: every word known, nothing multiplied out.
type file struct {
	image    string
	compat   bool // cuda-compat is allowed
	defaults lists
	groups   []*group
	tags     []alias
}

// lists is what an entry has or takes from defaults; nil where it is not said.
type lists struct {
	platforms, flavors, samples []word
	partial                     bool // a problem left something out
}

type group struct {
	name  string
	at    *yaml.Node
	items []item
}

// item of a group is an entry, or another group by its name.
type item struct {
	include word
	entry   *entry // nil for an include
}

// version1 is the only version of the format.
const version1 = "1"

// file reads the top of the format. A file of another version is not looked into:
// what it says may well be right there.
func (d *decoder) file(root *yaml.Node) file {
	var f file
	if other := otherVersion(root); other != nil {
		d.node(other, "this cudabuild reads version "+version1, "version %s is not supported", other.Value)
		return f
	}
	d.mapping(root, "the matrix",
		field{"version", true, d.version},
		field{"image", true, func(n *yaml.Node) { f.image = d.image(n) }},
		field{"compat", false, func(n *yaml.Node) { f.compat = d.compat(n) }},
		field{"defaults", false, func(n *yaml.Node) { f.defaults = d.lists(n) }},
		field{"groups", true, func(n *yaml.Node) { f.groups = d.groups(n) }},
		field{"tags", false, func(n *yaml.Node) { f.tags = d.tags(n) }},
	)
	f.defaults = f.defaults.or(builtin())
	return f
}

// builtin is what holds where neither an entry nor defaults says otherwise.
func builtin() lists {
	l := lists{platforms: []word{{text: "linux/amd64"}}, samples: []word{}}
	for _, f := range recipes.Flavors() {
		l.flavors = append(l.flavors, word{text: string(f)})
	}
	return l
}

// or returns l with what it does not say taken from other.
func (l lists) or(other lists) lists {
	l.partial = l.partial || other.partial
	if l.platforms == nil {
		l.platforms = other.platforms
	}
	if l.flavors == nil {
		l.flavors = other.flavors
	}
	if l.samples == nil {
		l.samples = other.samples
	}
	return l
}

// otherVersion returns the value of version if it is an integer but not ours.
func otherVersion(root *yaml.Node) *yaml.Node {
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		if v := root.Content[i+1]; root.Content[i].Value == "version" && v.ShortTag() == "!!int" && v.Value != version1 {
			return v
		}
	}
	return nil
}

func (d *decoder) version(n *yaml.Node) {
	if n.ShortTag() != "!!int" {
		d.node(n, "write version: "+version1, "version: want the number %s, got %s", version1, kind(n))
	}
}

func (d *decoder) lists(n *yaml.Node) lists {
	var l lists
	d.mapping(n, "defaults", d.listFields(&l)...)
	return l
}

// listFields reads the keys that defaults and entries share.
func (d *decoder) listFields(l *lists) []field {
	whole := func(n *yaml.Node, list []word) []word {
		l.partial = l.partial || list == nil || len(list) < len(n.Content)
		return list
	}
	var flavors []string
	for _, f := range d.names.flavors {
		flavors = append(flavors, string(f))
	}
	platforms, samples := d.names.platforms, d.names.samples
	platform, flavor, sample := d.oneOf("platform", platforms), d.oneOf("flavor", flavors), d.oneOf("sample", samples)
	return []field{
		{"platforms", false, func(n *yaml.Node) { l.platforms = whole(n, d.some(n, "platforms", platforms, platform)) }},
		{"flavors", false, func(n *yaml.Node) { l.flavors = whole(n, d.list(n, "flavors", flavors, flavor)) }},
		{"samples", false, func(n *yaml.Node) { l.samples = whole(n, d.list(n, "samples", samples, sample)) }},
	}
}

// some is list for one that must not be empty.
func (d *decoder) some(n *yaml.Node, what string, known []string, one func(*yaml.Node, string) (word, bool)) []word {
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		d.node(n, "", "%s: the list is empty", what)
	}
	return d.list(n, what, known, one)
}

var compatWords = []string{"forbid", "allow"}

// compat reads whether images may have cuda-compat.
func (d *decoder) compat(n *yaml.Node) bool {
	w, _ := d.oneOf("word for compat", compatWords)(n, "compat")
	return w.text == "allow"
}
