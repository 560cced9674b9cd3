// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// status is a dpkg database of packages "name version".
func status(packages ...string) imagetest.Entry {
	var text strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, " ")
		fmt.Fprintf(&text, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n", name, version)
	}
	return imagetest.Entry{Data: text.String()}
}

// listed is one line for each package of an image: manager, name, version, layer.
func listed(t *testing.T, v *verify.Verifier, layers ...map[string]imagetest.Entry) []string {
	t.Helper()
	blobs := make([]*imagetest.Blob, len(layers))
	for i, files := range layers {
		blobs[i] = layer(files)
	}
	list, err := v.Inventory(t.Context(), "x", imagetest.New(blobs...))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range list.Packages {
		lines = append(lines, fmt.Sprintf("%s %s %s %d", p.Manager, p.Name, p.Version, p.Layer))
	}
	return lines
}

// TestInventoryLayers: a package is of the first layer that has it so, and is there if the topmost record says it.
func TestInventoryLayers(t *testing.T) {
	t.Parallel()
	type files = map[string]imagetest.Entry
	const db, one, two = "var/lib/dpkg/status", "var/lib/dpkg/status.d/one", "var/lib/dpkg/status.d/two"
	for name, test := range map[string]struct {
		layers []files
		want   []string
	}{
		"added":            {[]files{{db: status("a 1")}, {db: status("a 1", "b 1")}, {"x": {}}}, []string{"dpkg a 1 0", "dpkg b 1 1"}},
		"upgraded":         {[]files{{db: status("a 1", "b 1")}, {db: status("a 2", "b 1")}}, []string{"dpkg a 2 1", "dpkg b 1 0"}},
		"removed":          {[]files{{db: status("a 1", "b 1")}, {db: status("b 1")}}, []string{"dpkg b 1 0"}},
		"back again":       {[]files{{db: status("a 1")}, {db: status("b 1")}, {db: status("a 1", "b 1")}}, []string{"dpkg a 1 2", "dpkg b 1 1"}},
		"without a record": {[]files{{db: status("a 1")}, {"var/lib/dpkg/.wh.status": {}}}, nil},
		"a new record":     {[]files{{db: status("a 1")}, {"var/lib/.wh.dpkg": {}}, {db: status("a 1")}}, []string{"dpkg a 1 2"}},
		"opaque":           {[]files{{db: status("a 1")}, {"var/.wh..wh..opq": {}, one: status("b 1")}}, []string{"dpkg b 1 1"}},
		"one file each":    {[]files{{one: status("a 1"), two: status("b 1")}, {one: status("a 2"), "var/lib/dpkg/status.d/.wh.two": {}}}, []string{"dpkg a 2 1"}},
		"another root":     {[]files{{db: status("a 1")}, {"srv/root/" + db: status("a 1")}}, []string{"dpkg a 1 1", "dpkg a 1 0"}},
		"lying about":      {[]files{{"opt/status": status("a 1")}}, nil},
		"an archive":       {[]files{{"opt/x.tar": imagetest.File(imagetest.Files(files{db: status("a 1")}))}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, listed(t, verify.New(verify.Options{}), test.layers...)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestInventoryOfEach reads what each package manager says of a package.
func TestInventoryOfEach(t *testing.T) {
	t.Parallel()
	img := imagetest.New(layer(map[string]imagetest.Entry{
		"etc/os-release":      {Symlink: "../usr/lib/os-release"},
		"usr/lib/os-release":  {Data: "NAME=\"Stand-in\"\nID=debian\nVERSION_ID=\"12\"\n"},
		"var/lib/dpkg/status": {Data: "Package: libgcc-s1\nStatus: install ok installed\nSource: gcc-12 (12.2)\nVersion: 12.2-1\nArchitecture: arm64\n\nPackage: gcc-12-base\nVersion: 12.2-1\nStatus: deinstall ok config-files\n\nPackage: bare\nVersion: 1\n"},
		"usr/share/doc/gcc-12-base/copyright": {Data: "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n" +
			"Files: *\nCopyright: FSF\nLicense: GPL-3+\n text\n .\n License: none\n\nFiles: b\nLicense: Expat or  Artistic\n\nLicense: of a text\n long\n"},
		"usr/share/doc/libgcc-s1":                        {Symlink: "gcc-12-base"},
		"usr/share/doc/bare/copyright":                   {Data: "Free to use.\nLicense: none\n"},
		"lib/apk/db/installed":                           {Data: "C:Q1\nP:musl\nV:1.2-r0\nA:x86_64\nL:MIT\no:musl-src\n\n"},
		"var/lib/pacman/local/zlib-1:1.3-2/desc":         {Data: "%NAME%\nzlib\n\n%VERSION%\n1:1.3-2\n\n%BASE%\nzlib-src\n\n%ARCH%\nx86_64\n\n%LICENSE%\nZlib\nMIT\n"},
		"var/db/pkg/sys-libs/zlib-1.3/CONTENTS":          {Data: "obj"},
		"var/db/pkg/sys-libs/zlib-1.3/PF":                {Data: "zlib-1.3"},
		"opt/conda/conda-meta/zlib-1.3-h1.json":          {Data: `{"license":"Zlib","name":"zlib","subdir":"linux-64","version":"1.3","depends":["a"],"files":["lib/libz.so"]}`},
		"usr/lib/python3/Foo_Bar-1.0.dist-info/METADATA": {Data: "Metadata-Version: 2.4\nName: Foo.Bar\nVersion: 1.0\nLicense-Expression: MIT\nLicense: text\n\nLicense-Expression: of the text\nName: x\n"},
		"usr/lib/python3/text-2.dist-info/METADATA":      {Data: "Name: text\nVersion: 2\nLicense: The licence\n        in full\nAuthor: a\n"},
		"usr/lib/python3/none-3.dist-info/METADATA":      {Data: strings.Repeat("x", 2<<20) + "\n"},
	}))
	dir := ownDir(t)
	want := verify.Inventory{OS: verify.OS{ID: "debian", Version: "12"}, Packages: []verify.Package{
		{Manager: "apk", Name: "musl", Version: "1.2-r0", Arch: "x86_64", Source: "musl-src", Licenses: []string{"MIT"}, Database: "lib/apk/db/installed"},
		{Manager: "conda", Name: "zlib", Version: "1.3", Arch: "linux-64", Licenses: []string{"Zlib"}, Database: "opt/conda/conda-meta/zlib-1.3-h1.json"},
		{Manager: "dpkg", Name: "bare", Version: "1", Source: "bare", Database: "var/lib/dpkg/status"},
		{Manager: "dpkg", Name: "libgcc-s1", Version: "12.2-1", Arch: "arm64", Source: "gcc-12", Licenses: []string{"Expat or Artistic", "GPL-3+"}, Database: "var/lib/dpkg/status"},
		{Manager: "pacman", Name: "zlib", Version: "1:1.3-2", Arch: "x86_64", Source: "zlib-src", Licenses: []string{"Zlib", "MIT"}, Database: "var/lib/pacman/local/zlib-1:1.3-2/desc"},
		{Manager: "portage", Name: "zlib", Version: "1.3", Database: "var/db/pkg/sys-libs/zlib-1.3/CONTENTS"},
		{Manager: "wheel", Name: "Foo.Bar", Version: "1.0", Licenses: []string{"MIT"}, Database: "usr/lib/python3/Foo_Bar-1.0.dist-info/METADATA"},
		{Manager: "wheel", Name: "none", Version: "3", Database: "usr/lib/python3/none-3.dist-info/METADATA"},
		{Manager: "wheel", Name: "text", Version: "2", Database: "usr/lib/python3/text-2.dist-info/METADATA"},
	}}
	for _, how := range []string{"read", "from the cache"} {
		got, err := verify.New(verify.Options{CacheDir: dir}).Inventory(t.Context(), "x", img)
		if len(got.Layers) != 1 || got.Digest == "" || got.Platform != "linux/amd64" {
			t.Errorf("%s: %s, %s, layers %v", how, got.Digest, got.Platform, got.Layers)
		}
		got = verify.Inventory{OS: got.OS, Packages: got.Packages}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", how, err, diff)
		}
	}
	report, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", img)
	if err != nil || report.Verdict != verify.Pass || report.Stats.Known != 1 {
		t.Errorf("%s, %v, %+v, want no finding, from the cache", report.Verdict, err, report)
	}
}

// TestInventoryUnknown: where the records do not tell, there is no list that looks whole.
func TestInventoryUnknown(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]imagetest.Entry{
		"lists more packages than are kept": {"var/lib/dpkg/status": status(slices.Repeat([]string{"p" + strings.Repeat("x", 200) + " 1"}, 30_000)...)},
		"was not understood":                {"var/lib/dpkg/status": {Data: "Package: a\nno field\n"}},
		"lies elsewhere":                    {"opt/status": status("a 1"), "var/lib/dpkg/status": {Symlink: "/opt/status"}},
	} {
		_, err := verify.New(verify.Options{}).Inventory(t.Context(), "x", imagetest.New(layer(files)))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one that says %q", err, name)
		}
	}
}

// TestInventoryBounded: layers that list little in many bytes do not add up.
func TestInventoryBounded(t *testing.T) {
	t.Parallel()
	packages := slices.Repeat([]string{"p" + strings.Repeat("x", 500) + " 1"}, 10_000)
	blob := layer(map[string]imagetest.Entry{"var/lib/dpkg/status": status(packages...)})
	layers := make([]*imagetest.Blob, 20)
	for i := range layers {
		layers[i] = blob
	}
	list, err := verify.New(verify.Options{}).Inventory(t.Context(), "x", imagetest.New(layers...))
	if err == nil || !strings.Contains(err.Error(), "layer 12, or all up to it") {
		t.Errorf("%d packages, %v", len(list.Packages), err)
	}
}
