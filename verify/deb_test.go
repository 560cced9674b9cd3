// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/require"
)

// TestDebs has packages in the forms that dpkg or other tools unpack.
func TestDebs(t *testing.T) {
	t.Parallel()
	const pkg, lib = "driver-package x", "driver-library x!/opt/helper.bin"
	control := imagetest.Encode(imagetest.Gzip, imagetest.Files(entries{"./control": {Data: "Package: libcuda1\nVersion: 1\n"}}))
	files := imagetest.Files(entries{"./opt/helper.bin": imagetest.File(realCUDA)})
	data := imagetest.Encode(imagetest.Gzip, files)
	version := []byte("2.0\n")
	lzma := []byte("\x5d\x00\x00\x80\x00" + strings.Repeat("\xff", 8) + "\x00\x37\x9c\x0a")
	for name, tc := range map[string]struct {
		data   []byte
		listed []string
		nested []string
	}{
		"files first":       {arFile("data.tar.gz", data, "debian-binary", version, "control.tar.gz", control), []string{pkg}, []string{pkg, lib}},
		"no debian-binary":  {arFile("control.tar.gz", control, "data.tar", files), []string{pkg}, []string{pkg, lib}},
		"two tars of files": {arFile("debian-binary", version, "control.tar.gz", control, "data.tar", slices.Concat(imagetest.Files(entries{"a": {Data: "x"}}), files)), []string{pkg}, []string{pkg, lib}},
		"files in lzma":     {arFile("debian-binary", version, "control.tar.gz", control, "data.tar.lzma", lzma), []string{pkg}, []string{pkg, "unreadable x"}},
		"all in lzma":       {arFile("debian-binary", version, "control.tar.lzma", lzma, "data.tar.lzma", lzma), nil, []string{"unreadable x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantOf(t, false, "x", tc.data, tc.listed)
			wantOf(t, true, "x", tc.data, tc.nested)
		})
	}
}

// TestDebsOfDpkg has dpkg-deb write packages.
func TestDebsOfDpkg(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("dpkg-deb")
	if err != nil {
		require.Missing(t, "dpkg-deb", err)
	}
	dir := t.TempDir()
	for name, data := range map[string]string{
		"DEBIAN/control": "Package: libcuda1\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n",
		"opt/helper.bin": string(realCUDA),
	} {
		file := filepath.Join(dir, "root", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, flags := range [][]string{nil, {"-Zgzip"}, {"-Znone"}} {
		file := filepath.Join(dir, "x.deb")
		args := append(flags, "--root-owner-group", "-b", filepath.Join(dir, "root"), file)
		if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
			t.Fatalf("dpkg-deb %v: %v: %s", args, err, out)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wantOf(t, false, "x", data, []string{"driver-package x"})
		wantOf(t, true, "x", data, []string{"driver-package x", "driver-library x!/opt/helper.bin"})
	}
}
