// SPDX-License-Identifier: Apache-2.0

package update

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/recipes"
)

// newToolkit is the file of a new release. Its pins stand in the order of the toolkit
// before it, others behind them.
func (f *Found) newToolkit(r Release) ([]byte, error) {
	said := r.values.say()
	for pin, version := range said.pins {
		if version == r.defaults[pin] {
			delete(said.pins, pin)
		}
	}
	systems := &yaml.Node{Kind: yaml.MappingNode}
	platforms := map[string][]string{}
	for _, system := range r.Systems {
		platforms[system.Platform] = append(platforms[system.Platform], system.OS)
	}
	for _, platform := range slices.Sorted(maps.Keys(platforms)) {
		put := slices.SortedFunc(slices.Values(platforms[platform]), compareNames)
		entry(systems, platform, words(put))
	}
	pins := &yaml.Node{Kind: yaml.MappingNode}
	for _, pin := range f.order(r) {
		if version, ok := said.pins[pin]; ok {
			entry(pins, pin, word(version))
		}
	}
	file := &yaml.Node{Kind: yaml.MappingNode}
	cuda := word(r.CUDA)
	cuda.Style = yaml.DoubleQuotedStyle
	entry(file, "cuda", cuda)
	entry(file, "os", systems)
	entry(file, "pins", pins)
	if len(said.differ) > 0 {
		entry(file, "differ", said.differing())
	}
	index := &yaml.Node{Kind: yaml.MappingNode}
	for _, repository := range f.available.Repositories {
		if repository.Source == r.source && f.uses(r, repository) {
			entry(index, repository.Place, repository.entry(nil))
		}
	}
	entry(file, "index", index)
	return encode(file)
}

// uses reports whether a repository has anything of a new release.
func (f *Found) uses(r Release, repository Repository) bool {
	return slices.ContainsFunc(r.Systems, func(system System) bool {
		return slices.Contains(repository.Systems, system) && slices.ContainsFunc(f.catalog.Components(r.CUDA, system.OS, system.Platform), func(c recipes.Component) bool {
			version := r.CUDA
			if c.Pin != "version" {
				version = r.values[c.Pin][system]
			}
			from := f.available.from(system, c.Package, c.Before+version+c.After)
			return from != nil && from.Place == repository.Place
		})
	})
}

// order is that of the pins of a new toolkit.
func (f *Found) order(r Release) []string {
	var order []string
	for _, t := range f.toolkits[r.source] {
		if compat.Compare(t.Version, r.CUDA) < 0 {
			order = t.Pins
		}
	}
	for _, pin := range r.order {
		if !slices.Contains(order, pin) {
			order = append(slices.Clip(order), pin)
		}
	}
	return order
}

// fillToolkit is the text of a toolkit, as one folder has it, with pins filled in, systems added and the
// repositories that they are from. All else, comments too, is left as it is; what only other
// folders say is not repeated.
func (f *Found) fillToolkit(text []byte, all []Filled, grown []Grown) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	if len(document.Content) == 0 {
		document = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	file := document.Content[0]
	from := map[string][]string{}
	for _, filled := range all {
		if !slices.Contains(from[filled.Place], filled.Pin) {
			from[filled.Place] = append(from[filled.Place], filled.Pin)
		}
	}
	var toolkit recipes.Toolkit
	if len(all) > 0 {
		toolkit = f.open[all[0].File].toolkit
		f.open[all[0].File].write(file, all)
	}
	for _, g := range grown {
		toolkit = g.toolkit
		g.write(file, slices.Concat(slices.Collect(maps.Values(from))...))
		for _, place := range g.places(f.available, f.catalog) {
			if _, named := toolkit.Index[place]; !named {
				from[place] = nil // all pins
			} else if from[place] == nil {
				from[place] = []string{}
			}
		}
	}
	for _, repository := range f.available.Repositories {
		pins, changed := from[repository.Place]
		if repository.Source != toolkit.Source || !changed {
			continue
		}
		if old, named := toolkit.Index[repository.Place]; named && len(old.Pins) == 0 {
			pins = nil // all are from there, as before
		} else {
			pins = slices.Concat(old.Pins, pins)
		}
		entry(below(file, "index"), repository.Place, repository.entry(pins))
	}
	return encode(&document)
}

// write fills pins in.
func (o open) write(file *yaml.Node, all []Filled) {
	versions := values{}
	for _, filled := range all {
		switch {
		case filled.stated:
		case o.mixed[filled.Pin]: // what is said of other systems stays
			entry(differ(file, o.place(filled, all)), filled.Pin, word(filled.Version))
		default:
			versions.set(filled.Pin, filled.System, filled.Version)
		}
	}
	for pin, systems := range o.unsourced {
		for system, version := range systems {
			if versions[pin] != nil { // else nothing is said of it
				versions.set(pin, system, version)
			}
		}
	}
	said := versions.say()
	for _, pin := range slices.Sorted(maps.Keys(said.pins)) {
		if said.pins[pin] == recipes.PinUnsourced { // as before
			continue
		}
		entry(below(file, "pins"), pin, word(said.pins[pin]))
		value(below(file, "pins"), pin).LineComment = "" // it was about the version that nobody gave
	}
	for _, key := range slices.Sorted(maps.Keys(said.differ)) {
		for _, pin := range slices.Sorted(maps.Keys(said.differ[key])) {
			entry(differ(file, key), pin, word(said.differ[key][pin]))
		}
	}
}

// place is the key of differ where a pin that is mixed is filled in: that of the system, or of its OS
// if the toolkit says there that it is unsourced and one version is right for all platforms.
func (o open) place(filled Filled, all []Filled) string {
	both := filled.OS + " " + filled.Platform
	if o.toolkit.Differ[filled.OS][filled.Pin] != recipes.PinUnsourced {
		return both
	}
	for _, platform := range o.toolkit.Systems[filled.OS] {
		same := func(other Filled) bool {
			return other.System == System{filled.OS, platform} && other.Pin == filled.Pin && other.Version == filled.Version
		}
		if !slices.ContainsFunc(all, same) {
			return both
		}
	}
	return filled.OS
}

// differ is the mapping of pins that are others at a place, in one line if it is new.
func differ(file *yaml.Node, key string) *yaml.Node {
	at := file
	for _, step := range []string{"differ", key} {
		if at = below(at, step); len(at.Content) == 0 {
			at.Style = yaml.FlowStyle
		}
	}
	return at
}

// entry is the state of a repository that pins were read in.
func (r Repository) entry(pins []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	entry(n, "date", &yaml.Node{Kind: yaml.ScalarNode, Value: r.Date.Format(time.DateOnly)})
	entry(n, "key", word(r.Key))
	entry(n, "sha256", word(r.SHA256))
	if len(pins) > 0 {
		slices.Sort(pins)
		entry(n, "pins", words(slices.Compact(pins)))
	}
	return n
}

func (s said) differing() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, key := range slices.SortedFunc(maps.Keys(s.differ), compareNames) {
		pins := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, pin := range slices.Sorted(maps.Keys(s.differ[key])) {
			entry(pins, pin, word(s.differ[key][pin]))
		}
		entry(n, key, pins)
	}
	return n
}

var nameForm = regexp.MustCompile(`^([^0-9]*)([0-9.]*)(.*)$`)

// compareNames orders OSes as people do: rockylinux9 before rockylinux10.
func compareNames(a, b string) int {
	as, bs := nameForm.FindStringSubmatch(a), nameForm.FindStringSubmatch(b)
	if c := strings.Compare(as[1], bs[1]); c != 0 {
		return c
	}
	if c := compat.Compare(as[2], bs[2]); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}
