// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

const (
	goodRepository = `source: mine
roots: {mine: "https://packages.example/cuda"}
keys: [{id: 3bf863cc, file: mine.pub, sha256: a21c1a0b18a4196fa901b833e13c4fa64f094d7d9e8a6495318e7255f0ef23d1, since: 2024-01-01, serves: [deb]}]
documents: {D: {title: the notes, date: 2024-01-01, newest: "12.6.9", os: [mine1, mine2]}}
brands: {X: [tesla, grid]}
compilers: [{since: "12.0", sass: [50], ptx: 50}]
`
	goodEra = `era: mine
source: mine
pins: {extra: none}
layers: {base: {size_mb: 1}}
packages:
  deb:
    base: {packages: ["cudart-{X-Y}={cudart}-1", "more={extra}"]}
    runtime: {packages: ["libs-{X-Y}={version}-1"]}
    devel: {packages: ["tools-{X-Y}={version}-1"]}
`
	goodVendorOS = `os: mine1
title: Mine
source: mine
manager: apt
image: docker.io/library/mine:1
repository: {dir: mine1, packages: deb, arch: {linux/amd64: x86_64}}
overrides: [{since: 2024-01-01, why: moved, image: "docker.io/library/mine:2"}]
`
	goodToolkit = `cuda: "12.6.9"
era: mine
os: {linux/amd64: [mine1]}
read: {D: [mine1]}
pins: {cudart: 12.6.1}
admits: [{branches: X@535 tesla@470}]
`
)

// vendorFiles is a whole vendor of one's own, with an OS of which nothing was read.
func vendorFiles() map[string]string {
	return map[string]string{
		"os/mine2.yaml":        strings.Replace(goodVendorOS, "os: mine1", "os: mine2", 1),
		"repository/mine.yaml": goodRepository, "era/mine.yaml": goodEra, "os/mine1.yaml": goodVendorOS, "toolkit/12.6.9.yaml": goodToolkit,
	}
}

func TestVendorOfOnesOwn(t *testing.T) {
	t.Parallel()
	own := dir(t, vendorFiles())
	c := load(t, own)
	r := find(t, c, "mine1", "12.6.9")
	if got := r.Layers[recipes.Base].Packages; len(got) != 1 || got[0] != "cudart-12-6=12.6.1-1" {
		t.Errorf("base installs %v", got)
	}
	want := recipes.Pin{
		Package: "cudart-12-6", Version: "12.6.1-1", Source: "the notes", Date: "2024-01-01",
		Where: filepath.Join(own, "toolkit", "12.6.9.yaml") + ":5", By: filepath.Join(own, "toolkit", "12.6.9.yaml"),
	}
	if r.Pins[0] != want {
		t.Errorf("pin %+v, want %+v", r.Pins[0], want)
	}
	o, _ := c.OS("mine1")
	if o.Image != "docker.io/library/mine:2" || addresses(t, c, "mine1", "linux/amd64")[0].URL != "https://packages.example/cuda/mine1/x86_64" {
		t.Errorf("mine1 starts from %s with packages of %+v", o.Image, addresses(t, c, "mine1", "linux/amd64"))
	}
}

func TestVendorLoadRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ file, old, replacement, want string }{
		"unknown toolkit key":      {"toolkit/12.6.9.yaml", "pins:", "pin:", `FILE:5:1: unknown key "pin" in the recipe`},
		"unknown era key":          {"era/mine.yaml", "size_mb", "size", `FILE:4:17: unknown key "size" in layers base`},
		"unknown source key":       {"repository/mine.yaml", "serves:", "for:", `unknown key "for" in an entry of keys`},
		"unknown override":         {"os/mine1.yaml", "why: moved", "because: moved", `unknown key "because" in an entry of overrides`},
		"toolkit named else":       {"toolkit/12.6.9.yaml", `"12.6.9"`, `"12.6.8"`, `FILE:1:1: is about "12.6.8", so its name must be 12.6.8.yaml`},
		"unknown era":              {"toolkit/12.6.9.yaml", "era: mine", "era: mime", `FILE:2:1: unknown era "mime"`},
		"unknown pin":              {"toolkit/12.6.9.yaml", "cudart:", "cudrat:", `FILE:5:8: no package of era "mine" uses the pin "cudrat"`},
		"missing pin":              {"toolkit/12.6.9.yaml", "{cudart: 12.6.1}", "{}", `no pin "cudart" (give a version, none or unsourced)`},
		"pin is no version":        {"toolkit/12.6.9.yaml", "12.6.1", "'1 libcuda1'", `FILE:5:8: pin cudart: "1 libcuda1" is no version`},
		"unknown document":         {"toolkit/12.6.9.yaml", "read: {D:", "read: {E:", `FILE:4:8: unknown document "E"`},
		"read for another os":      {"toolkit/12.6.9.yaml", "read: {D: [mine1]}", "read: {D: [mine2]}", `FILE:4:12: the toolkit has no os "mine2"`},
		"nothing read":             {"toolkit/12.6.9.yaml", "read: {D: [mine1]}", "read: {}", `FILE:4:1: needs a document`},
		"unknown os":               {"toolkit/12.6.9.yaml", "os: {linux/amd64: [mine1]}", "os: {linux/amd64: [plan9]}", `FILE:3:20: os "plan9" has no recipe`},
		"os of another source":     {"toolkit/12.6.9.yaml", "[mine1]}\nread", "[mine1, debian13]}\nread", `FILE:3:27: os "debian13" has source "debian", not "mine"`},
		"unknown platform":         {"toolkit/12.6.9.yaml", "linux/amd64: [mine1]", "linux/arm64: [mine1]", `FILE:3:20: the repository for mine1 has nothing for linux/arm64`},
		"platform for another":     {"toolkit/12.6.9.yaml", "{branches: X@535 tesla@470}", "{platform: linux/arm64, branches: X@535}", `FILE:6:11: the toolkit is not for linux/arm64`},
		"admits for another os":    {"toolkit/12.6.9.yaml", "{branches: X@535 tesla@470}", "{os: [mine2], branches: X@535}", `FILE:6:16: the toolkit has no os "mine2"`},
		"differs for another os":   {"toolkit/12.6.9.yaml", "admits:", "differ:\n  mine2: {cudart: 1.2}\nadmits:", `FILE:7:3: the toolkit has no os "mine2"`},
		"wrong pin differs":        {"toolkit/12.6.9.yaml", "admits:", "differ:\n  mine1: {extra: 1.2, cudrat: 1.2}\nadmits:", `FILE:7:23: no package of era "mine" uses the pin "cudrat"`},
		"differs for no platform":  {"toolkit/12.6.9.yaml", "admits:", "differ:\n  linux/arm64: {cudart: 1.2}\nadmits:", `FILE:7:3: the toolkit is not for linux/arm64`},
		"differs for another pair": {"toolkit/12.6.9.yaml", "admits:", "differ:\n  mine2 linux/amd64: {cudart: 1.2}\nadmits:", `FILE:7:3: the toolkit has no os "mine2" for linux/amd64`},
		"differs in a wrong pin":   {"toolkit/12.6.9.yaml", "admits:", "differ:\n  linux/amd64: {cudrat: 1.2}\nadmits:", `FILE:7:17: no package of era "mine" uses the pin "cudrat"`},
		"differs in nothing":       {"toolkit/12.6.9.yaml", "admits:", "differ:\n  linux/amd64: {cudart: 12.6.1}\nadmits:", `FILE:7:17: pin cudart is 12.6.1 for linux/amd64 without that`},
		"era for no platform":      {"era/mine.yaml", "layers:", "differ:\n  linux/arm65: {extra: 1}\nlayers:", `FILE:5:3: source "mine" has no packages for linux/arm65`},
		"era for no os":            {"era/mine.yaml", "layers:", "differ:\n  mine3: {extra: 1}\nlayers:", `FILE:5:3: os "mine3" has no recipe`},
		"era differs in no pin":    {"era/mine.yaml", "layers:", "differ:\n  mine1 linux/amd64: {xtra: 1}\nlayers:", `FILE:5:23: no package of era "mine" uses the pin "xtra"`},
		"no era is that old":       {"toolkit/12.6.9.yaml", "era: mine\n", "", `FILE:1:1: source "mine" has no era as old as CUDA 12.6.9`},
		"unknown document checked": {"era/mine.yaml", "layers:", "checked:\n  - {document: E}\n  - {os: [mine1], document: E}\nlayers:", `FILE:5:6: unknown document "E"`},
		"read in an older one":     {"repository/mine.yaml", `newest: "12.6.9"`, `newest: "12.6.8"`, `toolkit/12.6.9.yaml:4:8: document "D" ends at CUDA 12.6.8: it has no 12.6.9`},
		"read in one without end":  {"repository/mine.yaml", `, newest: "12.6.9"`, ``, `toolkit/12.6.9.yaml:4:8: document "D" does not say what its newest release is`},
		"read where it is not":     {"repository/mine.yaml", "[mine1, mine2]", "[mine2]", `toolkit/12.6.9.yaml:4:12: document "D" has nothing about mine1`},
		"read in a copy":           {"repository/mine.yaml", "title: the notes", "title: the notes, kind: copy", `toolkit/12.6.9.yaml:4:8: document "D" is a copy, not the vendor's own`},
		"unknown kind of document": {"repository/mine.yaml", "title: the notes", "title: the notes, kind: guess", `FILE:4:35: document D: unknown kind "guess"`},
		"read for one platform":    {"toolkit/12.6.9.yaml", "{D: [mine1]}", "{D: [mine1 linux/arm64]}", `FILE:4:12: the toolkit has no os "mine1" for linux/arm64`},
		"own document twice":       {"toolkit/12.6.9.yaml", "read:", "documents: {D: {title: mine, date: 2024-01-01}}\nread:", `FILE:4:13: document "D" is one of source "mine"`},
		"own document undated":     {"toolkit/12.6.9.yaml", "read:", "documents: {E: {title: mine}}\nread:", `FILE:4:13: document E: want a title and a date`},
		"unknown witness":          {"toolkit/12.6.9.yaml", "pins:", "witness: {E: [mine1]}\npins:", `FILE:5:11: unknown document "E"`},
		"pins of nobody":           {"toolkit/12.6.9.yaml", "{D: [mine1]}", "{D: []}", `FILE:5:8: pin cudart: no document gives it`},
		"unknown os compared":      {"era/mine.yaml", "layers:", "checked:\n  - {os: [mine3], document: D}\nlayers:", `FILE:5:11: source "mine" has no os "mine3"`},
		"unknown pin compared":     {"era/mine.yaml", "layers:", "checked:\n  - {os: [mine1], pins: [cudrat], document: D}\nlayers:", `FILE:5:26: no package of era "mine" uses the pin "cudrat"`},
		"era with a version":       {"era/mine.yaml", "more={extra}", "more=1.2-{X.Y}", `FILE:7:50: package "more=1.2-{X.Y}": its version is no pin`},
		"no brand":                 {"toolkit/12.6.9.yaml", "tesla@470", "tesal@470", `FILE:6:11: "tesal@470": no list of brands has tesal`},
		"no branch":                {"toolkit/12.6.9.yaml", "tesla@470", "tesla@471", `FILE:6:11: "tesla@471": there is no driver branch 471`},
		"branch not made for":      {"toolkit/12.6.9.yaml", "tesla@470", "tesla@525", `FILE:6:11: "tesla@525": cuda-compat of CUDA 12.6 does not run on driver branch 525`},
		"branch not older":         {"toolkit/12.6.9.yaml", "tesla@470", "tesla@560", `FILE:6:11: "tesla@560": driver branch 560 is not older than CUDA 12.6`},
		"unknown list":             {"toolkit/12.6.9.yaml", "X@535", "Y@535", `FILE:6:11: "Y@535": no list of brands is named Y`},
		"bad branch":               {"toolkit/12.6.9.yaml", "X@535", "driver>=450", `FILE:6:11: "driver>=450": want a brand`},
		"too old for a sample":     {"repository/mine.yaml", `since: "12.0"`, `since: "12.7"`, `source "mine" has no compiler as old as CUDA 12.6.9`},
		"era like nothing":         {"era/mine.yaml", "source: mine\n", "source: mine\nlike: yours\n", `unknown era "yours"`},
		"era like itself":          {"era/mine.yaml", "source: mine\n", "source: mine\nlike: mine\n", `era "mine" is like itself`},
		"unknown kind":             {"era/mine.yaml", "  deb:", "  apk:", `unknown kind of packages "apk"`},
		"unknown layer":            {"era/mine.yaml", "    runtime:", "    run-time2:", `unknown layer "run-time2"`},
		"word in an era's pin":     {"era/mine.yaml", "{extra: none}", "{extra: '{cudart}'}", `pin "extra": "{cudart}" has a word that is not known`},
		"brace not closed":         {"era/mine.yaml", "={version}-1", "={version-1", `a brace is not closed`},
		"no root":                  {"repository/mine.yaml", "roots: {mine:", "roots: {other:", `none is named "mine"`},
		"root is no address":       {"repository/mine.yaml", "https://packages", "packages", `want an address`},
		"fingerprint of other":     {"repository/mine.yaml", "file: mine.pub", "fingerprint: ae09fe4bbd223a84b2ccfce3f60f4b3d7fa2af80, file: mine.pub", `FILE:3:23: key "3bf863cc": its fingerprint ends in 7fa2af80`},
		"bad sha256":               {"repository/mine.yaml", "sha256: a2", "sha256: zz", `FILE:3:39: key 3bf863cc: sha256 "zz1c1a0b`},
		"key file with a path":     {"repository/mine.yaml", "file: mine.pub", "file: ../mine.pub", `file: "../mine.pub": want`},
		"key without date":         {"repository/mine.yaml", "since: 2024-01-01, serves", "since: soon, serves", `want since, a date`},
		"no key for the os":        {"repository/mine.yaml", "serves: [deb]", "serves: [rpm]", `no key of source "mine" serves mine1`},
		"image and bootstrap":      {"os/mine1.yaml", "title: Mine\n", "title: Mine\nbootstrap: {suite: x}\n", `want one of the two`},
		"image with a space":       {"os/mine1.yaml", `"docker.io/library/mine:2"`, "my image", `image: "my image": want the name of an image`},
		"no architecture":          {"os/mine1.yaml", "linux/amd64", "linux/arm65", `FILE:6:48: unknown platform "linux/arm65"`},
		"no packages at all":       {"os/mine1.yaml", "packages: deb, ", "", `FILE:6:1: want dir, arch, and packages: deb or rpm`},
		"no packages kind":         {"os/mine1.yaml", "packages: deb", "packages: apk", `FILE:6:26: unknown kind of packages "apk" (want deb or rpm)`},
		"unknown root":             {"os/mine1.yaml", "dir: mine1,", "dir: mine1, also: [more],", `FILE:6:33: source "mine" has no root "more"`},
		"override without date":    {"os/mine1.yaml", "since: 2024-01-01", "since: later", `FILE:7:14: override of "later": want since, a date`},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := vendorFiles()
			text := strings.Replace(files[test.file], test.old, test.replacement, 1)
			if text == files[test.file] {
				t.Fatalf("%s has no %q", test.file, test.old)
			}
			files[test.file] = text
			root := dir(t, files)
			c, err := recipes.Load(root)
			if want := strings.Replace(test.want, "FILE", filepath.Join(root, test.file), 1); c != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Load = %v\nwant it to hold %q", err, want)
			}
		})
	}
}

