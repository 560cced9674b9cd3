// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// TestRecordsBehindLinks finds a database wherever a link at its place leads, in another
// root folder too, and does not pass what it cannot read there.
func TestRecordsBehindLinks(t *testing.T) {
	t.Parallel()
	const status, broken = "Package: libcuda1\nStatus: install ok installed\nVersion: 1\n", "Version: 1\nPackage: libcuda1\nStatus: install ok installed\n"
	db := imagetest.Entry{Data: status}
	apk := imagetest.Entry{Data: "C:Q1x=\nP:nvidia-driver\nV:1\n\n"}
	desc := pacmanDesc("nvidia-utils", "580-1")
	rpm := imagetest.File(fixture(t, "rpmdb.sqlite"))
	fail := func(p string) []string { return []string{"fail driver-package " + p} }
	for name, tc := range map[string]struct {
		layers []files
		want   []string
	}{
		"hard link":                     {[]files{{"opt/s": db, "var/lib/dpkg/status": {Link: "opt/s"}}}, fail("opt/s")},
		"hard link, lower layer":        {[]files{{"opt/s": db}, {"var/lib/dpkg/status": {Link: "opt/s"}}}, fail("opt/s")},
		"link":                          {[]files{{"opt/s": db, "var/lib/dpkg/status": {Symlink: "/opt/s"}}}, fail("opt/s")},
		"link, later layer":             {[]files{{"var/lib/dpkg/status": {Symlink: "../../../opt/s"}}, {"opt/s": db}}, fail("opt/s")},
		"link of a link":                {[]files{{"opt/s": db, "opt/t": {Symlink: "s"}, "var/lib/dpkg/status": {Symlink: "/opt/t"}}}, []string{"warn unreadable var/lib/dpkg/status"}},
		"folder":                        {[]files{{"opt/dpkg/status": db, "var/lib/dpkg": {Symlink: "/opt/dpkg"}}}, fail("opt/dpkg/status")},
		"folder of it":                  {[]files{{"opt/lib/dpkg/status": db, "var": {Symlink: "opt"}}}, fail("opt/lib/dpkg/status")},
		"status.d":                      {[]files{{"opt/d/x": {Data: "Package: libcuda1\nVersion: 1\n"}, "var/lib/dpkg/status.d": {Symlink: "/opt/d"}}}, fail("opt/d/x")},
		"apk":                           {[]files{{"opt/i": apk, "lib/apk/db/installed": {Symlink: "/opt/i"}}}, fail("opt/i")},
		"apk, hard link":                {[]files{{"opt/i": apk, "usr/lib/apk/db/installed": {Link: "opt/i"}}}, fail("opt/i")},
		"pacman":                        {[]files{{"opt/l/nvidia-utils-580-1/desc": desc, "var/lib/pacman/local": {Symlink: "/opt/l"}}}, fail("opt/l/nvidia-utils-580-1/desc")},
		"rpm":                           {[]files{{"opt/r/rpmdb.sqlite": rpm, "var/lib/rpm": {Symlink: "/opt/r"}}}, fail("opt/r/rpmdb.sqlite")},
		"rpm, another name":             {[]files{{"opt/r.db": rpm, "var/lib/rpm/rpmdb.sqlite": {Symlink: "/opt/r.db"}}}, []string{"warn unreadable var/lib/rpm/rpmdb.sqlite"}},
		"dpkg, not recognised":          {[]files{{"opt/s": {Data: broken}, "var/lib/dpkg/status": {Symlink: "/opt/s"}}}, []string{"warn unreadable var/lib/dpkg/status"}},
		"hard, not recognised":          {[]files{{"opt/s": {Data: broken}, "var/lib/dpkg/status": {Link: "opt/s"}}}, []string{"warn unreadable var/lib/dpkg/status"}},
		"conda":                         {[]files{{"opt/c/x-1-0.json": {Data: `{"name":"nvidia-driver"}`}, "opt/c": {Dir: true}, "opt/conda/conda-meta": {Symlink: "/opt/c"}}}, []string{"warn unreadable opt/conda/conda-meta"}},
		"conda, no entry of its folder": {[]files{{"opt/c/x-1-0.json": {Data: `{"name":"nvidia-driver"}`}, "opt/conda/conda-meta": {Symlink: "/opt/c"}}}, nil}, // docs/verify.md, limits
		"another root":                  {[]files{{"rootfs/var/lib/dpkg/status": db}}, fail("rootfs/var/lib/dpkg/status")},
		"another root, rpm":             {[]files{{"opt/root/var/lib/rpm/rpmdb.sqlite": rpm}}, fail("opt/root/var/lib/rpm/rpmdb.sqlite")},
		"rpm by its name":               {[]files{{"opt/x/rpmdb.sqlite": rpm}}, fail("opt/x/rpmdb.sqlite")},
		"dpkg in dpkg's":                {[]files{{"var/lib/dpkg/buildroot/var/lib/dpkg/status": db}}, fail("var/lib/dpkg/buildroot/var/lib/dpkg/status")},
		"dpkg in a folder like dpkg's":  {[]files{{"xvar/lib/dpkg/a/var/lib/dpkg/status": db}}, fail("xvar/lib/dpkg/a/var/lib/dpkg/status")},
		"apk in apk's":                  {[]files{{"lib/apk/db/chroot/lib/apk/db/installed": apk}}, fail("lib/apk/db/chroot/lib/apk/db/installed")},
		"portage in portage's":          {[]files{{"var/db/roots/a/var/db/pkg/x11-drivers/nvidia-drivers-1/CONTENTS": {}}}, fail("var/db/roots/a/var/db/pkg/x11-drivers/nvidia-drivers-1/CONTENTS")},
		"another root's link":           {[]files{{"opt/s": db, "rootfs/var/lib/dpkg/status": {Symlink: "/opt/s"}}}, fail("opt/s")},
		"portage":                       {[]files{{"var/db/pkg/x11-drivers/nvidia-drivers-580.95.05-r1/PF": {Data: "x"}, "var/db/pkg/x11-drivers/nvidia-drivers-580.95.05-r1/SLOT": {Data: "0"}}}, fail("var/db/pkg/x11-drivers/nvidia-drivers-580.95.05-r1/PF")},
		"portage, empty":                {[]files{{"mnt/var/db/pkg/x11-drivers/nvidia-drivers-580/CONTENTS": {}}}, fail("mnt/var/db/pkg/x11-drivers/nvidia-drivers-580/CONTENTS")},
		"portage, the toolkit":          {[]files{{"var/db/pkg/dev-util/nvidia-cuda-toolkit-12.4.0/PF": {Data: "x"}}}, nil},
		"the usual link of rpm":         {[]files{{"usr/lib/sysimage/rpm/rpmdb.sqlite": rpm, "var/lib/rpm": {Symlink: "../../usr/lib/sysimage/rpm"}}}, fail("usr/lib/sysimage/rpm/rpmdb.sqlite")},
		"merged /usr":                   {[]files{{"lib": {Symlink: "usr/lib"}, "usr/lib/apk/db/installed": {Data: "P:musl\nV:1\n\n"}}}, nil},
		"dangling":                      {[]files{{"var/lib/dpkg": {Symlink: "/opt/dpkg"}}}, nil},
		"a backup":                      {[]files{{"var/lib/dpkg/status-old": db, "var/backups/dpkg.status.0": db}}, nil},
		"test data":                     {[]files{{"usr/share/x/tests/status": db, "usr/share/x/installed": apk}}, nil},
		"test data, a link to it":       {[]files{{"usr/share/x/tests/status": db, "opt/s": {Symlink: "../usr/share/x/tests/status"}}}, nil},
		"no driver behind it":           {[]files{{"opt/s": {Data: "Package: dash\nStatus: install ok installed\n"}, "var/lib/dpkg/status": {Symlink: "/opt/s"}}}, nil},
	} {
		if diff := cmp.Diff(tc.want, briefs(judge(t, layered(tc.layers...)))); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
	}
}

