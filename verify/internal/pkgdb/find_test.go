// SPDX-License-Identifier: Apache-2.0

package pkgdb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
)

// TestFind reads a database of each manager, where it is kept and elsewhere.
func TestFind(t *testing.T) {
	t.Parallel()
	const (
		dpkg   = "Package: libcuda1\nStatus: install ok installed\nVersion: 550\n"
		apk    = "C:Q1\nP:musl\nV:1.2\nF:lib\nR:libc.so\n"
		desc   = "%NAME%\ncuda\n\n%VERSION%\n12-1\n"
		conda  = `{"files": ["lib/libcuda.so"], "name": "cuda-compat", "version": "12.4"}`
		binary = "\x00\x01"
	)
	for _, c := range []struct {
		path, text string
		of         pkgdb.Manager
		aside      bool
		want       string
	}{
		{"var/lib/dpkg/status", dpkg, pkgdb.Dpkg, false, "libcuda1 550"},
		{"var/lib/dpkg/status.d/libcuda1", dpkg, pkgdb.Dpkg, false, "libcuda1 550"},
		{"opt/status", dpkg, pkgdb.Dpkg, true, "libcuda1 550"},
		{"var/lib/dpkg/status.d/libcuda1.md5sums", "0 usr/lib/x\n", "", false, ""},
		{"var/lib/dpkg/info/libcuda1:amd64.list", "/usr/lib/libcuda.so.1\n", pkgdb.Dpkg, false, "libcuda1: /usr/lib/libcuda.so.1"},
		{"lib/apk/db/installed", apk, pkgdb.Apk, false, "musl: lib/libc.so, musl 1.2"},
		{"opt/installed", apk, pkgdb.Apk, true, "musl 1.2"},
		{"var/lib/pacman/local/cuda-12-1/desc", desc, pkgdb.Pacman, false, "cuda 12-1"},
		{"var/lib/pacman/local/cuda-12-1/desc", "%ARCH%\nx86_64\n", pkgdb.Pacman, false, "cuda 12-1"},
		{"var/lib/pacman/local/cuda-12-1/files", "%FILES%\nopt/\nopt/cuda\n", pkgdb.Pacman, false, "(cuda 12-1), cuda: opt/cuda"},
		{"var/lib/pacman/local/cuda-12-1/mtree", "#mtree\n", "", false, ""},
		{"var/lib/dpkg/buildroot/var/lib/dpkg/status", dpkg, pkgdb.Dpkg, false, "libcuda1 550"},
		{"xvar/lib/dpkg/a/var/lib/dpkg/status", dpkg, pkgdb.Dpkg, false, "libcuda1 550"},
		{"xvar/lib/dpkg/status", dpkg, pkgdb.Dpkg, true, "libcuda1 550"},
		{"lib/apk/db/chroot/lib/apk/db/installed", apk, pkgdb.Apk, false, "musl: lib/libc.so, musl 1.2"},
		{"opt/conda/conda-meta/cuda-compat-12.4-h1.json", conda, pkgdb.Conda, false, ": opt/conda/lib/libcuda.so, cuda-compat 12.4"},
		{"opt/conda/conda-meta/history.json", "[]", pkgdb.Conda, false, ""},
		{"usr/lib/python3/x-1.0.dist-info/RECORD", "x/libcuda.so,sha256=,1\n", pkgdb.Wheel, false, "(x 1.0), x: usr/lib/python3/x/libcuda.so"},
		{"usr/share/doc/status", "no database\n", "", false, ""},
		{"var/lib/dpkg/status", binary, "", false, ""},
	} {
		db, ok := pkgdb.Find(c.path, []byte(c.text), c.text != binary, false)
		if ok != (c.of != pkgdb.Nobody) || db.Of != c.of && ok || db.Aside != c.aside && ok {
			t.Errorf("%s: %q, aside %t, want %q, %t", c.path, db.Of, db.Aside, c.of, c.aside)
		}
		if !ok {
			continue
		}
		var got []string
		err := db.Read(strings.NewReader(c.text), pkgdb.Sink{
			Installed: func(p pkgdb.Package) { got = append(got, p.Name+" "+p.Version) },
			Known:     func(name, version string) { got = append(got, "("+name+" "+version+")") },
			Owns:      func(pkg, file string) { got = append(got, pkg+": "+file) },
		})
		if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", c.path, err, diff)
		}
	}
	for name, broken := range map[string]bool{"history.json": false, "a-1-0.json": true, "-1-0.json": true, "a\nb-1-0.json": true} {
		db, _ := pkgdb.Find("conda-meta/"+name, []byte("{"), true, false)
		err := db.Read(strings.NewReader(`{"name":`), pkgdb.Sink{Installed: func(p pkgdb.Package) { t.Errorf("%q is installed", p.Name) }})
		if (err != nil) != broken {
			t.Errorf("%q: %v, want an error %t", name, err, broken)
		}
	}
	if _, name, version, ok := pkgdb.PortagePackage("var/db/roots/a/var/db/pkg/x11-drivers/nvidia-drivers-1/CONTENTS"); !ok || name != "nvidia-drivers" || version != "1" {
		t.Errorf("portage in a folder of portage's: %q, %q, %t", name, version, ok)
	}
	for path, head := range map[string]string{"var/lib/rpm/Packages": "x", "opt/rpmdb.sqlite": "SQLite format 3\x00"} {
		if db, ok := pkgdb.Find(path, []byte(head), true, false); !ok || db.Of != pkgdb.RPM || db.Aside != strings.HasPrefix(path, "opt") {
			t.Errorf("%s: %q, aside %t", path, db.Of, db.Aside)
		}
	}
}

// TestPacmanDesc holds that of two names or versions the first counts, and that no second one goes unnoticed.
func TestPacmanDesc(t *testing.T) {
	t.Parallel()
	const folder, mine, version = "var/lib/pacman/local/cuda-12-1/", "%NAME%\ncuda\n\n", "%VERSION%\n12-1\n\n"
	for _, c := range []struct{ path, text, want, why string }{
		{folder + "desc", mine + version, "cuda 12-1", ""},
		{folder + "desc", mine + version + "%DEPENDS%\na\nb\n", "cuda 12-1", ""},
		{folder + "desc", "%NAME%\ncuda\nnvidia-utils\n\n" + version, "cuda 12-1", "a second line in %NAME%"},
		{folder + "desc", mine + version + "%NAME%\nnvidia-utils\n", "cuda 12-1", "a second line in %NAME%"},
		{folder + "desc", mine + "%VERSION%\n12-1\n13-1\n", "cuda 12-1", "a second line in %VERSION%"},
		{folder + "desc", "%NAME%\nnvidia-utils\n\n" + version, "nvidia-utils 12-1", "another name than that of its folder"},
		{"opt/desc", "%NAME%\nnvidia-utils\n\n" + version, "nvidia-utils 12-1", ""},
	} {
		db, ok := pkgdb.Find(c.path, []byte(c.text), true, false)
		if !ok {
			t.Errorf("%s %q is no database", c.path, c.text)
			continue
		}
		var got, why string
		err := db.Read(strings.NewReader(c.text), pkgdb.Sink{Installed: func(p pkgdb.Package) { got += p.Name + " " + p.Version }})
		if damaged, ok := errors.AsType[pkgdb.DamagedError](err); ok {
			err, why = nil, string(damaged)
		}
		if err != nil || got != c.want || why != c.why {
			t.Errorf("%s %q: %q, %q, %v, want %q, %q", c.path, c.text, got, why, err, c.want, c.why)
		}
	}
}
