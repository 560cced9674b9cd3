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
	before, cells := len(r.problems), 0
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
			recipe, ok := catalog.Recipe(os.text, cuda.text)
			if !ok {
				if !p.glob() {
					reportImpossible(r, catalog, p)
				}
				continue
			}
			checkFlavors(r, p, e, l, recipe.Release)
			l := l
			if l.platforms = checkPlatforms(r, p, l.platforms, recipe.Release.Platforms); len(l.platforms) == 0 {
				continue // reported, or a glob's
			}
			if f.compat {
				recipe = recipe.WithCompat()
			}
			all = append(all, made{p, recipe.Release.Version, cellsOf(p, l, recipe, f)})
			cells += len(all[len(all)-1].cells)
		}
	}
	if cells == 0 && len(e.os) > 0 && len(e.cuda) > 0 && len(r.problems) == before && !l.partial {
		r.node(e.at, "its globs match no CUDA release that was packaged for one of its OSes, with its platforms and flavors", "the entry makes no image")
	}
	return all
}

// glob reports whether the file does not say the pair in so many words.
func (p pair) glob() bool { return p.os.glob || p.cuda.glob }

// cellsOf returns the flavors from the lowest up, then the samples in the order of the file.
func cellsOf(p pair, l lists, recipe *recipes.Recipe, f file) []Cell {
	release := recipe.Release
	id := func(kind string) string { return cellID(p.cuda.text, kind, p.os.text) }
	cell := Cell{OS: p.os.text, CUDA: p.cuda.text, Source: release.Source, Platforms: texts(l.platforms), Compat: f.compat && release.HasCompat(), Recipe: recipe}
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
		c.Flavor, c.Unsourced = flavor, release.UnsourcedOn(flavor, c.Platforms)
		if chain := release.Chain(flavor); len(chain) > 1 {
			c.Parent = id(string(chain[len(chain)-2]))
		}
		add(c, string(flavor))
	}
	for _, sample := range l.samples {
		c := cell
		c.Sample, c.Parent, c.Builder = sample.text, id(string(release.Flavors()[0])), id(string(recipes.Devel))
		c.Unsourced = release.UnsourcedOn(recipes.Devel, c.Platforms) // the lowest flavor's among them
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
	r.node(p.cuda.at, fmt.Sprintf("take the pair out, or exclude it with a reason: {os: %s, cuda: %q, reason: ...}", p.os.text, p.cuda.text),
		"%s", impossible(c, p.os.text, p.cuda.text))
}

// impossible says that a pair does not exist, and which ones near it do.
func impossible(c *recipes.Catalog, os, cuda string) string {
	message := fmt.Sprintf("CUDA %s was never packaged for %s", cuda, os)
	var near []string
	if other := nearestCUDA(c, os, cuda); other != "" {
		near = append(near, fmt.Sprintf("CUDA %s for %s", other, os))
	}
	if other := nearestOS(c, os, cuda); other != "" {
		near = append(near, fmt.Sprintf("CUDA %s for %s", cuda, other))
	}
	if len(near) > 0 {
		message += "; nearest: " + strings.Join(near, ", ")
	}
	return message
}

// impossibleID is [impossible] for the ID of a cell, or a glob on IDs, that names a known
// OS and a known CUDA release without a recipe for the two; else it is empty.
func impossibleID(c *recipes.Catalog, id string) string {
	cuda, rest, _ := strings.Cut(id, "-")
	os := rest[strings.LastIndex(rest, "-")+1:]
	if !slices.Contains(c.CUDAVersions(), cuda) || !slices.Contains(c.OSNames(), os) {
		return ""
	}
	if _, ok := c.Find(os, cuda); ok {
		return ""
	}
	return impossible(c, os, cuda)
}

// nearestCUDA returns the release for that OS with the fewest releases between,
// the newer of two.
func nearestCUDA(c *recipes.Catalog, os, cuda string) string {
	all := c.CUDAVersions()
	want := slices.Index(all, cuda)
	best, bestFar := "", len(all)
	for i, other := range all {
		if far := max(want-i, i-want); far <= bestFar && slices.Contains(c.CUDAFor(os), other) {
			best, bestFar = other, far
		}
	}
	return best
}

// nearestOS returns the OS with that release whose directory in the vendor's repository
// (rhel8 of rockylinux8) looks most alike, by name the first of several.
func nearestOS(c *recipes.Catalog, os, cuda string) string {
	systems := c.OSFor(cuda)
	if len(systems) == 0 {
		return ""
	}
	want, _ := c.OS(os)
	far := func(name string) (directory, word int) {
		other, _ := c.OS(name)
		return suggest.Distance(want.Repository.Dir, other.Repository.Dir), suggest.Distance(os, name)
	}
	return slices.MinFunc(systems, func(a, b string) int {
		directoryA, wordA := far(a)
		directoryB, wordB := far(b)
		return cmp.Or(cmp.Compare(directoryA, directoryB), cmp.Compare(wordA, wordB))
	})
}

func texts(words []word) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = w.text
	}
	return list
}
