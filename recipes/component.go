// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// Component is a package of a CUDA release whose version is a pin, as its era has it.
type Component struct {
	Flavor  Flavor
	Package string // "libnccl2"
	// Pin is the name of the pin, "version" for the release's own number. What stands around it
	// in the package's version is Before and After: "" and "-1+cuda13.4".
	Pin, Before, After string
	// Value is what the recipes say: a version, [PinNone], [PinUnsourced], or "" for nothing.
	Value string
}

// Values of a pin that are no version.
const (
	PinNone      = pinNone
	PinUnsourced = pinUnsourced
)

// Toolkit is a file of recipes/toolkit: one CUDA release of a vendor's repository.
type Toolkit struct {
	CUDA    string
	Version string // "10.2.89" of CUDA 10.2; CUDA from 11.0 on
	Source  string
	File    string   // "toolkit/13.1.0.yaml"
	Pins    []string // names, in the order of the file
	// Systems are its OSes with their platforms, both sorted.
	Systems map[string][]string
	Index   map[string]Index // by place, see [Placed]
	// Differ is pins that are others on an OS, a platform, or both, by "ubuntu24.04 linux/arm64".
	Differ map[string]map[string]string
	// Read is whether a document was read for it.
	Read bool
}

// Toolkits returns every toolkit of a source, oldest first.
func (c *Catalog) Toolkits(source string) []Toolkit {
	var all []Toolkit
	for _, t := range c.toolkits {
		if t.source(c) != source {
			continue
		}
		pins := slices.SortedFunc(maps.Keys(t.Pins), func(a, b string) int {
			return cmp.Or(cmp.Compare(t.lines["pin "+a].Line, t.lines["pin "+b].Line), strings.Compare(a, b))
		})
		all = append(all, Toolkit{t.CUDA, t.words()["version"], source, t.file, pins, t.systems(), t.Index, t.Differ, len(t.Read) > 0})
	}
	slices.SortFunc(all, func(a, b Toolkit) int { return compat.Compare(a.Version, b.Version) })
	return all
}

// Sources returns the names of all vendors, sorted.
func (c *Catalog) Sources() []string { return sortedKeys(c.sources) }

// Repositories returns the repositories of an OS for a platform, that of CUDA first; none
// for a distribution's own packages.
func (c *Catalog) Repositories(os, platform string) []Placed {
	return c.sources[c.os[os].Source].placed(c.os[os], platform)
}

// Components returns the packages of a CUDA release for a platform of an OS whose versions are
// pins, in the order of installation. The release need not be in the catalog: then its
// era says what it would have. What an era says is not there, at this very place, is left out;
// so is, of several pins for one package, all but the one in newest use. There are none
// if no era fits.
func (c *Catalog) Components(cuda, os, platform string) []Component {
	o := c.os[os]
	t := toolkitFile{CUDA: cuda, Pins: map[string]string{}}
	if i := slices.IndexFunc(c.toolkits, func(t toolkitFile) bool { return t.CUDA == cuda && t.source(c) == o.Source }); i >= 0 {
		t = c.toolkits[i]
	}
	e, ok := t.eraOf(c.eras, o.Source)
	if !ok || !compat.IsVersion(cuda) {
		return nil
	}
	r := &renderer{toolkit: t, era: e, source: c.sources[o.Source], os: o, platform: platform, places: places(os, platform), words: t.words()}
	layers := e.layers(o.Repository.Packages)
	var all []Component
	for _, flavor := range slices.SortedFunc(maps.Keys(layers), CompareFlavors) {
		for _, template := range layers[flavor].Packages {
			component, ok := r.component(template)
			if !ok || slices.ContainsFunc(r.places, func(place string) bool { return e.Differ[place][component.Pin] == pinNone }) {
				continue
			}
			component.Flavor = flavor
			all = append(all, component)
		}
	}
	return slices.DeleteFunc(all, func(one Component) bool {
		return slices.ContainsFunc(all, func(other Component) bool {
			return one.Package == other.Package && one.Pin != other.Pin && compat.Compare(c.used(one.Pin), c.used(other.Pin)) < 0
		})
	})
}

// used is the newest release whose toolkit gives a pin a version, "" if none does.
func (c *Catalog) used(pin string) (newest string) {
	for _, t := range c.toolkits {
		if version := t.Pins[pin]; version != "" && version != pinNone && version != pinUnsourced && compat.Compare(t.CUDA, newest) > 0 {
			newest = t.CUDA
		}
	}
	return newest
}

// component takes a template such as "libnccl2={nccl}-1+cuda{X.Y}" apart; false if its
// version is no pin.
func (r *renderer) component(template string) (Component, bool) {
	left, right, _ := strings.Cut(template, "=")
	name := r.plain(left)
	for _, m := range wordForm.FindAllStringSubmatch(right, -1) {
		word := m[1]
		if _, known := r.words[word]; known && word != "version" {
			continue
		}
		before, after, _ := strings.Cut(right, m[0])
		value := r.words[word]
		if word != "version" {
			version, _ := r.toolkit.version(r.era, word, r.places...)
			value = r.plain(version)
		}
		return Component{Package: name, Pin: word, Before: r.plain(before), After: r.plain(after), Value: value}, !strings.Contains(name, "{")
	}
	return Component{}, false
}

// Text returns a file of recipes, such as "toolkit/13.1.0.yaml", as the last of the directories
// that have it says it, or as it is embedded. The error matches [fs.ErrNotExist] if none has it.
func Text(name string, dirs ...string) ([]byte, error) {
	for _, dir := range slices.Backward(dirs) {
		data, err := readPlain(filepath.Join(dir, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return embedded.ReadFile(name)
}
