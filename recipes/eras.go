// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/suggest"
)

// toolkits reads eras and toolkits and adds the releases that they make.
func (l *loader) toolkits(c *Catalog) {
	eras := map[string]Era{}
	readAll(l, "era", func(name string, e Era) {
		eras[e.Name] = e
		l.named(name, "era", e.Name)
	})
	var all []Toolkit
	readAll(l, "toolkit", func(name string, t Toolkit) {
		f := l.files[name]
		t.file, t.path = name, f.path
		t.lines = toolkitLines(f)
		all = append(all, t)
		l.named(name, "cuda", t.CUDA)
	})
	if len(l.problems) > 0 {
		return
	}
	full := map[string]Era{}
	for _, name := range sortedKeys(eras) {
		e := l.whole(eras, name, nil)
		e.used = e.words()
		l.checkEra(c, e)
		full[name] = e
	}
	for _, t := range all {
		if l.checkToolkit(c, full, t) {
			l.add(c, full[t.Era], t)
		}
	}
}

// whole returns an era with all that it takes from others.
func (l *loader) whole(eras map[string]Era, name string, above []string) Era {
	e := eras[name]
	f := l.files["era/"+name+".yaml"]
	switch _, known := eras[e.Like]; {
	case e.Like == "":
		return e
	case !known:
		f.bad("like", suggest.Hint(e.Like, sortedKeys(eras)), "unknown era %q", e.Like)
		return e
	case slices.Contains(above, e.Like) || e.Like == name:
		f.bad("like", "", "era %q is like itself", name)
		return e
	}
	return e.over(l.whole(eras, e.Like, append(above, name)))
}

// add adds a toolkit's releases, one for each OS.
func (l *loader) add(c *Catalog, e Era, t Toolkit) {
	source := c.sources[e.Source]
	systems := t.systems()
	for _, name := range sortedKeys(systems) {
		r, err := t.release(e, source, c.os[name], systems[name])
		if err != nil {
			l.files[t.file].bad("pins", "", "%v", err)
			return
		}
		c.releases = append(c.releases, r)
	}
}

func (l *loader) checkEra(c *Catalog, e Era) {
	f := l.files["era/"+e.Name+".yaml"]
	if _, ok := c.sources[e.Source]; !ok {
		f.bad("source", suggest.Hint(e.Source, sortedKeys(c.sources)), "source %q has no recipe", e.Source)
	}
	for _, kind := range sortedKeys(e.Packages) {
		if kind != "deb" && kind != "rpm" {
			f.bad("packages", "", "unknown kind of packages %q (want deb or rpm)", kind)
		}
		for _, flavor := range sortedKeys(e.layers(kind)) {
			if flavor != compatLayer && !flavor.known() {
				f.bad("packages", "", "unknown layer %q (want base, runtime, devel, compat, or a variant such as cudnn8-runtime)", flavor)
			}
		}
	}
	for _, check := range e.Checked {
		if _, ok := c.sources[e.Source].Documents[check.Document]; !ok {
			f.bad("checked", "", "unknown document %q", check.Document)
		}
	}
}

// checkToolkit reports what would keep the toolkit from being rendered.
func (l *loader) checkToolkit(c *Catalog, eras map[string]Era, t Toolkit) bool {
	before := len(l.problems)
	f := l.files[t.file]
	e, ok := eras[t.Era]
	if !ok {
		f.bad("era", suggest.Hint(t.Era, sortedKeys(eras)), "unknown era %q", t.Era)
		return false
	}
	if !compat.IsVersion(t.CUDA) || minor(t.CUDA) != t.CUDA && !compat.IsVersion(t.words()["version"]) {
		f.bad("cuda", "", "cuda %q: want a version number", t.CUDA)
	}
	if len(t.OS) == 0 {
		f.bad("os", "", "needs at least one os")
	}
	t.checkSystems(f, c, e.Source)
	t.checkPins(f, e)
	t.checkDocuments(f, c.sources[e.Source])
	return len(l.problems) == before
}

func (t Toolkit) checkSystems(f *file, c *Catalog, source string) {
	for _, platform := range sortedKeys(t.OS) {
		for _, name := range t.OS[platform] {
			o, ok := c.os[name]
			switch {
			case !ok:
				f.bad("os", suggest.Hint(name, c.OSNames()), "os %q has no recipe", name)
			case o.Source != source:
				f.bad("os", "", "os %q has source %q, not %q", name, o.Source, source)
			case o.Repository.Arch[platform] == "":
				f.bad("os", "", "the repository for %s has nothing for %s", name, platform)
			}
		}
	}
}

// checkPins reports pins that nothing uses: most likely their name is wrong.
func (t Toolkit) checkPins(f *file, e Era) {
	check := func(key string, pins map[string]string) {
		for _, name := range sortedKeys(pins) {
			if !slices.Contains(e.used, name) {
				f.bad(key, suggest.Hint(name, e.used), "no package of era %q uses the pin %q", e.Name, name)
			}
			if !pinForm.MatchString(pins[name]) {
				f.bad(key, "", "pin %s: %q is no version", name, pins[name])
			}
		}
	}
	check("pins", t.Pins)
	for _, os := range sortedKeys(t.Differ) {
		if _, ok := t.systems()[os]; !ok {
			f.bad("differ", suggest.Hint(os, sortedKeys(t.systems())), "the toolkit has no os %q", os)
		}
		check("differ", t.Differ[os])
	}
}

// pinForm is what versions of deb and rpm may be, without an epoch.
var pinForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~_-]*$`)

func (t Toolkit) checkDocuments(f *file, s Source) {
	if len(t.Read) == 0 {
		f.bad("read", "", "needs a document that the pins were read from")
	}
	for _, document := range sortedKeys(t.Read) {
		if _, ok := s.Documents[document]; !ok {
			f.bad("read", suggest.Hint(document, sortedKeys(s.Documents)), "unknown document %q", document)
		}
		for _, os := range t.Read[document] {
			if _, ok := t.systems()[os]; !ok {
				f.bad("read", suggest.Hint(os, sortedKeys(t.systems())), "the toolkit has no os %q", os)
			}
		}
	}
	for _, a := range t.Admits {
		for word := range strings.FieldsSeq(a.Branches) {
			if _, err := s.alternatives(word); err != nil {
				f.bad("admits", "", "%v", err)
			}
		}
		for _, os := range a.OS {
			if _, ok := t.systems()[os]; !ok {
				f.bad("admits", suggest.Hint(os, sortedKeys(t.systems())), "the toolkit has no os %q", os)
			}
		}
	}
	if s.samples(t.CUDA).PTX == 0 {
		f.bad("cuda", "", "source %q has no compiler as old as CUDA %s", s.Name, t.CUDA)
	}
}
