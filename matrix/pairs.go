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
	cells []Cell
}

// multiply returns what an entry makes, by os, then cuda, and reports pairs and
// platforms that do not exist.
func multiply(r *report, catalog *recipes.Catalog, image string, e *entry, defaults lists) []made {
	l := e.or(defaults)
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
				reportImpossible(r, catalog, p)
				continue
			}
			checkPlatforms(r, p, l.platforms, release.Platforms)
			all = append(all, made{p, cellsOf(p, l, release, image)})
		}
	}
	return all
}

// cellsOf returns the flavors from the lowest up, then the samples in the order of the file.
func cellsOf(p pair, l lists, release recipes.Release, image string) []Cell {
	id := func(kind string) string { return cellID(p.cuda.text, kind, p.os.text) }
	cell := Cell{OS: p.os.text, CUDA: p.cuda.text, Source: release.Source, Platforms: texts(l.platforms)}
	var cells []Cell
	add := func(c Cell, kind string) {
		c.ID = id(kind)
		c.Tags = []string{image + ":" + c.ID}
		cells = append(cells, c)
	}
	for _, f := range recipes.Flavors() {
		if !contains(l.flavors, word{text: string(f)}) {
			continue
		}
		c := cell
		c.Flavor = f
		if below := parentOf(f); below != "" {
			c.Parent = id(string(below))
		}
		add(c, string(f))
	}
	for _, sample := range l.samples {
		c := cell
		c.Sample, c.Parent, c.Builder = sample.text, id(string(recipes.Base)), id(string(recipes.Devel))
		add(c, sample.text)
	}
	return cells
}

// checkPlatforms reports platforms that the release lacks, at the pair: the list may
// stand in defaults and be right for other entries.
func checkPlatforms(r *report, p pair, platforms []word, known []string) {
	for _, platform := range platforms {
		if slices.Contains(known, platform.text) {
			continue
		}
		r.node(p.cuda.at, fmt.Sprintf("give the entry its own platforms: [%s]", strings.Join(known, ", ")),
			"CUDA %s for %s was never packaged for %s", p.cuda.text, p.os.text, platform.text)
	}
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
