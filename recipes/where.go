// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/spec"
)

// toolkitLines returns where a toolkit says what is in its layers, and each version:
// "pin cublas", or "pin ubuntu20.04 cublas" where an OS (or a platform, or both) differs.
func toolkitLines(f *spec.File) map[string]int {
	cuda := f.Line("cuda")
	at := cmp.Or(f.Line("pins"), cuda) // one number may be all there is
	lines := map[string]int{string(Base): at, string(Runtime): at, string(Devel): at, "samples": cuda, "version": cmp.Or(f.Line("version"), cuda)}
	for name, line := range f.Lines("pins") {
		lines["pin "+name] = line
	}
	for place := range f.Lines("differ") {
		for name, line := range f.Lines("differ", place) {
			lines["pin "+place+" "+name] = line
		}
	}
	return lines
}

// where is file and line of the number that fills in a template such as "{cublas}-1".
// What the toolkit does not say itself, its era makes from the toolkit's own number.
func (t toolkitFile) where(template string, places []string) string {
	line := t.lines["version"]
	for part := range strings.SplitSeq(template, "{") {
		word, _, closed := strings.Cut(part, "}")
		if !closed {
			continue
		}
		key := "pin " + word
		if i := slices.IndexFunc(places, func(place string) bool { return t.Differ[place][word] != "" }); i >= 0 {
			key = "pin " + places[i] + " " + word
		}
		if at := t.lines[key]; at > 0 {
			line = at
		}
	}
	return fmt.Sprintf("%s:%d", t.path, line)
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

// Where is the file that says what an OS is.
func (o OS) Where() string { return o.path }

// Where is the file that says how a package manager is driven.
func (m Manager) Where() string { return m.path }

// Where is the file that says where a vendor's repositories are and who signs them.
func (s Source) Where() string { return s.path }
