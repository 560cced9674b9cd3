// SPDX-License-Identifier: Apache-2.0

package pkgindex_test

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/pkgindex"
)

const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

var readers = map[string]pkgindex.Reader{"deb": pkgindex.Deb, "rpm": pkgindex.RPM}

// rpm is a list of one package with that inside.
func rpm(inside string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1"><package type="rpm">` + inside + `</package></metadata>`
}

const goodRPM = `<name>cuda-cudart-13-4</name><arch>x86_64</arch><version epoch="1" ver="13.4.51" rel="1"/><checksum type="sha256" pkgid="YES">` + sum + `</checksum><size package="7" installed="9" archive="8"/><location href="cuda-cudart-13-4-13.4.51-1.x86_64.rpm"/><format><rpm:provides><rpm:entry name="x"/></rpm:provides></format>`

func TestRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind, list string
		want       []pkgindex.Package
		wrong      string
	}{
		"deb": {"deb", "Package: a\nVersion: 1:2-3\nArchitecture: amd64\nProvides: c (= 1), d\nDescription: long\n text: more\nFilename: ./a.deb\nSize: 7\nSHA256: " + sum + "\n\n\n" +
			"package:b\nVersion: 1\nArchitecture: all\nFilename: b.deb\nSize: 1\nMD5sum: x", []pkgindex.Package{
			{"a", "1:2-3", "amd64", sum, 7, "./a.deb", "c (= 1), d"}, {"b", "1", "all", "", 1, "b.deb", ""},
		}, ""},
		"deb empty":      {"deb", "", nil, ""},
		"deb no version": {"deb", "Package: a\nArchitecture: all\nFilename: b\nSize: 1\n\n", nil, `entry before line 5: package "a": version "" is not one word`},
		"deb no name":    {"deb", "Description: x\n", nil, `package "?": name ""`},
		"deb no size":    {"deb", "Package: a\nVersion: 1\nArchitecture: all\nFilename: b\n", nil, `size ""`},
		"deb twice":      {"deb", "Package: a\nPackage: b\n", nil, "line 2: field package is there twice"},
		"deb no field":   {"deb", "<html>\n", nil, `line 1: "<html>" is no field`},
		"deb sum":        {"deb", "Package: a\nVersion: 1\nArchitecture: all\nFilename: b\nSize: 1\nSHA256: 12\n", nil, `sha256 "12" is not one`},
		"deb control":    {"deb", "Package: a\x1b[2J\nVersion: 1\nArchitecture: all\nFilename: b\nSize: 1\n", nil, `"a\x1b[2J" is not one word`},
		"deb long":       {"deb", "Package: a\nDescription: " + strings.Repeat("x", 9<<20), nil, "too long"},
		"rpm": {"rpm", rpm(goodRPM), []pkgindex.Package{
			{"cuda-cudart-13-4", "13.4.51-1", "x86_64", sum, 7, "cuda-cudart-13-4-13.4.51-1.x86_64.rpm", ""},
		}, ""},
		"rpm none":       {"rpm", `<metadata packages="0"/>`, nil, ""},
		"rpm other sum":  {"rpm", rpm(strings.Replace(goodRPM, `"sha256"`, `"sha"`, 1)), []pkgindex.Package{{"cuda-cudart-13-4", "13.4.51-1", "x86_64", "", 7, "cuda-cudart-13-4-13.4.51-1.x86_64.rpm", ""}}, ""},
		"rpm truncated":  {"rpm", rpm(goodRPM)[:300], nil, "unexpected EOF"},
		"rpm no release": {"rpm", rpm(strings.Replace(goodRPM, `rel="1"`, "", 1)), nil, "no version and release"},
		"rpm size":       {"rpm", rpm(strings.Replace(goodRPM, `package="7"`, `package="-7"`, 1)), nil, "size -7"},
		"rpm large":      {"rpm", rpm(goodRPM + "<x>" + strings.Repeat("y", 9<<20) + "</x>"), nil, "an entry of more than"},
		"rpm large head": {"rpm", "<x>" + strings.Repeat("y", 9<<20) + "</x>", nil, "an entry of more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := all(readers[test.kind](strings.NewReader(test.list)))
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("error %v, want %q in it", err, test.wrong)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("error %v, packages (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestStop: who has what he looked for reads no further.
func TestStop(t *testing.T) {
	t.Parallel()
	for kind, list := range map[string]string{
		"deb": "Package: a\nVersion: 1\nArchitecture: all\nFilename: b\nSize: 1\n\n<html>\n",
		"rpm": strings.Replace(rpm(goodRPM), "</metadata>", "<broken", 1),
	} {
		for p, err := range readers[kind](io.MultiReader(strings.NewReader(list), bad{})) {
			if err != nil {
				t.Errorf("%s: %v after the first package, want no more read", kind, err)
			}
			if p.Name != "" {
				break
			}
		}
	}
}

type bad struct{}

func (bad) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

// TestLongList reads more entries than one may have bytes.
func TestLongList(t *testing.T) {
	t.Parallel()
	const count = 20_000
	_, one, _ := strings.Cut(rpm(goodRPM+"<format>"+strings.Repeat("z", 500)+"</format>"), `packages="1">`)
	one, _, _ = strings.Cut(one, "</metadata>")
	got, err := all(pkgindex.RPM(strings.NewReader("<metadata>" + strings.Repeat(one, count) + "</metadata>")))
	if err != nil || len(got) != count {
		t.Errorf("%d packages, %v; want %d", len(got), err, count)
	}
}

// FuzzRead: a list gives packages or an error, and what it gives can be printed.
func FuzzRead(f *testing.F) {
	f.Add([]byte("Package: a\nVersion: 1\nArchitecture: all\nFilename: b\nSize: 1\nSHA256: " + sum + "\n\n"))
	f.Add([]byte(rpm(goodRPM)))
	f.Fuzz(func(t *testing.T, list []byte) {
		for kind, read := range readers {
			failed := false
			for p, err := range read(bytes.NewReader(list)) {
				if failed {
					t.Fatalf("%s: more after an error: %+v %v", kind, p, err)
				}
				if failed = err != nil; failed != (p == pkgindex.Package{}) {
					t.Fatalf("%s: %+v, %v: want one of the two", kind, p, err)
				}
				if text := fmt.Sprint(p.Name, p.Version, p.Arch, p.SHA256, p.File); strings.ContainsFunc(text, func(r rune) bool { return r < '!' || r > '~' }) {
					t.Fatalf("%s: %q is not printable", kind, text)
				}
			}
		}
	})
}

func all(list iter.Seq2[pkgindex.Package, error]) (packages []pkgindex.Package, err error) {
	for p, err := range list {
		if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
	return packages, nil
}
