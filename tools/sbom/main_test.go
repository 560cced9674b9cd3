// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	spdx "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"
)

// folder is one with this test as its program.
func folder(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"program": data, "deps.sh": []byte("#!/bin/sh\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestDocument reads a document back with another reader's rules: every relation is
// between packages that there are, and every package says what it is and its licence.
func TestDocument(t *testing.T) {
	t.Parallel()
	programs, err := read(folder(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	var first, again bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &again} {
		if err := spdx.Write(document("cudabuild-v1.2.3-linux-amd64", time.Unix(1e9, 0), programs), out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), again.Bytes()) {
		t.Error("the same programs gave two documents")
	}
	var d v2_3.Document
	if err := spdx.ReadInto(&first, &d); err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(&d); err != nil {
		t.Error(err)
	}
	byName := map[string]*v2_3.Package{}
	for _, p := range d.Packages {
		byName[p.PackageName] = p
		if !regexp.MustCompile(`^[A-Za-z0-9.-]+$`).MatchString(string(p.PackageSPDXIdentifier)) || p.PackageLicenseDeclared == "" || p.PackageDownloadLocation == "" {
			t.Errorf("%+v", p)
		}
	}
	for name, want := range map[string]string{
		"stdlib": "BSD-3-Clause", "golang.org/x/mod": "BSD-3-Clause", "github.com/google/licensecheck": "BSD-3-Clause", "program": "Apache-2.0",
	} {
		if p := byName[name]; p == nil || p.PackageLicenseDeclared != want {
			t.Errorf("%s: %+v, want licence %s", name, p, want)
		}
	}
	if sums := byName["program"].PackageChecksums; len(sums) != 1 || sums[0].Value != programs[0].sum {
		t.Errorf("checksums of the program: %v", sums)
	}
}

// TestNotices: a text stands there once, under all that it is of.
func TestNotices(t *testing.T) {
	t.Parallel()
	a, b := part{name: "a", version: "v1", texts: []string{"one"}}, part{name: "b", version: "v2", texts: []string{"one", "two"}}
	got := notices([]program{{parts: []part{b, a}}, {parts: []part{a}}})
	rule := "\n" + string(bytes.Repeat([]byte("="), 80)) + "\n"
	if want := "a v1\nb v2\n\none" + rule + "b v2\n\ntwo"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNotAProgram: what carries no list of modules is an error, not left out.
func TestNotAProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := read(dir, nil); err == nil {
		t.Error("no error for a folder without programs")
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("\x7fELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	if programs, err := read(dir, nil); err == nil {
		t.Errorf("read %v, want an error", programs)
	}
}

// TestPackages: the C libraries come with version and text.
func TestPackages(t *testing.T) {
	t.Parallel()
	if _, err := packages("no-such-package=1"); err == nil {
		t.Error("no error for a package that is not there")
	}
	if _, err := os.Stat("/usr/share/doc/base-files/copyright"); err != nil {
		t.Skip("not a Debian system")
	}
	parts, err := packages("base-files=12.4")
	if err != nil || !slices.ContainsFunc(parts, func(p part) bool { return p.version == "12.4" && len(p.texts) == 1 }) {
		t.Errorf("%v, %v", parts, err)
	}
}
