// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// document returns one of the toolkit's documents, or of its source's.
func (t toolkitFile) document(s Source, name string) (Document, bool) {
	if d, ok := t.Documents[name]; ok {
		if d.Newest == "" {
			d.Newest = t.CUDA
		}
		return d, true
	}
	d, ok := s.Documents[name]
	return d, ok
}

// pin returns a component's version on the renderer's OS and platform and who gives it: a
// document that was read for them, one in which all were compared, or, where a later folder
// changes what others have read, that folder's file. Nobody is the zero Document.
func (r *renderer) pin(name string) (version string, from Document) {
	t := r.toolkit
	version, own := t.version(r.era, name, r.places...)
	switch {
	case version == pinNone || version == pinUnsourced:
		return version, Document{}
	case r.witness:
		return version, r.said("witness", t.Witness, func(string) bool { return true })
	}
	if own == "" && strings.Contains(version, "{") { // made from the toolkit's own number
		own = t.lines["version"].File
	}
	index, named := t.indexed(r.source, r.os, r.platform, name, own)
	if named {
		return version, index
	}
	if from, decided := r.read(own); decided {
		return version, from
	}
	for _, c := range r.era.Checked {
		d := r.source.Documents[c.Document]
		if t.compared(r.source) && compat.Compare(t.CUDA, d.Newest) <= 0 && slices.Contains(c.OS, r.os.Name) && (len(c.Pins) == 0 || slices.Contains(c.Pins, name)) {
			d.by = c.by
			return version, d
		}
	}
	return version, index
}

// readOn reports whether a document was read for images of a platform, or for all alike.
func (t toolkitFile) readOn(platform string) bool {
	for _, items := range t.Read {
		for _, item := range items {
			if _, on := place(item); on == "" || on == platform {
				return true
			}
		}
	}
	return false
}

// compared reports whether the release is one of those that the source's documents have: only
// their files were compared.
func (t toolkitFile) compared(s Source) bool {
	return slices.ContainsFunc(sortedKeys(t.Read), func(name string) bool { return s.Documents[name].Title != "" })
}

// read is the document that was read for the renderer's OS and platform. Of what a file of a
// later folder gives, own, only those count that this file names, and without any it is that
// file's own; it is decided then that nobody else gives it.
func (r *renderer) read(own string) (from Document, decided bool) {
	inOwn := func(document string) bool { return own == "" || r.toolkit.lines["read "+document].File == own }
	from = r.said("read", r.toolkit.Read, inOwn)
	if from.Title == "" && own != "" && !slices.ContainsFunc(sortedKeys(r.toolkit.Read), inOwn) {
		from = Document{Title: own}
	}
	return from, own != "" || from.Title != ""
}

// number is who gives the toolkit's own number, which is the same everywhere: the repository that
// is named for it, what was read for the OS, or else the first document of all.
func (r *renderer) number() Document {
	if r.witness {
		return r.said("witness", r.toolkit.Witness, func(string) bool { return true })
	}
	own := r.toolkit.lines["version"].File
	index, named := r.toolkit.indexed(r.source, r.os, r.platform, "version", own)
	if named {
		return index
	}
	from, decided := r.read(own)
	if decided {
		return from
	}
	if len(r.toolkit.Read) == 0 {
		return index
	}
	first := sortedKeys(r.toolkit.Read)[0]
	from, _ = r.toolkit.document(r.source, first)
	from.by = r.toolkit.by("read " + first)
	return from
}

// by is the file of a folder that has an entry such as "read S1", "" if it is cudabuild's own.
func (t toolkitFile) by(entry string) string { return cmp.Or(t.lines[entry].File, t.folder) }

// said returns the first document with the renderer's OS and platform, of those under a key.
func (r *renderer) said(key string, by map[string][]string, counts func(document string) bool) Document {
	for _, name := range sortedKeys(by) {
		if counts(name) && slices.ContainsFunc(by[name], func(place string) bool { return place == r.os.Name || place == r.places[0] }) {
			d, _ := r.toolkit.document(r.source, name)
			d.by = r.toolkit.by(key + " " + name)
			return d
		}
	}
	return Document{}
}

// WitnessedOn returns the witnesses of what an image of a flavor installs without a version, on
// any of the platforms, each once.
func (r Release) WitnessedOn(f Flavor, platforms []string) []Pin {
	var pins []Pin
	for _, platform := range platforms {
		on := r.On(platform)
		names := on.UnsourcedIn(f)
		for _, p := range on.Witnessed {
			if slices.Contains(names, p.Package) && !slices.Contains(pins, p) {
				pins = append(pins, p)
			}
		}
	}
	return pins
}

// Witness returns who says the version of a package that no document gives.
func (r Release) Witness(name string) (Pin, bool) {
	i := slices.IndexFunc(r.Witnessed, func(p Pin) bool { return p.Package == name })
	if i < 0 {
		return Pin{}, false
	}
	return r.Witnessed[i], true
}

// versionWords are the words of a package's version that a pin, or the toolkit, must give.
func versionWords(template string) []string {
	_, version, _ := strings.Cut(template, "=")
	var words []string
	for _, m := range wordForm.FindAllStringSubmatch(version, -1) {
		if !slices.Contains([]string{"X", "X.Y", "X-Y", "Z"}, m[1]) {
			words = append(words, m[1])
		}
	}
	return words
}
