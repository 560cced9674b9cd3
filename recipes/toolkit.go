// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"slices"
	"strings"
)

// toolkitFile is one CUDA release of a vendor's repository, recipes/toolkit/NAME.yaml: its
// version numbers, each once. With its era they make a [Release] for each OS.
type toolkitFile struct {
	CUDA string `yaml:"cuda" form:"word"` // the word in cell IDs
	// Era is a name, "" for the newest era of the source that is not newer than the release.
	Era     string `yaml:"era"`
	Version string `yaml:"version" form:"word"` // CUDA_VERSION, cuda itself if it is not said
	Ends    ends   `yaml:"ends,whole"`          // if it is not as the source's policy has it
	// OS is which operating systems have images of it, by platform.
	OS map[string][]string `yaml:"os"`
	// Documents are those of this release alone, beside the source's.
	Documents map[string]Document `yaml:"documents,fixed" keys:"word" each:"document"`
	// Read is which operating systems Pins was read for, by document: "ubuntu24.04", or
	// "ubuntu24.04 linux/arm64" where it was for one platform only. For others a
	// pin counts only if the era has it checked.
	Read map[string][]string `yaml:"read"`
	// Witness is, in the same way, who else says so without being the vendor's own word for
	// that image. It is shown, and makes no pin count.
	Witness map[string][]string `yaml:"witness"`
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
	Index map[string]Index `yaml:"index,whole" keys:"suite"`

	folders []string // the file in every folder that has it, first to last
	origin
	folder string // the file, if a folder of the user's has it first
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

// differs reports whether any pin, or who says so, is another on that platform of the OS.
func (t toolkitFile) differs(e eraFile, os, platform string) bool {
	if len(t.Index) > 0 {
		return true
	}
	both := os + " " + platform
	for _, said := range []map[string][]string{t.Read, t.Witness} {
		for _, list := range said {
			if slices.Contains(list, both) {
				return true
			}
		}
	}
	return slices.ContainsFunc(places(os, platform)[:2], func(key string) bool {
		return len(t.Differ[key]) > 0 || len(e.Differ[key]) > 0
	})
}

// version returns a component's version at these places, "" if nothing gives one, and the
// file of a later folder that gives it, "" if none does.
func (t toolkitFile) version(e eraFile, name string, places ...string) (version, own string) {
	for _, place := range places {
		key := "pin " + place + " " + name
		if version := t.Differ[place][name]; version != "" {
			return version, t.lines[key].File
		}
		if version := e.Differ[place][name]; version != "" {
			return version, e.own[key]
		}
	}
	if version := t.Pins[name]; version != "" {
		return version, t.lines["pin "+name].File
	}
	return e.Pins[name], e.own["pin "+name]
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
