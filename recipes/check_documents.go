// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

const kindCopy = "copy"

// check reports what is wrong with a document of the file by itself.
func (d Document) check(f *spec.File, name string) {
	at := f.Find("documents", name)
	if d.Title == "" || !isDate(d.Date) {
		f.At(at, "", "document %s: want a title and a date", name)
	}
	if d.Kind != "" && d.Kind != kindCopy {
		f.At(f.Find("documents", name, "kind"), suggest.Hint(d.Kind, []string{kindCopy}), "document %s: unknown kind %q (want copy, or none for the vendor's own)", name, d.Kind)
	}
}

// ends returns what is wrong with saying that a CUDA release for an OS ("" for any) was read in
// the document, "" if nothing is.
func (d Document) ends(name, cuda, os string) (problem, hint string) {
	switch {
	case !compat.IsVersion(d.Newest):
		return fmt.Sprintf("document %q does not say what its newest release is", name), "give it newest, a CUDA release, where documents has it"
	case compat.Compare(cuda, d.Newest) > 0:
		return fmt.Sprintf("document %q ends at CUDA %s: it has no %s", name, d.Newest, cuda), "name the document that has it, in repository/ or under documents of this file"
	case os != "" && len(d.OS) > 0 && !slices.Contains(d.OS, os):
		return fmt.Sprintf("document %q has nothing about %s", name, os), "it has " + strings.Join(d.OS, ", ")
	}
	return "", ""
}

func (t toolkitFile) checkDocuments(f *spec.File, s Source) {
	if len(t.Read)+len(t.Witness)+len(t.Index) == 0 {
		f.At(f.Find("read"), "name it under read, or under witness one that is not the vendor's own", "needs a document that the pins were read from, or a repository (index)")
	}
	for _, name := range sortedKeys(t.Documents) {
		t.Documents[name].check(f, name)
		if _, twice := s.Documents[name]; twice {
			f.At(f.Find("documents", name), "give it another name", "document %q is one of source %q", name, s.Name)
		}
		for _, other := range sortedKeys(s.Documents) {
			if strings.EqualFold(s.Documents[other].Title, t.Documents[name].Title) {
				f.At(f.Find("documents", name, "title"), "name "+other+" under read, or say what this one is", "document %q has the title of %s", name, other)
			}
		}
	}
	t.checkSaid(f, s, "read", t.Read)
	t.checkSaid(f, s, "witness", t.Witness)
	for i, a := range t.Admits {
		t.checkAdmits(f, s, a, strconv.Itoa(i))
	}
	if s.samples(t.CUDA).PTX == 0 {
		f.At(f.Find("cuda"), "", "source %q has no compiler as old as CUDA %s", s.Name, t.CUDA)
	}
}

// checkSaid reports documents that cannot say what a key of the toolkit says they do.
func (t toolkitFile) checkSaid(f *spec.File, s Source, key string, said map[string][]string) {
	for _, name := range sortedKeys(said) {
		at := f.Find(key, name)
		d, ok := t.document(s, name)
		if !ok {
			f.At(at, suggest.Hint(name, append(sortedKeys(s.Documents), sortedKeys(t.Documents)...)), "unknown document %q", name)
			continue
		}
		if key == "read" && d.Kind == kindCopy {
			f.At(at, "move it to witness", "document %q is a copy, not the vendor's own: nothing is read in it", name)
		}
		if problem, hint := d.ends(name, t.CUDA, ""); problem != "" {
			f.At(at, hint, "%s", problem)
			continue
		}
		for _, item := range said[name] {
			os, platform := place(item)
			at := f.Find(key, name, item)
			if problem, hint := d.ends(name, t.CUDA, os); problem != "" {
				f.At(at, hint, "%s", problem)
			}
			if os == "" || platform == "" {
				t.checkOS(f, item, key, name, item)
			} else if !slices.Contains(t.OS[platform], os) {
				f.At(at, suggest.Hint(os, t.OS[platform]), "the toolkit has no os %q for %s", os, platform)
			}
		}
	}
}

// checkClaims reports versions that nobody gives where the toolkit says them: they would stand
// there as if somebody did, and be unsourced.
func (t toolkitFile) checkClaims(f *spec.File, e eraFile, c *Catalog) {
	systems := t.systems()
	given := func(key, name string) bool {
		os, platform := place(key)
		for _, system := range sortedKeys(systems) {
			for _, p := range systems[system] {
				if os != "" && os != system || platform != "" && platform != p {
					continue
				}
				if t.names(c.sources[e.Source], c.os[system], p, name) {
					return true
				}
				r := &renderer{toolkit: t, era: e, source: c.sources[e.Source], os: c.os[system], platform: p, places: places(system, p), witness: true}
				if _, from := r.pin(name); from.Title != "" {
					return true
				}
				r.witness = false
				if _, from := r.pin(name); from.Title != "" {
					return true
				}
			}
		}
		return false
	}
	check := func(key string, pins map[string]string, path ...string) {
		for _, name := range sortedKeys(pins) {
			if v := pins[name]; v != pinNone && v != pinUnsourced && !given(key, name) {
				f.At(f.Find(append(path, name)...), "list the OS under read of the document that has it, under witness, or its repository under index", "pin %s: no document gives it", name)
			}
		}
	}
	check("", t.Pins, "pins")
	for _, key := range sortedKeys(t.Differ) {
		check(key, t.Differ[key], "differ", key)
	}
}

