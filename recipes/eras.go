// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// readToolkits reads eras, by name, and toolkits.
func (l *loader) readToolkits() (eras map[string]eraFile, toolkits []toolkitFile) {
	eras = map[string]eraFile{}
	readAll(l, "era", func(name string, e eraFile) {
		e.own = map[string]string{}
		for key, at := range pinLines(l.files[name]) {
			if at.File != "" {
				e.own[key] = at.File
			}
		}
		for i := range e.Checked {
			e.Checked[i].by = cmp.Or(l.files[name].Find("checked").File, l.foreign(name))
		}
		eras[e.Name] = e
		l.named(name, "era", e.Name)
	})
	readAll(l, "toolkit", func(name string, t toolkitFile) {
		f := l.files[name]
		t.origin = origin{name, f.Path, toolkitLines(f), nil}
		t.folder = l.foreign(name)
		for _, p := range l.parts[name] {
			t.folders = append(t.folders, p.path)
		}
		toolkits = append(toolkits, t)
		l.named(name, "cuda", t.CUDA)
	})
	return eras, toolkits
}

// render adds the releases that toolkits make with their eras.
func (l *loader) render(c *Catalog, eras map[string]eraFile, toolkits []toolkitFile) {
	full := map[string]eraFile{}
	for _, name := range sortedKeys(eras) {
		e := l.whole(eras, name, nil)
		e.used, e.files = e.words(), lineage(eras, name)
		l.checkEra(c, e, eras[name])
		full[name] = e
	}
	newest := newestPoints(c, toolkits)
	c.eras, c.toolkits = full, toolkits
	for _, t := range toolkits {
		if e, ok := l.checkToolkit(c, full, t); ok {
			l.add(c, e, t, newest)
		}
	}
}

// whole returns an era with all that it takes from others.
func (l *loader) whole(eras map[string]eraFile, name string, above []string) eraFile {
	e := eras[name]
	f := l.files["era/"+name+".yaml"]
	switch _, known := eras[e.Like]; {
	case e.Like == "":
		return e
	case !known:
		f.At(f.Find("like"), suggest.Hint(e.Like, sortedKeys(eras)), "unknown era %q", e.Like)
		return e
	case slices.Contains(above, e.Like) || e.Like == name:
		f.At(f.Find("like"), "", "era %q is like itself", name)
		return e
	}
	return e.over(l.whole(eras, e.Like, append(above, name)))
}

// lineage is the file of an era and those of all that it is like, in the end.
func lineage(eras map[string]eraFile, name string) (files []string) {
	for file := "era/" + name + ".yaml"; name != "" && !slices.Contains(files, file); file = "era/" + name + ".yaml" {
		files = append(files, file)
		name = eras[name].Like
	}
	return files
}

// add adds a toolkit's releases, one for each OS.
func (l *loader) add(c *Catalog, e eraFile, t toolkitFile, newest map[point]string) {
	source := c.sources[e.Source]
	systems := t.systems()
	for _, name := range sortedKeys(systems) {
		r, err := t.everywhere(e, source, c.os[name], systems[name])
		if err != nil {
			none, _ := errors.AsType[noPinError](err)
			f := l.files[t.file]
			f.At(f.Find("pins", string(none)), "", "%v", err)
			return
		}
		r.eras, r.Ends = e.files, t.end(source, name, newest)
		c.releases = append(c.releases, r)
	}
}

// checkEra reports what is wrong with an era; own is what its file says itself.
func (l *loader) checkEra(c *Catalog, e, own eraFile) {
	f := l.files["era/"+e.Name+".yaml"]
	if _, ok := c.sources[e.Source]; !ok {
		f.At(f.Find("source"), suggest.Hint(e.Source, sortedKeys(c.sources)), "source %q has no recipe", e.Source)
	}
	for _, kind := range sortedKeys(e.Packages) {
		if kind != "deb" && kind != "rpm" {
			f.At(f.Find("packages", kind), "", "unknown kind of packages %q (want deb or rpm)", kind)
		}
		for _, flavor := range sortedKeys(e.layers(kind)) {
			if flavor != compatLayer && !flavor.known() {
				f.At(f.Find("packages", kind, string(flavor)), "", "unknown layer %q (want base, runtime, devel, compat, or a variant such as cudnn8-runtime)", flavor)
			}
		}
	}
	e.checkDiffer(f, c, own.Differ)
	e.checkPackages(f, own)
	for i, check := range own.Checked {
		c.checkChecked(f, e, check, strconv.Itoa(i))
	}
}

// checkDiffer reports what a file of the era says of no package, or of no OS and platform.
func (e eraFile) checkDiffer(f *spec.File, c *Catalog, own map[string]map[string]string) {
	for _, key := range sortedKeys(own) {
		name, platform := place(key)
		at := f.Find("differ", key)
		if _, known := c.os[name]; name != "" && !known {
			f.At(at, suggest.Hint(name, c.OSNames()), "os %q has no recipe", name)
		} else if platform != "" && !c.packaged(e.Source, name, platform) {
			f.At(at, "", "source %q has no packages for %s", e.Source, key)
		}
		e.checkUsed(f, own[key], "differ", key)
	}
}

// packaged reports whether the source has a repository of that OS for that platform; of
// any OS if its name is "".
func (c *Catalog) packaged(source, name, platform string) bool {
	for _, o := range c.os {
		if o.Source == source && (name == "" || o.Name == name) && o.Repository.Arch[platform] != "" {
			return true
		}
	}
	return false
}

// checkUsed reports pins that nothing uses: most likely their name is wrong.
func (e eraFile) checkUsed(f *spec.File, pins map[string]string, path ...string) {
	for _, name := range sortedKeys(pins) {
		if !slices.Contains(e.used, name) {
			f.At(f.Find(append(slices.Clip(path), name)...), suggest.Hint(name, e.used), "no package of era %q uses the pin %q", e.Name, name)
		}
	}
}
