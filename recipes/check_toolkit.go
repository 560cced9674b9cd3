// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"regexp"
	"slices"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// checkToolkit returns the toolkit's era, and reports what would keep it from being
// rendered.
func (l *loader) checkToolkit(c *Catalog, eras map[string]eraFile, t toolkitFile) (eraFile, bool) {
	before := l.Count()
	f := l.files[t.file]
	if !compat.IsVersion(t.CUDA) || minor(t.CUDA) != t.CUDA && !compat.IsVersion(t.words()["version"]) {
		f.At(f.Find("cuda"), "", "cuda %q: want a version number", t.CUDA)
	}
	if version := t.words()["version"]; minor(version) != minor(t.CUDA) {
		f.At(f.Find("version"), "", "version %q is none of CUDA %s", version, minor(t.CUDA))
	}
	if len(t.OS) == 0 {
		f.At(f.Find("os"), "", "needs at least one os")
	}
	source := t.source(c)
	t.Ends.check(f, c.sources[source])
	e, ok := t.eraOf(eras, source)
	switch {
	case ok:
		source = e.Source
		t.checkPins(f, e)
		t.checkDocuments(f, c.sources[source])
		t.checkClaims(f, e, c)
		t.checkIndex(f, c, e)
	case t.Era != "":
		f.At(f.Find("era"), suggest.Hint(t.Era, sortedKeys(eras)), "unknown era %q", t.Era)
	case source != "" && compat.IsVersion(t.CUDA):
		f.At(f.Find("cuda"), "add one to era/, or name one as era", "source %q has no era as old as CUDA %s", source, t.CUDA)
	}
	t.checkSystems(f, c, source)
	return e, l.Count() == before
}

// eraOf returns the era that the toolkit names, or else the newest of the source that is
// not newer than the toolkit.
func (t toolkitFile) eraOf(eras map[string]eraFile, source string) (newest eraFile, ok bool) {
	if t.Era != "" {
		e, ok := eras[t.Era]
		return e, ok
	}
	for _, name := range sortedKeys(eras) {
		e := eras[name]
		fits := e.Source == source && compat.IsVersion(name) && compat.Compare(name, t.CUDA) <= 0
		if fits && (!ok || compat.Compare(newest.Name, name) < 0) {
			newest, ok = e, true
		}
	}
	return newest, ok
}

// source returns the source of the toolkit's first OS that has a recipe.
func (t toolkitFile) source(c *Catalog) (source string) {
	for _, name := range sortedKeys(t.systems()) {
		source = cmp.Or(source, c.os[name].Source)
	}
	return source
}

func (t toolkitFile) checkSystems(f *spec.File, c *Catalog, source string) {
	for _, platform := range sortedKeys(t.OS) {
		for _, name := range t.OS[platform] {
			at := f.Find("os", platform, name)
			o, ok := c.os[name]
			switch {
			case !ok:
				f.At(at, suggest.Hint(name, c.OSNames()), "os %q has no recipe", name)
			case o.Source != source:
				f.At(at, "", "os %q has source %q, not %q", name, o.Source, source)
			case o.Repository.Arch[platform] == "":
				f.At(at, suggest.Hint(platform, sortedKeys(o.Repository.Arch)), "the repository for %s has nothing for %s", name, platform)
			}
		}
	}
}

// checkPins reports pins that nothing uses, that are no versions, or that change nothing.
func (t toolkitFile) checkPins(f *spec.File, e eraFile) {
	check := func(pins map[string]string, path ...string) {
		e.checkUsed(f, pins, path...)
		for _, name := range sortedKeys(pins) {
			if !pinForm.MatchString(pins[name]) {
				f.At(f.Find(append(slices.Clip(path), name)...), "", "pin %s: %q is no version", name, pins[name])
			}
		}
	}
	check(t.Pins, "pins")
	for _, key := range sortedKeys(t.Differ) {
		t.checkPlace(f, key)
		check(t.Differ[key], "differ", key)
		for _, name := range sortedKeys(t.Differ[key]) {
			if version := t.Differ[key][name]; version == t.elsewhere(e, key, name) {
				f.At(f.Find("differ", key, name), "take it out", "pin %s is %s for %s without that", name, version, key)
			}
		}
	}
}

// elsewhere returns a pin as it would be if the toolkit did not say at that key of differ
// that it is another.
func (t toolkitFile) elsewhere(e eraFile, key, name string) string {
	var wider []string
	if os, platform := place(key); os != "" && platform != "" {
		wider = places(os, platform)[1:]
	}
	version, _ := t.version(e, name, wider...)
	return cmp.Or(e.Differ[key][name], version)
}

// checkPlace reports a key of differ that is about no OS and platform of the toolkit.
func (t toolkitFile) checkPlace(f *spec.File, key string) {
	os, platform := place(key)
	switch {
	case platform == "":
		t.checkOS(f, os, "differ", key)
	case t.OS[platform] == nil:
		f.At(f.Find("differ", key), suggest.Hint(platform, sortedKeys(t.OS)), "the toolkit is not for %s", platform)
	case os != "" && !slices.Contains(t.OS[platform], os):
		f.At(f.Find("differ", key), suggest.Hint(os, t.OS[platform]), "the toolkit has no os %q for %s", os, platform)
	}
}

// checkOS reports an OS that the toolkit is not for, at that path of its file.
func (t toolkitFile) checkOS(f *spec.File, os string, path ...string) {
	systems := t.systems()
	if _, ok := systems[os]; !ok {
		f.At(f.Find(path...), suggest.Hint(os, sortedKeys(systems)), "the toolkit has no os %q", os)
	}
}

// pinForm is what versions of deb and rpm may be, without an epoch.
var pinForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~_-]*$`)
