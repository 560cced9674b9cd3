// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// symlink keeps a link at a driver's name. What it means depends on whether its
// target exists in the image, which is seen when the layers are put together.
func (w *walker) symlink(p, target string) {
	resolved := linkTarget(p, target)
	lib, _ := w.rules.LibraryNamed(path.Base(p))
	if lib != nil && lib.Target != "" && !strings.Contains(target, lib.Target) {
		lib = nil
	}
	if lib != nil {
		w.keepLink(link{Rule: lib.Rule.ID, Path: p, Target: resolved, Stub: lib.Stub, Compat: lib.Compat})
		return
	}
	if rule := w.rules.LinkRule(p); rule != "" {
		w.keepLink(link{Rule: rule, Path: p, Target: resolved})
		return
	}
	if lib, version := w.rules.LibraryNamed(path.Base(resolved)); lib != nil && branched.MatchString(version) {
		w.keepLink(link{Rule: lib.Rule.ID, Path: p, Target: resolved, Aside: true})
	}
}

// branched is how the versions of drivers begin, Jetson's too.
var branched = regexp.MustCompile(`^[3-9][0-9]{2}\.[0-9]`)

// linkTarget returns the path that a symbolic link at p leads to.
func linkTarget(p, target string) string {
	if path.IsAbs(target) {
		return clean(target)
	}
	return clean(path.Dir(p) + "/" + target)
}

func (w *walker) keepLink(l link) {
	if len(w.facts.Links) >= maxHits || !w.text.take(2*len(l.Path)+len(l.Target)) {
		w.dropped++
		return
	}
	w.facts.Links = append(w.facts.Links, l)
}

// hardLink repeats the finding of the target, which stands before it in an archive
// that can be extracted. Else the name is judged, and the link kept to the end of
// the layer, when what the layer holds is known. A link that is too much to keep is
// no loss to the verdict: its target is a finding of its own.
func (w *walker) hardLink(p, target string) {
	if pkgdb.IsPlace(p) && !pkgdb.IsPlace(target) && w.hard.take(len(p)+len(target)) {
		w.facts.Records = append(w.facts.Records, link{Path: p, Target: target})
	}
	if w.repeat(p, target) {
		return
	}
	w.file(p, &tar.Header{Typeflag: tar.TypeLink, Mode: 0o755}, content{size: 1})
	if w.hard.take(len(p) + len(target)) {
		w.hardLinks = append(w.hardLinks, [2]string{p, target})
	}
}

// repeat records for p what was found at target.
func (w *walker) repeat(p, target string) bool {
	i, ok := w.hitAt[target]
	if ok {
		w.hit(w.facts.Hits[i].Rule, p, "hard link to "+target+": "+w.facts.Hits[i].Detail)
	}
	return ok
}

// resolveHardLinks keeps the links to lower layers.
func (w *walker) resolveHardLinks() {
	for _, l := range w.hardLinks {
		_, judged := w.hitAt[l[0]]
		if !judged && w.repeat(l[0], l[1]) || w.facts.Paths.has(pathFile, l[1]) {
			continue
		}
		w.facts.Hard = append(w.facts.Hard, link{Path: l[0], Target: l[1], Judged: judged})
	}
	w.hardLinks = nil
}

// hitFor turns a link of layer i into a finding; ok is false if it is harmless.
func (v *view) hitFor(i int, l link) (h hit, ok bool) {
	h = hit{Rule: l.Rule, Path: l.Path, Detail: "link to " + l.Target + rules.OfDriver(libraryVersion(l.Target))}
	fails := rules.Load().Severity(l.Rule) == SeverityFail
	switch {
	case fails && !v.exists(i, l.Target):
		h.Rule, h.Detail = ruleMountPoint, "dangling "+h.Detail
	case l.Aside: // the target is judged where it is
		return h, false
	case l.Rule == ruleProgram && !v.isProgram(l):
		return h, false
	case l.Stub && rules.InStubs(l.Target):
		h.Rule, h.Detail = ruleStubMisplaced, "link to the stub "+l.Target
		return h, !rules.InStubs(l.Path)
	case l.Compat && rules.InCompat(l.Path):
		return h, false
	}
	h.Detail += l.Owner
	return h, true
}

// What placer may put together, over all layers: the image's links so often, and some.
const (
	placedTimes = 8
	placedMore  = 100_000
)

// placer returns a function for the findings of layer i. What lies in the
// place of the forward-compat package by its name alone, through a linked directory of
// this layer or of one below, is a driver library where it really lies.
func (v *view) placer(i int) func(hit) hit {
	im := sync.OnceValue(func() *loader.Image { return v.links(i) })
	return func(h hit) hit {
		if h.Rule != ruleForwardCompat || strings.Contains(h.Path, inArchive) {
			return h
		}
		if im() == nil {
			return hit{ruleUnreadable, h.Path, "too many layers have links and " + h.Detail + ": where its directory leads was not followed"}
		}
		if dir, ok := im().Real(path.Dir(h.Path)); !ok || !rules.ForHook(dir+"/") {
			h.Rule, h.Detail = ruleLibrary, h.Detail+"; its directory is a link to /"+dir
		}
		return h
	}
}

// links is the directories and links as seen from layer i, nil if that is too much.
func (v *view) links(i int) *loader.Image {
	most := placedMore
	for _, f := range v.facts {
		most += placedTimes * len(f.Search.Links)
	}
	var layers []loader.Layer
	for k, f := range v.facts[:i+1] {
		v.placed += 1 + len(f.Search.Links)
		hidden := func(p string) bool { return v.paths.hider(p, k+1) <= i }
		layers = append(layers, loader.Layer{Facts: &loader.Facts{Links: f.Search.Links}, Hidden: hidden})
	}
	if v.placed > most {
		return nil
	}
	return loader.New(layers, v.paths.has, loader.Env{})
}

// isProgram reports whether a link at the name of a driver's program leads to one, or
// to another such link, and not to some other file that stands in for it.
func (v *view) isProgram(l link) bool {
	return slices.ContainsFunc(mergedNames(l.Target), func(p string) bool {
		return v.linkAt()[p] || v.found(p, len(v.facts)) != nil
	})
}

// libraryVersion returns what follows ".so." in a file name.
func libraryVersion(p string) string {
	_, version := rules.Load().LibraryNamed(path.Base(p))
	return version
}

// hardHits returns the findings that hard links of layer i share with lower layers.
func (v *view) hardHits(i int) []hit {
	var hits []hit
	for _, l := range v.facts[i].Hard {
		if h := v.found(l.Target, i); h != nil && !l.Judged {
			hits = append(hits, hit{h.Rule, l.Path, "hard link to " + l.Target + ": " + h.Detail})
		}
	}
	return hits
}
