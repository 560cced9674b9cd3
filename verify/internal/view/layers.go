// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// layers are those of one image, bottom first, and what is looked up in all of them:
// nothing here asks each layer in turn, for an image may have a thousand.
type layers struct {
	facts []*layer.Facts
	paths *pathIndex

	hitsAt    func() map[string][]hitAt // by path, bottom first
	linkAt    func() map[string]bool    // paths of links at driver names
	packages  func() map[installedAt]bool
	databases func() databases
	placed    int // links, see placer
}

// hitAt is where the first finding of a path in a layer is.
type hitAt struct{ layer, at int }

func newLayers(facts []*layer.Facts) *layers {
	v := &layers{facts: facts, paths: newPathIndex(facts)}
	v.hitsAt = sync.OnceValue(v.indexHits)
	v.linkAt = sync.OnceValue(v.indexLinks)
	v.packages = sync.OnceValue(v.indexPackages)
	v.databases = sync.OnceValue(v.followRecords)
	return v
}

func (v *layers) indexHits() map[string][]hitAt {
	at := map[string][]hitAt{}
	for i, f := range v.facts {
		for k, h := range f.Hits {
			if known := at[h.Path]; len(known) == 0 || known[len(known)-1].layer < i {
				at[h.Path] = append(known, hitAt{i, k})
			}
		}
	}
	return at
}

func (v *layers) indexLinks() map[string]bool {
	at := map[string]bool{}
	for _, f := range v.facts {
		for _, l := range f.Links {
			at[l.Path] = true
		}
	}
	return at
}

// hider returns the layer that hides what layer i has at p, len(v.facts) if none does.
func (v *layers) hider(i int, p string) int {
	p, _, _ = strings.Cut(p, layer.InArchive)
	return v.paths.hider(p, i+1)
}

// deletedIn returns the layer that hides what layer i has at p, nil if none does.
func (v *layers) deletedIn(i int, p string) *int { return v.layer(v.hider(i, p)) }

// layer is j as a report has it, nil if there is no such layer.
func (v *layers) layer(j int) *int {
	if j >= len(v.facts) {
		return nil
	}
	return &j
}

// exists reports whether p is in the image as seen from layer i, or in one above. Parent
// directories that are links are not followed, but for the merged /usr.
func (v *layers) exists(i int, p string) bool {
	return slices.ContainsFunc(layer.MergedNames(p), func(p string) bool {
		file, dir := layer.Hash(layer.KindFile, p), layer.Hash(layer.KindDir, p)
		if min(v.paths.first(file, i), v.paths.first(dir, i)) < len(v.facts) {
			return true
		}
		below := max(v.paths.last(file, i), v.paths.last(dir, i))
		return below >= 0 && v.hider(below, p) > i
	})
}

// aliases yields the names under which layers may have p because a link leads to one of
// its folders.
func (v *layers) aliases(im *loader.Image, p string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, f := range v.facts {
			for _, l := range f.Linker.Links {
				dir, ok := im.Real(l.Path)
				if rest, below := strings.CutPrefix("/"+p, strings.TrimSuffix("/"+dir, "/")+"/"); ok && below && !yield(l.Path+"/"+rest) {
					return
				}
			}
		}
	}
}

// executable returns how a file begins that a container sees at p; ok is false if nobody may
// execute it.
func (v *layers) executable(p string) (k layer.Executable, ok bool) {
	top := v.paths.last(layer.Hash(layer.KindFile, p), v.paths.layers)
	if top < 0 {
		return layer.Executable{}, true
	}
	return v.facts[top].Executables.Find(p)
}

// found returns the topmost finding under a layer that p has part in, nil if there is none.
func (v *layers) found(p string, below int) *layer.Hit {
	at := v.foundAt(p, below)
	if group := rules.Load().GroupOf(p); group != "" {
		other := v.foundAt(group, below)
		if c := cmp.Compare(other.layer, at.layer); c > 0 || c == 0 && other.at < at.at {
			at = other
		}
	}
	if at.layer < 0 {
		return nil
	}
	return &v.facts[at.layer].Hits[at.at]
}

func (v *layers) foundAt(p string, below int) hitAt {
	all := v.hitsAt()[p]
	n, _ := slices.BinarySearchFunc(all, below, func(a hitAt, layer int) int { return cmp.Compare(a.layer, layer) })
	if n == 0 {
		return hitAt{-1, 0}
	}
	return all[n-1]
}
