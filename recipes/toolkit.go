// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// toolkitFile is one CUDA release of a vendor's repository, recipes/toolkit/NAME.yaml: its
// version numbers, each once. With its era they make a [Release] for each OS.
type toolkitFile struct {
	CUDA string `yaml:"cuda" form:"word"` // the word in cell IDs
	// Era is a name, "" for the newest era of the source that is not newer than the release.
	Era     string `yaml:"era"`
	Version string `yaml:"version" form:"word"` // CUDA_VERSION, cuda itself if it is not said
	// OS is which operating systems have images of it, by platform.
	OS map[string][]string `yaml:"os"`
	// Read is which operating systems Pins was read for, by document. For others a
	// pin counts only if the era has it checked.
	Read map[string][]string `yaml:"read"`
	// Pins are versions by component; "none" is not in the images, "unsourced" is in
	// them, but no document says in which version.
	Pins map[string]string `yaml:"pins"`
	// Differ is pins that are others on an OS ("ubuntu20.04"), on a platform ("linux/arm64")
	// or on an OS for a platform ("ubuntu20.04 linux/arm64").
	Differ map[string]map[string]string `yaml:"differ"`
	// Admits is which older drivers NVIDIA's images with cuda-compat admit. Of several
	// entries for a platform and OS the last counts.
	Admits []admits `yaml:"admits"`
	// Index is the repositories that pins were read from where no document gives them, by
	// their places: "ubuntu2404/x86_64".
	Index map[string]Index `yaml:"index" keys:"suite"`

	origin
}

// admits is a part of NVIDIA_REQUIRE_CUDA beside the plain cuda>=X.Y.
type admits struct {
	Platform string   `yaml:"platform"` // "": all
	OS       []string `yaml:"os"`       // none: all
	// Branches are words such as "tesla@418", one brand on one driver branch, or "A@535",
	// every brand of the source's list A.
	Branches string `yaml:"branches"`
}

// Values of a pin that are no version.
const (
	pinNone      = "none"
	pinUnsourced = "unsourced"
)

// systems returns every OS of the toolkit with its platforms, both sorted.
func (t toolkitFile) systems() map[string][]string {
	systems := map[string][]string{}
	for _, platform := range sortedKeys(t.OS) {
		for _, os := range t.OS[platform] {
			systems[os] = append(systems[os], platform)
		}
	}
	return systems
}

// document returns the document that the toolkit was read from for an OS, or else the
// first of all: the toolkit's own number and its package names are the same everywhere. A
// toolkit that no document has is from the repository, if that counts.
func (t toolkitFile) document(s Source, o OS, platform string) Document {
	documents := sortedKeys(t.Read)
	for _, document := range documents {
		if slices.Contains(t.Read[document], o.Name) {
			return s.Documents[document]
		}
	}
	if len(documents) == 0 {
		from, _ := t.indexed(s, o, platform, "version")
		return from
	}
	return s.Documents[documents[0]]
}

// places returns the keys of differ that are about an OS on a platform. Of several with
// one pin the first counts.
func places(os, platform string) []string { return []string{os + " " + platform, platform, os} }

// place returns the OS and the platform of a key of differ, either of which may be "".
func place(key string) (os, platform string) {
	os, platform, both := strings.Cut(key, " ")
	if !both && strings.Contains(key, "/") {
		return "", key
	}
	return os, platform
}

// differs reports whether any pin is another on that platform of the OS, or from elsewhere.
func (t toolkitFile) differs(e eraFile, os, platform string) bool {
	return len(t.Index) > 0 || slices.ContainsFunc(places(os, platform)[:2], func(key string) bool {
		return len(t.Differ[key]) > 0 || len(e.Differ[key]) > 0
	})
}

// version returns a component's version at these places, "" if nothing gives one.
func (t toolkitFile) version(e eraFile, name string, places ...string) string {
	for _, place := range places {
		if version := cmp.Or(t.Differ[place][name], e.Differ[place][name]); version != "" {
			return version
		}
	}
	return cmp.Or(t.Pins[name], e.Pins[name])
}

// pin returns a component's version on a platform of an OS and the document that gives
// it. The document is empty if none does.
func (t toolkitFile) pin(e eraFile, s Source, name string, o OS, platform string) (version string, from Document) {
	version = t.version(e, name, places(o.Name, platform)...)
	if version == pinNone || version == pinUnsourced {
		return version, Document{}
	}
	index, named := t.indexed(s, o, platform, name)
	if named {
		return index.or(version)
	}
	for _, document := range sortedKeys(t.Read) {
		if slices.Contains(t.Read[document], o.Name) {
			return version, s.Documents[document]
		}
	}
	for _, c := range e.Checked {
		compared := len(t.Read[c.Document]) > 0 && compat.Compare(t.CUDA, s.Documents[c.Document].Newest) <= 0
		if compared && slices.Contains(c.OS, o.Name) && (len(c.Pins) == 0 || slices.Contains(c.Pins, name)) {
			return version, s.Documents[c.Document]
		}
	}
	return index.or(version)
}

// or returns a version that the document gives, or that it is unsourced if there is none.
func (d Document) or(version string) (string, Document) {
	if d == (Document{}) {
		return pinUnsourced, d
	}
	return version, d
}

// admits returns the branches that the vendor admits beside the release itself.
func (t toolkitFile) admits(platform, os string) []string {
	var branches string
	for _, a := range t.Admits {
		if (a.Platform == "" || a.Platform == platform) && (len(a.OS) == 0 || slices.Contains(a.OS, os)) {
			branches = a.Branches
		}
	}
	return strings.Fields(branches)
}
