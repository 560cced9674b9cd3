// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Apt writes a flat apt repository, as NVIDIA's are, into dir, which it empties.
func Apt(t testing.TB, key *Key, dir string, packages []Package) {
	t.Helper()
	renew(t, dir)
	for _, p := range packages {
		p.deb(t, dir)
	}
	index := tool(t, dir, nil, "apt-ftparchive", "packages", ".")
	put(t, filepath.Join(dir, "Packages"), index)
	put(t, filepath.Join(dir, "Packages.gz"), zip(t, index))
	Release(t, key, dir)
	put(t, filepath.Join(dir, KeyFile), key.Armored)
}

// Release writes what names the files of an apt repository, or of a suite of one, by their sums, and signs that.
// It has more fields if they are given: "Suite=trixie".
func Release(t testing.TB, key *Key, dir string, fields ...string) {
	t.Helper()
	var args []string
	for _, field := range append([]string{"Origin=cudabuild stand-in", "Architectures=amd64"}, fields...) {
		args = append(args, "-o", "APT::FTPArchive::Release::"+field)
	}
	release := tool(t, dir, nil, "apt-ftparchive", append(args, "release", ".")...)
	file := filepath.Join(dir, "Release")
	put(t, file, release)
	key.sign(t, file, filepath.Join(dir, "InRelease"), "--clearsign")
	key.sign(t, file, file+".gpg", "--detach-sign")
}

// KeyFile is the name that a repository's own key has in it.
const KeyFile = "stand-in.pub"

// deb builds a binary package.
func (p Package) deb(t testing.TB, dir string) {
	t.Helper()
	root := t.TempDir()
	p.write(t, root)
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: cudabuild stand-in\nDescription: stand-in for %s\n", p.Name, p.Version, p.Name)
	if len(p.Depends) > 0 {
		control += "Depends: " + strings.Join(p.Depends, ", ") + "\n"
	}
	put(t, filepath.Join(root, "DEBIAN", "control"), []byte(control))
	pack := []string{"-Zgzip"}
	if p.Bulk > 0 { // as NVIDIA's large ones are
		pack = []string{"-Zxz", "-z1"}
	}
	tool(t, "", nil, "dpkg-deb", append(append([]string{"--root-owner-group"}, pack...), "--build", root, filepath.Join(dir, p.Name+"_"+p.Version+"_amd64.deb"))...)
}

func renew(t testing.TB, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
