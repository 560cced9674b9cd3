// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"fmt"
	"path"
	"slices"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// Index is a state of a vendor's repository that pins were read from.
type Index struct {
	Date   string   `yaml:"date"`             // of the state, 2026-11-30
	Key    string   `yaml:"key" form:"word"`  // id of the key that has signed it
	SHA256 string   `yaml:"sha256"`           // of the signed file: InRelease, Release or repomd.xml
	Pins   []string `yaml:"pins" form:"word"` // what was read there; none: all pins
}

// Placed is a repository of an OS for a platform with the name that toolkits know it by.
type Placed struct {
	Place string // below the roots: "ubuntu2404/x86_64", or "nvidia-ml/ubuntu1804/x86_64" of another root than the source's own
	Address
}

// placed returns the repositories of an OS for a platform, as [Recipe.Addresses] does.
func (s Source) placed(o OS, platform string) []Placed {
	var all []Placed
	for _, a := range s.addresses(o, platform) {
		place := path.Join(o.Repository.Dir, o.Repository.Arch[platform])
		if a.Name != s.Name {
			place = path.Join(a.Name, place)
		}
		all = append(all, Placed{place, a})
	}
	return all
}

// vouches reports whether a key of that id may say what the repository of an OS has. One
// that the source does not pin for it may not, nor may a stand-in's.
func (s Source) vouches(id string, a Address, r Repository) bool {
	return slices.ContainsFunc(s.Keys, func(k Key) bool {
		serves := func(what string) bool { return slices.Contains(k.Serves, what) }
		return k.ID == id && k.StandIn != "true" && (serves(a.Name) || serves(r.Dir) || serves(r.Packages))
	})
}

// indexed returns the repository of an OS on a platform that a pin was read from, as a
// document that is empty if there is none, or if its key does not count. A pin that a
// repository is named for is from there alone, whatever documents were read. For what a file of a
// later folder gives, own, only those count that this file names, or one after it.
func (t toolkitFile) indexed(s Source, o OS, platform, pin, own string) (from Document, named bool) {
	if len(t.Index) == 0 {
		return Document{}, false
	}
	for _, p := range s.placed(o, platform) {
		index, ok := t.Index[p.Place]
		names := slices.Contains(index.Pins, pin)
		if !ok || len(index.Pins) > 0 && !names || own != "" && slices.Index(t.folders, t.lines["index "+p.Place].File) < slices.Index(t.folders, own) {
			continue
		}
		named = named || names
		if s.vouches(index.Key, p.Address, o.Repository) {
			whose := ""
			if s.keys != "" {
				whose = ", a key of " + s.keys
			}
			from = Document{
				Title: fmt.Sprintf("%s's repository %s, index sha256 %s signed by %s%s", s.Name, p.Place, index.SHA256, index.Key, whose),
				Date:  index.Date, by: t.by("index " + p.Place),
			}
		}
	}
	return from, named
}

// names reports whether a repository of an OS on a platform is named for a pin, whoever has signed it.
func (t toolkitFile) names(s Source, o OS, platform, pin string) bool {
	return slices.ContainsFunc(s.placed(o, platform), func(p Placed) bool {
		index, ok := t.Index[p.Place]
		return ok && (len(index.Pins) == 0 || slices.Contains(index.Pins, pin))
	})
}

// checkIndex reports states of repositories that are none of the toolkit's, or say too little.
func (t toolkitFile) checkIndex(f *spec.File, c *Catalog, e eraFile) {
	if len(t.Index) == 0 {
		return
	}
	var places []string
	replaced := map[string]Key{} // the key that serves a place, by place and the id of an older one
	for name, platforms := range t.systems() {
		for _, platform := range platforms {
			for _, p := range c.sources[e.Source].placed(c.os[name], platform) {
				places = append(places, p.Place)
				for _, k := range c.sources[e.Source].Keys {
					if k.Since < p.Key.Since {
						replaced[p.Place+" "+k.ID] = p.Key
					}
				}
			}
		}
	}
	slices.Sort(places)
	for _, place := range sortedKeys(t.Index) {
		index, at := t.Index[place], f.Find("index", place)
		switch {
		case !slices.Contains(places, place):
			f.At(at, suggest.Hint(place, places), "the toolkit has no os with a repository %q", place)
		case !isDate(index.Date) || index.Key == "" || !sha256Form.MatchString(index.SHA256):
			f.At(at, "", "index of %s: want its date such as 2026-11-30, the id of the key that has signed it, and its sha256", place)
		default:
			if by := replaced[place+" "+index.Key]; by.Since != "" && index.Date >= by.Since {
				f.At(at, "", "index of %s: %s was replaced by %s on %s, before its date", place, index.Key, by.ID, by.Since)
			}
		}
		for _, pin := range index.Pins {
			if !slices.Contains(e.used, pin) {
				f.At(f.Find("index", place, "pins", pin), suggest.Hint(pin, e.used), "no package of era %q uses the pin %q", e.Name, pin)
			}
		}
	}
}
