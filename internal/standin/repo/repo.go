// SPDX-License-Identifier: Apache-2.0

// Package repo makes stand-ins for what source nvidia builds from and a test machine
// cannot reach: package repositories with the names and versions that the recipes
// pin, and base images with a real apt and a real dnf.
//
// The contents of the packages are lines of text that say that they stand in. What
// is built from them shows that the recipes resolve, install and fail as they should;
// it is no CUDA. [Apt] and [RPM] write a repository with the tools that NVIDIA's kind
// is written with, [NewKey] makes the key that signs it, and [Serve] serves it on
// loopback and goes away in the middle if told to.
package repo

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Package is a stand-in package: a real name and version, and nothing of what the
// real one holds.
type Package struct {
	Name    string
	Version string // with the release: "9.0.176-1"
	// Depends in the words of its package manager: "x (>= 1)" or "x >= 1".
	Depends []string
	// Scripts are programs by their path, such as an nvcc that says what it is.
	Scripts map[string]string
}

// epoch is the date of every package.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// write puts the package's files below root: one that says that it stands in, and
// its scripts.
func (p Package) write(t testing.TB, root string) {
	t.Helper()
	files := maps.Clone(p.Scripts)
	if files == nil {
		files = map[string]string{}
	}
	files[p.note()] = fmt.Sprintf("stand-in for %s %s: nothing of NVIDIA's is in it\n", p.Name, p.Version)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(files[name]), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// note is the file that says that the package stands in.
func (p Package) note() string { return "/usr/local/stand-in/" + p.Name }

// tool runs a program and returns what it printed. The test fails if it fails.
func tool(t testing.TB, dir string, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append([]string{"LC_ALL=C", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch.Unix())}, env...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return out
}

// Tools are the programs of this package, each with the Debian package that has it.
var Tools = map[string]string{
	"apt-ftparchive": "apt-utils", "dpkg-deb": "dpkg", "gpg": "gnupg", "rpmbuild": "rpm", "createrepo_c": "createrepo-c", "mmdebstrap": "mmdebstrap",
}
