// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// eraFile is what the CUDA releases of some years have in common, recipes/era/NAME.yaml: a
// template for each layer. A package is written "name=version" whatever its package
// manager makes of it. In names, versions, environment, files and links a word in braces
// is filled in for each release: {X.Y}, {X-Y} and {X} from its number, {version}, and every
// pin by its name.
type eraFile struct {
	Name   string `yaml:"era"`
	Source string `yaml:"source"`
	// Like names an era of which this one says only what is different: its packages
	// replace that one's, layer by layer; variables, files and links are added, or taken
	// out by an empty value.
	Like string `yaml:"like"`
	// Pins are what a toolkit need not say. They may have words in braces, too.
	Pins map[string]string `yaml:"pins" keys:"word" form:"pin"`
	// Differ is pins that are others on an OS, a platform or both, as in [toolkitFile].
	Differ map[string]map[string]string `yaml:"differ" form:"pin"`
	// Checked is what documents say about operating systems that they do not show.
	Checked []checked `yaml:"checked"`
	// Layers is what images have whatever their packages are.
	Layers map[Flavor]layerFile `yaml:"layers" keys:"word"`
	// Packages is what layers have with these packages, "deb" or "rpm". The layer
	// "compat" comes on top of base where cuda-compat is allowed.
	Packages map[string]map[Flavor]layerFile `yaml:"packages" keys:"word"`

	own   map[string]string // files of later folders that give pins, by "pin cublas" or "pin ubuntu20.04 cublas"
	used  []string          // every word in braces
	files []string          // this era's, and those of the eras that it is like
}

// compatLayer is the name of the layer that holds cuda-compat in an era.
const compatLayer Flavor = "compat"

// checked says that some pins of a toolkit hold for more OSes than those read, because the
// files of all were compared. It is about releases that the document has.
type checked struct {
	OS       []string `yaml:"os"`
	Pins     []string `yaml:"pins"` // none: all of them
	Document string   `yaml:"document"`

	by string // as in [Pin]
}

// over returns the era with what it leaves out taken from the one that it is like.
func (e eraFile) over(old eraFile) eraFile {
	own := maps.Clone(old.own)
	maps.DeleteFunc(own, func(key, _ string) bool { return e.says(key) })
	maps.Copy(own, e.own)
	e.own = own
	e.Pins = merge(old.Pins, e.Pins)
	e.Differ = mergeDiffer(old.Differ, e.Differ)
	e.Checked = append(slices.Clip(old.Checked), e.Checked...)
	e.Layers = mergeLayers(old.Layers, e.Layers)
	packages := maps.Clone(old.Packages)
	for kind, layers := range e.Packages {
		packages[kind] = mergeLayers(old.Packages[kind], layers)
	}
	e.Packages = packages
	return e
}

// says reports whether the era's file gives a pin itself, by a key as in own.
func (e eraFile) says(key string) bool {
	key = strings.TrimPrefix(key, "pin ")
	i := strings.LastIndexByte(key, ' ')
	if i < 0 {
		return e.Pins[key] != ""
	}
	return e.Differ[key[:i]][key[i+1:]] != ""
}

func mergeDiffer(old, changes map[string]map[string]string) map[string]map[string]string {
	merged := map[string]map[string]string{}
	maps.Copy(merged, old)
	for place, pins := range changes {
		merged[place] = merge(merged[place], pins)
	}
	return merged
}

// layers returns the era's layers for a kind of packages.
func (e eraFile) layers(kind string) map[Flavor]layerFile {
	return mergeLayers(e.Layers, e.Packages[kind])
}

func mergeLayers(old, changes map[Flavor]layerFile) map[Flavor]layerFile {
	merged := map[Flavor]layerFile{}
	maps.Copy(merged, old)
	for flavor, layer := range changes {
		merged[flavor] = layerFile(Layer(layer).over(Layer(merged[flavor])))
	}
	return merged
}

// over returns the layer with what it leaves out taken from another.
func (l Layer) over(old Layer) Layer {
	if l.Packages == nil {
		l.Packages = old.Packages
	}
	if l.Hold == nil {
		l.Hold = old.Hold
	}
	if l.SizeMB == 0 {
		l.SizeMB = old.SizeMB
	}
	l.Env, l.Files, l.Links = merge(old.Env, l.Env), merge(old.Files, l.Files), merge(old.Links, l.Links)
	return l
}

// merge returns both maps as one. What changes says wins; an empty value there takes
// the key out.
func merge(old, changes map[string]string) map[string]string {
	if len(old) == 0 {
		return changes
	}
	merged := maps.Clone(old)
	maps.Copy(merged, changes)
	maps.DeleteFunc(merged, func(_, value string) bool { return value == "" })
	return merged
}

// words returns every word in braces of the era's templates.
func (e eraFile) words() []string {
	var words []string
	collect := func(templates ...string) {
		for _, t := range templates {
			for _, m := range wordForm.FindAllStringSubmatch(t, -1) {
				words = append(words, m[1])
			}
		}
	}
	for _, kind := range sortedKeys(e.Packages) {
		for _, layer := range e.layers(kind) {
			collect(layer.Packages...)
			collect(layer.Hold...)
			for _, m := range []map[string]string{layer.Env, layer.Files, layer.Links} {
				collect(slices.Collect(maps.Values(m))...)
			}
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

var wordForm = regexp.MustCompile(`\{([^{}]*)\}`)
