// SPDX-License-Identifier: Apache-2.0

package pkgdb_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
)

const machineReadable = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"

// TestCopyright holds that licences are those of files and of the package, each once, and no texts of them.
func TestCopyright(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{machineReadable, nil},
		{machineReadable + "License: MIT\n", []string{"MIT"}},
		{machineReadable + "\n\nFiles: *\nLicense: GPL-2+\n text\n .\n\n\t\nLicense: GPL-2+\n text\n", []string{"GPL-2+"}},
		{machineReadable + "\nlicense:  b   or c\nfiles: x\n\nFiles: y\nLicense: a\n\nFiles: z\nLicense: a\n", []string{"a", "b or c"}},
		{machineReadable + "\nFiles: x\nLicense:\n text\n", nil},
		{machineReadable + "License: " + strings.Repeat("x", 301) + "\n", nil},
		{machineReadable + strings.Repeat("x", 2<<20), nil},
	} {
		if diff := cmp.Diff(c.want, pkgdb.Copyright(strings.NewReader(c.text))); diff != "" {
			t.Errorf("%.200q (-want +got):\n%s", c.text, diff)
		}
	}
	for p, want := range map[string]bool{
		"usr/share/doc/a/copyright": true, "usr/share/doc/a/b/copyright": false, "usr/share/doc/copyright": false, "usr/share/doc/a/changelog": false,
	} {
		if got := pkgdb.IsCopyright(p, []byte(machineReadable)); got != want || pkgdb.IsCopyright(p, []byte("Free.\n")) {
			t.Errorf("IsCopyright(%q) = %t, or one that programs cannot read is", p, got)
		}
	}
}

// FuzzTexts asserts of any text: what is kept of it is a line, short, and there are few.
func FuzzTexts(f *testing.F) {
	f.Add([]byte(machineReadable + "License: MIT\n\nFiles: *\nLicense: GPL-2+ or Artistic\n text\n\nLicense: a\n text\n"))
	f.Add([]byte("Metadata-Version: 2.4\nName: a\nVersion: 1\nLicense: MIT\nLicense-Expression: MIT OR Zlib\n\ntext\n"))
	f.Add([]byte("ID=debian\nVERSION_ID=\"12\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text := func() *strings.Reader { return strings.NewReader(string(data)) }
		names := pkgdb.Copyright(text())
		p, is := pkgdb.Metadata("x/a-1.dist-info", text()), pkgdb.ReadRelease(text())
		if len(names) > 100 || len(p.Licenses) > 1 || p.Name == "" || p.Version == "" {
			t.Errorf("licences %q, package %+v", names, p)
		}
		for _, one := range append(append(names, p.Licenses...), p.Name, p.Version, is.ID, is.Version) {
			if strings.Contains(one, "\n") || len(one) > len(data)+1 {
				t.Errorf("%q is no line of the text", one)
			}
		}
		for _, license := range append(names, p.Licenses...) {
			if license == "" || len(license) > 300 {
				t.Errorf("licence %q", license)
			}
		}
	})
}
