// SPDX-License-Identifier: Apache-2.0

// Package view puts the layers of an image together: what a container sees, which libraries the
// dynamic linker loads there, what that asks of driver and GPU, and whether the image's program starts.
//
// Package loader knows the file system that they make, and who finds which library in it.
// [New] takes the facts of the layers from package layer; [Image.InLayer], [Image.Whole] and
// [Image.Libcuda] are the answers. What a finding means for an image is package verify's to say.
package view

import (
	"fmt"
	"path"
	"slices"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// Found is one thing found in an image.
type Found struct {
	layer.Hit
	Layer     int  // that has it; OfImage for what is about the image as a whole
	DeletedIn *int // the layer that hides the path, nil if none does
}

// OfImage is the Layer of what is found in no layer.
const OfImage = -1

// ofImage is a finding about the image as a whole.
func ofImage(rule, format string, args ...any) Found {
	return Found{Hit: layer.Hit{Rule: rule, Detail: fmt.Sprintf(format, args...)}, Layer: OfImage}
}

// InLayer returns what is found in layer i, in no order; for the topmost also whether a search
// came to a limit, those of Whole included if that was called before.
func (m *Image) InLayer(i int) (all []Found) {
	v := m.layers
	place := v.placer(i)
	for _, h := range slices.Concat(v.facts[i].Hits, v.linkHits(i), v.hardHits(i), v.databases().unread[i], m.hits[i]) {
		all = append(all, Found{place(h), i, v.deletedIn(i, h.Path)})
	}
	hits, gone := v.packageHits(i)
	for k, h := range hits {
		all = append(all, Found{h, i, gone[k]})
	}
	if i == len(v.facts)-1 {
		for _, h := range m.exceeded() {
			all = append(all, Found{h, i, nil})
		}
	}
	return all
}

// Whole returns what the image asks of driver and GPU, and what is found in the image as a whole.
func (m *Image) Whole() (Demand, []Found) {
	program := m.scope()
	d := m.demand(program)
	d.Compat, d.CompatAside, d.Searches = m.seen, m.beside, m.ways
	halt := m.start()
	d.CannotStart, d.Unbound, d.Hosts = halt.why, halt.unbound, m.hostLibraries(d.scope.counts)
	d.doubt("%s", halt.unsure)
	d.doubts(m.leak())
	asks := d.request(m.config.Env, m.hostLibraries(func(p string) bool { return program.loads[p] || d.isPart(p) }))
	return d, slices.Concat(d.disagreements(), asks.findings(&d), m.preloads(), halt.finding())
}

// Place is where a path leads by links of its folders, and Followed are those links, in the
// order in which they are followed.
func (m *Image) Place(p string) string { return m.im.Place(p) }

// Followed is explained at Place.
func (m *Image) Followed(p string) []loader.Link { return m.im.Followed(path.Dir(p)) }

// exceeded says that there may be more to find than was looked for, if there is.
func (m *Image) exceeded() []layer.Hit {
	why := m.im.Exceeded()
	if m.lacks > maxLacks {
		why = "the files of the image lack too many libraries"
	}
	if why == "" {
		return nil
	}
	return []layer.Hit{{Rule: rules.Unreadable, Detail: why}}
}
