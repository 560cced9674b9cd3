// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
)

// made is one pair of an entry together with the cells it makes.
type made struct {
	pair
	version string // of the CUDA release, in full
	cells   []Cell
}

// multiply returns what an entry makes, by os, then cuda, and reports pairs, platforms
// and flavors that do not exist. Of what a glob stands for, those are left out.
func multiply(r *spec.File, catalog *recipes.Catalog, f file, e *entry) []made {
	l := e.or(f.Defaults)
	before, cells, none := r.Count(), 0, e.Platforms
	if len(l.Flavors)+len(l.Samples) == 0 && !bool(l.Partial) {
		r.At(e.At, "list flavors or samples", "the entry has neither flavors nor samples")
		return nil
	}
	if len(e.Exclude) > 0 && len(e.Exclude) == len(e.OS)*len(e.CUDA) {
		r.At(e.At, "remove the entry, or an exclude", "the entry excludes all that it lists")
	}
	var all []made
	for _, os := range e.OS {
		for _, cuda := range e.CUDA {
			p := pair{os, cuda}
			if e.excludes(p) {
				continue
			}
			recipe, ok := catalog.Recipe(os.Text, cuda.Text)
			if !ok {
				if !p.glob() {
					reportImpossible(r, catalog, p)
				}
				continue
			}
			checkFlavors(r, p, e, l, recipe.Release)
			l := l
			l.Samples = checkSamples(r, p, e, l.Samples, recipe.Release)
			if l.Platforms = checkPlatforms(r, p, l.Platforms, recipe.Release.Platforms); len(l.Platforms) == 0 {
				continue // reported, or a glob's
			}
			none = slices.DeleteFunc(slices.Clone(none), func(w spec.Word) bool { return w.Glob || contains(l.Platforms, w.Text) })
			if f.Compat == allow {
				recipe = recipe.WithCompat()
			}
			all = append(all, made{p, recipe.Release.Version, cellsOf(p, l, recipe, f)})
			cells += len(all[len(all)-1].cells)
		}
	}
	if cells == 0 && len(e.OS) > 0 && len(e.CUDA) > 0 && r.Count() == before && !bool(l.Partial) {
		r.At(e.At, "its globs match no CUDA release that was packaged for one of its OSes, with its platforms and flavors", "the entry makes no image")
	}
	for _, w := range none {
		if cells > 0 && r.Count() == before {
			r.At(w.Place, "take it out", "no CUDA release of the entry was packaged for %s", w.Text)
		}
	}
	return all
}

// cellsOf returns the flavors from the lowest up, then the samples in the order of the file.
func cellsOf(p pair, l lists, recipe *recipes.Recipe, f file) []Cell {
	release := recipe.Release
	id := func(kind string) string { return cellID(p.cuda.Text, kind, p.os.Text) }
	cell := Cell{OS: p.os.Text, CUDA: p.cuda.Text, Source: release.Source, Platforms: texts(l.Platforms), Compat: f.Compat == allow && release.HasCompat(), Ends: recipe.Ends(), Recipe: recipe}
	var cells []Cell
	add := func(c Cell, kind string) {
		c.ID = id(kind)
		c.Tags = []string{f.Image + ":" + c.ID}
		cells = append(cells, c)
	}
	for _, flavor := range release.Flavors() {
		if !contains(l.Flavors, string(flavor)) {
			continue
		}
		c := cell
		c.Flavor = flavor
		c.without(release, flavor)
		if chain := release.Chain(flavor); len(chain) > 1 {
			c.Parent = id(string(chain[len(chain)-2]))
		}
		add(c, string(flavor))
	}
	for _, sample := range l.Samples {
		c := cell
		on, _ := release.SampleOn(sample.Text) // checked
		c.Sample, c.Parent, c.Builder = sample.Text, id(string(on)), id(string(recipes.Devel))
		c.without(release, recipes.Devel) // what it stands on is part of that
		add(c, sample.Text)
	}
	return cells
}

// checkFlavors reports flavors that the release lacks where the entry itself names both.
// Flavors of defaults are left out where there are none: CUDA 6.5 to 8.0 have no base.
func checkFlavors(r *spec.File, p pair, e *entry, l lists, release recipes.Release) {
	var known []string
	for _, f := range release.Flavors() {
		known = append(known, string(f))
	}
	some := len(l.Samples) > 0 || len(l.Flavors) == 0
	for _, w := range l.Flavors {
		if slices.Contains(known, w.Text) {
			some = true
		} else if e.Flavors != nil && !w.Glob && !p.glob() {
			r.At(w.Place, "it has "+strings.Join(known, ", "), "CUDA %s for %s has no %s", p.cuda.Text, p.os.Text, w.Text)
			some = true
		}
	}
	if !some && !p.glob() {
		r.At(p.cuda.Place, "it has "+strings.Join(known, ", "), "CUDA %s for %s has none of these flavors", p.cuda.Text, p.os.Text)
	}
}

// checkSamples returns the samples that the release can have, and reports others where the
// entry itself names both. Samples of defaults are left out where there are none.
func checkSamples(r *spec.File, p pair, e *entry, samples []spec.Word, release recipes.Release) []spec.Word {
	var has []spec.Word
	for _, w := range samples {
		switch _, err := release.SampleOn(w.Text); {
		case err == nil:
			has = append(has, w)
		case e.Samples != nil && !w.Glob && !p.glob():
			r.At(w.Place, "give that release an entry without it", "%v", err)
		}
	}
	return has
}

// checkPlatforms returns the platforms that the release has and, where the entry itself names the
// pair, reports the others, at the pair: the list may stand in defaults and be right for other entries.
func checkPlatforms(r *spec.File, p pair, platforms []spec.Word, known []string) []spec.Word {
	var has []spec.Word
	for _, platform := range platforms {
		switch {
		case slices.Contains(known, platform.Text):
			has = append(has, platform)
		case !platform.Glob && !p.glob():
			r.At(p.cuda.Place, fmt.Sprintf("give the entry its own platforms: [%s]", strings.Join(known, ", ")),
				"CUDA %s for %s was never packaged for %s", p.cuda.Text, p.os.Text, platform.Text)
		}
	}
	return has
}

func reportImpossible(r *spec.File, c *recipes.Catalog, p pair) {
	r.At(p.cuda.Place, fmt.Sprintf("take the pair out, or exclude it with a reason: {os: %s, cuda: %q, reason: ...}", p.os.Text, p.cuda.Text),
		"%s", impossible(c, p.os.Text, p.cuda.Text))
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

// impossibleID says why there is no cell of that ID, or glob on IDs, where it names a known
// OS and a known CUDA release: there is no recipe for the two ([impossible]), or it cannot
// have the sample; else it is empty.
func impossibleID(c *recipes.Catalog, id string) string {
	cuda, rest, _ := strings.Cut(id, "-")
	os := rest[strings.LastIndex(rest, "-")+1:]
	if !slices.Contains(c.CUDAVersions(), cuda) || !slices.Contains(c.OSNames(), os) {
		return ""
	}
	release, ok := c.Find(os, cuda)
	if !ok {
		return impossible(c, os, cuda)
	}
	sample := strings.TrimSuffix(rest, "-"+os)
	if _, err := release.SampleOn(sample); err != nil && slices.Contains(recipes.SampleNames(), sample) {
		return err.Error()
	}
	return ""
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