// TestChecked: what was compared in a document counts for the OSes and pins that the era names.
func TestChecked(t *testing.T) {
	t.Parallel()
	for pins, want := range map[string]int{"[cudart]": 0, "[extra]": 1} {
		files := vendorFiles()
		files["era/mine.yaml"] += "checked: [{os: [mine2], pins: " + pins + ", document: D}]\n"
		files["os/mine2.yaml"] = strings.Replace(goodVendorOS, "os: mine1", "os: mine2", 1)
		files["toolkit/12.6.9.yaml"] = strings.Replace(goodToolkit, "amd64: [mine1]", "amd64: [mine1, mine2]", 1)
		root := dir(t, files)
		r := find(t, load(t, root), "mine2", "12.6.9")
		if len(r.Unsourced) != want {
			t.Errorf("%s compared: %v unsourced, want %d", pins, r.Unsourced, want)
		}
		if want == 0 && (len(r.Pins) == 0 || r.Pins[0].By != filepath.Join(root, "era/mine.yaml")) {
			t.Errorf("%s compared: pins %+v, want the first on the word of the era's file", pins, r.Pins)
		}
		files["toolkit/12.6.9.yaml"] = strings.Replace(files["toolkit/12.6.9.yaml"], "read: {D:", "documents: {O: {title: mine, date: 2024-01-01}}\nread: {O:", 1)
		if got := find(t, load(t, dir(t, files)), "mine2", "12.6.9").Unsourced; len(got) != 1 {
			t.Errorf("a release that is in a document of its own alone: %v unsourced, want 1", got)
		}
	}
}
