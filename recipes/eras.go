// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"slices"
	"strconv"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/suggest"
)

// readToolkits reads eras, by name, and toolkits.
func (l *loader) readToolkits() (eras map[string]Era, toolkits []Toolkit) {
	eras = map[string]Era{}
	readAll(l, "era", func(name string, e Era) {
		eras[e.Name] = e
		l.named(name, "era", e.Name)
	})
	readAll(l, "toolkit", func(name string, t Toolkit) {
		f := l.files[name]
		t.file, t.path = name, f.path
		t.lines = toolkitLines(f)
		toolkits = append(toolkits, t)
		l.named(name, "cuda", t.CUDA)
	})
	return eras, toolkits
}

// render adds the releases that toolkits make with their eras.
func (l *loader) render(c *Catalog, eras map[string]Era, toolkits []Toolkit) {
	full := map[string]Era{}
	for _, name := range sortedKeys(eras) {
		e := l.whole(eras, name, nil)
		e.used = e.words()
		l.checkEra(c, e, eras[name].Checked)
		full[name] = e
	}
	for _, t := range toolkits {
		if e, ok := l.checkToolkit(c, full, t); ok {
			l.add(c, e, t)
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

// checkEra reports what is wrong with an era; own is what its file has under checked.
func (l *loader) checkEra(c *Catalog, e Era, own []Checked) {
	f := l.files["era/"+e.Name+".yaml"]
	if _, ok := c.sources[e.Source]; !ok {
		f.bad("source", suggest.Hint(e.Source, sortedKeys(c.sources)), "source %q has no recipe", e.Source)
	}
	for _, kind := range sortedKeys(e.Packages) {
		if kind != "deb" && kind != "rpm" {
			f.at(f.find("packages", kind), "", "unknown kind of packages %q (want deb or rpm)", kind)
		}
		for _, flavor := range sortedKeys(e.layers(kind)) {
			if flavor != compatLayer && !flavor.known() {
				f.at(f.find("packages", kind, string(flavor)), "", "unknown layer %q (want base, runtime, devel, compat, or a variant such as cudnn8-runtime)", flavor)
			}
		}
	}
	for i, check := range own {
		at := f.find("checked", strconv.Itoa(i), "document")
		if d, ok := c.sources[e.Source].Documents[check.Document]; !ok {
			f.at(at, "", "unknown document %q", check.Document)
		} else if !compat.IsVersion(d.Newest) {
			f.at(at, "give it newest, a CUDA release, in repository/", "document %q does not say what its newest release is", check.Document)
		}
	}
}