// TestDamagedRecords holds that a record that its package manager refuses is no pass.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	const meta, status, apk = "opt/conda/conda-meta/x-1-0.json", "var/lib/dpkg/status", "lib/apk/db/installed"
	for _, tc := range []struct{ path, data string }{
		{meta, `{"name":"nvidia-driver","version":"550"`},
		{meta, `{"name":"nvidia-driver",,"version":"550"}`},
		{meta, `{"name":"nvidia-driver","version":"550","name":"zlib"}`},
		{meta, "\ufeff" + `{"name":"nvidia-driver","version":"550"}`},
		{meta, `{"name":"zlib"}{"name":"nvidia-driver"}`},
		{meta, `{"name":["nvidia-driver"]}`},
		{meta, ""},
		{meta, "[]"},
		{status, "\ufeffPackage: libcuda1\nStatus: install ok installed\n"},
		{status, "Package: dash\nStatus: install ok installed\n \nPackage: libcuda1\nStatus: deinstall ok config-files\n"},
		{status, "Package: dash\nStatus: install ok installed\nVers"},
		{status, "Status: install ok installed\nVersion: 1\n"},
		{"var/lib/dpkg/status.d/x", "\x00\x01 Package: libcuda1\n"},
		{apk, "\ufeffP:nvidia-driver\nV:1\n"},
		{apk, "P:musl\nV:1\nP:zlib\nV:1\n"},
		{apk, "P:musl\nnonsense\n"},
		{pacmanDB + "zlib-1-1/desc", "%NAME%\nzlib\nnvidia-utils\n"},
		{pacmanDB + "nvidia-utils-1-1/desc", "%NAME%\nzlib\n"},
		{pacmanDB + "zlib-1-1/desc", "%NAME%\nzlib\n\n%VERSION%\n1-1\n2-1\n"},
		{pacmanDB + "zlib-1-1/desc", "\ufeff%NAME%\nnvidia-utils\n"},
	} {
		r := judge(t, imagetest.New(layer(entries{tc.path: {Data: tc.data}})))
		if got := strings.Join(briefs(r), ", "); r.Verdict != "unknown" || got != "warn unreadable "+tc.path {
			t.Errorf("%s %q: %s, %s, want unknown", tc.path, tc.data, r.Verdict, got)
		}
	}
}
