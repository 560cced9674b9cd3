// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/verify"
)

// inventory has a package of each manager, two that IDs of SPDX cannot tell apart, and licences in several words.
func inventory(digest, platform string) verify.Inventory {
	const status = "var/lib/dpkg/status"
	layer := func(i int, by string) verify.Layer {
		return verify.Layer{Index: i, Digest: "sha256:" + strings.Repeat(string(rune('1'+i)), 64), CreatedBy: by}
	}
	return verify.Inventory{
		Digest: digest, Platform: platform, Created: created, OS: verify.OS{ID: "debian", Version: "12"},
		Layers: []verify.Layer{layer(0, "bootstrap bookworm"), layer(1, "")},
		Packages: []verify.Package{
			{Manager: "apk", Name: "musl", Version: "1.2-r0", Arch: "x86_64", Licenses: []string{"MIT"}, Database: "lib/apk/db/installed"},
			{Manager: "conda", Name: "zlib", Version: "1.3", Arch: "linux-64", Database: "opt/conda/conda-meta/zlib.json"},
			{Manager: "dpkg", Name: "g++", Version: "4:12.2.0~rc+b1", Arch: "amd64", Source: "gcc-defaults", Licenses: []string{"GPL-2+", "public-domain or Expat"}, Layer: 1, Database: status},
			{Manager: "dpkg", Name: "g-", Version: "4:12.2.0~rc+b1", Arch: "amd64", Source: "g-", Database: "srv/root/" + status},
			{Manager: "pacman", Name: "zlib", Version: "1:1.3-2", Arch: "x86_64", Database: "var/lib/pacman/local/zlib-1:1.3-2/desc"},
			{Manager: "portage", Name: "zlib", Version: "1.3", Database: "var/db/pkg/sys-libs/zlib-1.3/CONTENTS"},
			{Manager: "rpm", Name: "bash", Version: "1:5.1-4.el9", Arch: "x86_64", Source: "bash-5.1-4.el9.src.rpm", Licenses: []string{"GPLv3+ and (BSD or MIT)"}, Database: "var/lib/rpm/rpmdb.sqlite"},
			{Manager: "rpm", Name: "gpg-pubkey", Version: "3228467c-613798eb", Licenses: []string{"pubkey"}, Database: "var/lib/rpm/rpmdb.sqlite"},
			{Manager: "wheel", Name: "Foo_Bar", Version: "1.0+cu", Licenses: []string{"Free, for\x00 \u00e4ll & <b>"}, Database: "usr/lib/python3/Foo_Bar-1.0.dist-info/METADATA"},
		},
	}
}

// TestSBOM: the same records give the same bytes, which tools/sbom reads as another program does.
func TestSBOM(t *testing.T) {
	t.Parallel()
	d, err := evidence.NewSBOM(subject, created, "v1.2.3", inventory(subject.Digest, "linux/amd64"))
	d = check(t, d, err)
	again, err := evidence.NewSBOM(subject, created, "v1.2.3", inventory(subject.Digest, "linux/amd64"))
	if err != nil || !bytes.Equal(d.Statement(), again.Statement()) {
		t.Errorf("the same records gave two documents, %v", err)
	}
	artifactType, _, data := d.Bare()
	read, err := evidence.Parse(artifactType, data)
	if diff := cmp.Diff(d, read); diff != "" || err != nil {
		t.Errorf("Parse: %v (-want +got):\n%s", err, diff)
	}
	if _, err := evidence.NewSBOM(subject, created, "v1.2.3"); err == nil {
		t.Error("no error for no image")
	}
}

// TestSBOMOfIndex: an index contains its images, each of which contains what is its own.
func TestSBOMOfIndex(t *testing.T) {
	t.Parallel()
	small := func(digest, platform string) verify.Inventory {
		list := inventory("sha256:"+strings.Repeat(digest, 64), platform)
		list.Packages = list.Packages[2:3]
		return list
	}
	d, err := evidence.NewSBOM(subject, created, "v1.2.3", small("b", "linux/amd64"), small("c", "linux/arm64/v8"))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, d.Predicate, "", "  "); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/index.spdx.json", text.String()+"\n")
}

