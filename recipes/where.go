// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/spec"
)

// toolkitLines returns where a toolkit says what is in its layers, each version ("pin cublas",
// or "pin ubuntu20.04 cublas" where an OS, or a platform, or both differ) and each document that
// they were read from ("read S1").
func toolkitLines(f *spec.File) map[string]spec.Place {
	cuda := f.Exact("cuda")
	at := cmp.Or(f.Exact("pins"), cuda) // one number may be all there is
	lines := map[string]spec.Place{string(Base): at, string(Runtime): at, string(Devel): at, "samples": cuda, "version": cmp.Or(f.Exact("version"), cuda)}
	maps.Copy(lines, pinLines(f))
	for _, key := range []string{"read", "witness"} {
		for name, at := range f.Keys(key) {
			lines[key+" "+name] = at
		}
	}
	for name, at := range f.Keys("index") { // a state is another one when its sum is
		lines["index "+name] = cmp.Or(f.Exact("index", name, "sha256"), at)
	}
	return lines
}

// pinLines returns where a toolkit or an era says each version.
func pinLines(f *spec.File) map[string]spec.Place {
	lines := map[string]spec.Place{}
	for name, at := range f.Keys("pins") {
		lines["pin "+name] = at
	}
	for place := range f.Keys("differ") {
		for name, at := range f.Keys("differ", place) {
			lines["pin "+place+" "+name] = at
		}
	}
	return lines
}

// where is file and line of the number that fills in a template such as "{cublas}-1".
// What the toolkit does not say itself, its era makes from the toolkit's own number.
func (t toolkitFile) where(template string, places []string) string {
	at := t.lines["version"]
	for part := range strings.SplitSeq(template, "{") {
		word, _, closed := strings.Cut(part, "}")
		if !closed {
			continue
		}
		key := "pin " + word
		if i := slices.IndexFunc(places, func(place string) bool { return t.Differ[place][word] != "" }); i >= 0 {
			key = "pin " + places[i] + " " + word
		}
		if pin := t.lines[key]; pin.Line > 0 {
			at = pin
		}
	}
	return fmt.Sprintf("%s:%d", cmp.Or(at.File, t.path), at.Line)
}

// Pin returns the pin that a package of a layer's list is from, if it has one.
func (r Release) Pin(arg string) (Pin, bool) {
	for _, p := range r.Pins {
		if rest, ok := strings.CutPrefix(arg, p.Package); ok && (rest == "="+p.Version || rest == "-"+p.Version) {
			return p, true
		}
	}
	return Pin{}, false
}

// Where is the file that says what an OS is, or the files with commas between them.
func (o OS) Where() string { return o.path }

// Where is the file that says how a package manager is driven.
func (m Manager) Where() string { return m.path }

// Where is the file that says where a vendor's repositories are and who signs them.
func (s Source) Where() string { return s.path }