// checkAdmits reports words of the toolkit's entry i that stand for nothing, or for a driver on
// which cuda-compat of the release does not run.
func (t toolkitFile) checkAdmits(f *spec.File, s Source, a admits, i string) {
	at := f.Find("admits", i, "branches")
	for word := range strings.FieldsSeq(a.Branches) {
		if _, err := s.alternatives(word); err != nil {
			f.At(at, "", "%v", err)
			continue
		}
		_, branch, _ := strings.Cut(word, "@")
		if problem, hint := t.notForward(branch); problem != "" {
			f.At(at, hint, "%q: %s", word, problem)
		}
	}
	for _, os := range a.OS {
		t.checkOS(f, os, "admits", i, "os", os)
	}
	for _, platform := range sortedKeys(t.OS) {
		if (a.Platform == "" || a.Platform == platform) && !t.readOn(platform) {
			f.At(f.Find("admits", i), "give it a platform that a document was read for, or take it out", "admits: no document was read for %s", platform)
		}
	}
	if a.Platform != "" && t.OS[a.Platform] == nil {
		f.At(f.Find("admits", i, "platform"), suggest.Hint(a.Platform, sortedKeys(t.OS)), "the toolkit is not for %s", a.Platform)
	}
}

// notForward returns why cuda-compat of the release does not run on a driver branch.
func (t toolkitFile) notForward(branch string) (problem, hint string) {
	major, forward := compat.Major(branch), compat.Forward(t.CUDA)
	names := make([]string, len(forward))
	for i, b := range forward {
		names[i] = strconv.Itoa(b)
	}
	known := "it does on " + strings.Join(names, ", ")
	switch {
	case slices.Contains(forward, major):
		return "", ""
	case !slices.Contains(compat.Branches(), major):
		return "there is no driver branch " + branch, known
	case len(forward) == 0:
		return "no table says on which drivers cuda-compat of CUDA " + minor(t.CUDA) + " runs", "take it out: drivers of the release itself are admitted without"
	case compat.Compare(compat.DriverCUDA(branch), minor(t.CUDA)) >= 0:
		return "driver branch " + branch + " is not older than CUDA " + minor(t.CUDA), "take it out: it is admitted without"
	}
	return "cuda-compat of CUDA " + minor(t.CUDA) + " does not run on driver branch " + branch, known
}

// checkChecked reports entry i of what an era's file says was compared, if it cannot have been.
func (c *Catalog) checkChecked(f *spec.File, e eraFile, check checked, i string) {
	d, ok := c.sources[e.Source].Documents[check.Document]
	at, since := f.Find("checked", i, "document"), "0"
	if compat.IsVersion(e.Name) {
		since = e.Name
	}
	problem, hint := d.ends(check.Document, since, "")
	switch {
	case !ok:
		f.At(at, suggest.Hint(check.Document, sortedKeys(c.sources[e.Source].Documents)), "unknown document %q", check.Document)
		return
	case d.Kind == kindCopy:
		f.At(at, "", "document %q is a copy, not the vendor's own: nothing is read in it", check.Document)
	case problem != "":
		f.At(at, hint, "%s", problem)
	}
	for _, os := range check.OS {
		at := f.Find("checked", i, "os", os)
		if o, known := c.os[os]; !known || o.Source != e.Source {
			f.At(at, suggest.Hint(os, c.OSNames()), "source %q has no os %q", e.Source, os)
		} else if len(d.OS) > 0 && !slices.Contains(d.OS, os) {
			f.At(at, "", "document %q has nothing about %s", check.Document, os)
		}
	}
	for _, name := range check.Pins {
		if !slices.Contains(e.used, name) {
			f.At(f.Find("checked", i, "pins", name), suggest.Hint(name, e.used), "no package of era %q uses the pin %q", e.Name, name)
		}
	}
}

// checkPackages reports a version that an era's file says itself: no toolkit's document would
// have it.
func (e eraFile) checkPackages(f *spec.File, own eraFile) {
	for _, kind := range sortedKeys(own.Packages) {
		for _, flavor := range sortedKeys(own.Packages[kind]) {
			for _, p := range own.Packages[kind][flavor].Packages {
				if strings.Contains(p, "=") && len(versionWords(p)) == 0 {
					f.At(f.Find("packages", kind, string(flavor), "packages", p), "write {name}, and the version as a pin of the toolkits", "package %q: its version is no pin", p)
				}
			}
		}
	}
}