// declared is the licence of a package whose record has these words, and the names that the document explains.
func declared(t testing.TB, words ...string) (expression string, extracted map[string]string) {
	t.Helper()
	list := inventory(subject.Digest, "linux/amd64")
	list.Packages = []verify.Package{{Manager: "rpm", Name: "a", Version: "1", Licenses: words}}
	d, err := evidence.NewSBOM(subject, created, "v1", list)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Packages  []struct{ LicenseDeclared string }
		Extracted []struct{ LicenseID, Name string } `json:"hasExtractedLicensingInfos"`
	}
	if err := json.Unmarshal(d.Predicate, &doc); err != nil {
		t.Fatal(err)
	}
	extracted = map[string]string{}
	for _, e := range doc.Extracted {
		extracted[e.LicenseID] = e.Name
	}
	return doc.Packages[len(doc.Packages)-1].LicenseDeclared, extracted
}

// TestLicenses: words of packages become expressions of SPDX's, and those that are none keep their words.
func TestLicenses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words []string
		want  string
		own   int
	}{
		{nil, "NOASSERTION", 0},
		{[]string{"MIT"}, "MIT", 0},
		{[]string{"mit and apache-2.0"}, "MIT AND Apache-2.0", 0},
		{[]string{"GPL-2+", "GPLv2+", "LGPL-2.1", "LGPLv3", "GFDL-1.3+"}, "GPL-2.0-or-later AND LGPL-2.1-only AND LGPL-3.0-only AND GFDL-1.3-or-later", 0},
		{[]string{"Expat or Artistic", "ISC"}, "(MIT OR Artistic-1.0) AND ISC", 0},
		{[]string{"GPL-3.0-or-later WITH GCC-exception-3.1"}, "GPL-3.0-or-later WITH GCC-exception-3.1", 0},
		{[]string{"(MIT OR (Zlib AND BSD-3-clause))"}, "(MIT OR (Zlib AND BSD-3-Clause))", 0},
		{[]string{"Apache-2.0+"}, "Apache-2.0+", 0},
		{[]string{"public-domain"}, "LicenseRef-public-domain", 1},
		{[]string{"LicenseRef-Fedora-Public-Domain AND MIT"}, "LicenseRef-Fedora-Public-Domain AND MIT", 1},
		{[]string{"ASL 2.0"}, "LicenseRef-ASL-2.0-dceddda2", 1},
		{[]string{"GPL-2+ with OpenSSL exception"}, "LicenseRef-GPL-2-with-OpenSSL-exception-a0de130f", 1},
		{[]string{"MIT AND"}, "LicenseRef-MIT-AND-f743c54c", 1},
		{[]string{"(((MIT"}, "LicenseRef-MIT-f267e40b", 1},
		{[]string{strings.Repeat("(", 50) + "MIT" + strings.Repeat(")", 50)}, "LicenseRef-MIT-fc7662fe", 1},
	} {
		got, own := declared(t, c.words...)
		if got != c.want || len(own) != c.own {
			t.Errorf("%q: %q, %v, want %q, %d", c.words, got, own, c.want, c.own)
		}
	}
}

var ofExpression = regexp.MustCompile(`^[A-Za-z0-9.+-]+$`)

// FuzzLicenses asserts of any words: every ID is SPDX's or explained, and the expression means itself.
func FuzzLicenses(f *testing.F) {
	f.Add("GPL-2+ or Artistic, and MIT", "(MIT AND x) WITH y")
	f.Add("LicenseRef-a", "LicenseRef-")
	f.Fuzz(func(t *testing.T, a, b string) {
		got, own := declared(t, a, b)
		for _, id := range strings.Fields(strings.NewReplacer("(", " ", ")", " ").Replace(got)) {
			if _, ok := own[id]; !ofExpression.MatchString(id) || strings.HasPrefix(id, "LicenseRef-") && (!ok || id == "LicenseRef-") {
				t.Errorf("%q, %q: %q of %q is neither SPDX's nor explained, %q", a, b, id, got, own)
			}
		}
		if again, _ := declared(t, got); again != got {
			t.Errorf("%q, %q: %q, and of that %q", a, b, got, again)
		}
	})
}
