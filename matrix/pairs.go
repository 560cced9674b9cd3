// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/recipes"
)

// made is one pair of an entry together with the cells it makes.
type made struct {
	pair
	version string // of the CUDA release, in full
	cells   []Cell
}

// multiply returns what an entry makes, by os, then cuda, and reports pairs, platforms
// and flavors that do not exist. Of what a glob stands for, those are left out.
func multiply(r *report, catalog *recipes.Catalog, f file, e *entry) []made {
	l := e.or(f.defaults)
	if len(l.flavors)+len(l.samples) == 0 && !l.partial {
		r.node(e.at, "list flavors or samples", "the entry has neither flavors nor samples")
		return nil
	}
	if len(e.excludes) > 0 && len(e.excludes) == len(e.os)*len(e.cuda) {
		r.node(e.at, "remove the entry, or an exclude", "the entry excludes all that it lists")
	}
	var all []made
	for _, os := range e.os {
		for _, cuda := range e.cuda {
			p := pair{os, cuda}
			if slices.ContainsFunc(e.excludes, p.same) {
				continue
			}
			release, ok := catalog.Find(os.text, cuda.text)
			if !ok {
				if !p.glob() {
					reportImpossible(r, catalog, p)
				}
				continue
			}
			checkFlavors(r, p, e, l, release)
			l := l
			if l.platforms = checkPlatforms(r, p, l.platforms, release.Platforms); len(l.platforms) == 0 {
				continue // reported, or a glob's
			}
			if f.compat {
				release = release.WithCompat()
			}
			all = append(all, made{p, release.Version, cellsOf(p, l, release, f)})
		}
	}
	return all
}

// glob reports whether the file does not say the pair in so many words.
func (p pair) glob() bool { return p.os.glob || p.cuda.glob }

// cellsOf returns the flavors from the lowest up, then the samples in the order of the file.
func cellsOf(p pair, l lists, release recipes.Release, f file) []Cell {
	id := func(kind string) string { return cellID(p.cuda.text, kind, p.os.text) }
	cell := Cell{OS: p.os.text, CUDA: p.cuda.text, Source: release.Source, Platforms: texts(l.platforms), Compat: f.compat && release.HasCompat()}
	var cells []Cell
	add := func(c Cell, kind string) {
		c.ID = id(kind)
		c.Tags = []string{f.image + ":" + c.ID}
		cells = append(cells, c)
	}
	for _, flavor := range release.Flavors() {
		if !contains(l.flavors, word{text: string(flavor)}) {
			continue
		}
		c := cell
		c.Flavor, c.Unsourced = flavor, release.UnsourcedIn(flavor)
		if chain := release.Chain(flavor); len(chain) > 1 {
			c.Parent = id(string(chain[len(chain)-2]))
		}
		add(c, string(flavor))
	}
	for _, sample := range l.samples {
		c := cell
		c.Sample, c.Parent, c.Builder = sample.text, id(string(release.Flavors()[0])), id(string(recipes.Devel))
		c.Unsourced = release.UnsourcedIn(recipes.Devel) // the lowest flavor's among them
		add(c, sample.text)
	}
	return cells
}

// checkFlavors reports flavors that the release lacks where the entry itself names both.
// Flavors of defaults are left out where there are none: CUDA 6.5 to 8.0 have no base.
func checkFlavors(r *report, p pair, e *entry, l lists, release recipes.Release) {
	var known []string
	for _, f := range release.Flavors() {
		known = append(known, string(f))
	}
	some := len(l.samples) > 0 || len(l.flavors) == 0
	for _, w := range l.flavors {
		if slices.Contains(known, w.text) {
			some = true
		} else if e.flavors != nil && !w.glob && !p.glob() {
			r.node(w.at, "it has "+strings.Join(known, ", "), "CUDA %s for %s has no %s", p.cuda.text, p.os.text, w.text)
			some = true
		}
	}
	if !some && !p.glob() {
		r.node(p.cuda.at, "it has "+strings.Join(known, ", "), "CUDA %s for %s has none of these flavors", p.cuda.text, p.os.text)
	}
}

// checkPlatforms returns the platforms that the release has and reports the others, at
// the pair: the list may stand in defaults and be right for other entries.
func checkPlatforms(r *report, p pair, platforms []word, known []string) []word {
	var has []word
	for _, platform := range platforms {
		switch {
		case slices.Contains(known, platform.text):
			has = append(has, platform)
		case !platform.glob:
			r.node(p.cuda.at, fmt.Sprintf("give the entry its own platforms: [%s]", strings.Join(known, ", ")),
				"CUDA %s for %s was never packaged for %s", p.cuda.text, p.os.text, platform.text)
		}
	}
	return has
}

func reportImpossible(r *report, c *recipes.Catalog, p pair) {
	message := fmt.Sprintf("CUDA %s was never packaged for %s", p.cuda.text, p.os.text)
	var near []string
	if cuda := nearestCUDA(c, p); cuda != "" {
		near = append(near, fmt.Sprintf("CUDA %s for %s", cuda, p.os.text))
	}
	if os := nearestOS(c, p); os != "" {
		near = append(near, fmt.Sprintf("CUDA %s for %s", p.cuda.text, os))
	}
	if len(near) > 0 {
		message += "; nearest: " + strings.Join(near, ", ")
	}
	r.node(p.cuda.at, fmt.Sprintf("take the pair out, or exclude it with a reason: {os: %s, cuda: %q, reason: ...}", p.os.text, p.cuda.text),
		"%s", message)
}

// nearestCUDA returns the release for that OS with the fewest releases between,
// the newer of two.
func nearestCUDA(c *recipes.Catalog, p pair) string {
	all := c.CUDAVersions()
	want := slices.Index(all, p.cuda.text)
	best, bestFar := "", len(all)
	for i, cuda := range all {
		if far := max(want-i, i-want); far <= bestFar && slices.Contains(c.CUDAFor(p.os.text), cuda) {
			best, bestFar = cuda, far
		}
	}
	return best
}

// nearestOS returns the OS with that release whose name looks most alike.
func nearestOS(c *recipes.Catalog, p pair) string {
	systems := c.OSFor(p.cuda.text)
	if len(systems) == 0 {
		return ""
	}
	return slices.MinFunc(systems, func(a, b string) int {
		return cmp.Compare(suggest.Distance(p.os.text, a), suggest.Distance(p.os.text, b))
	})
}

func texts(words []word) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = w.text
	}
	return list
}
