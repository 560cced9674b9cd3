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
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
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
	// Bulk is how many bytes of filling it has, for measurements: they compress to about
	// half, as libraries with code for GPUs do.
	Bulk int
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
	if p.Bulk > 0 {
		p.fill(t, root)
	}
}

// fill writes the package's filling: blocks that are new, and blocks that repeat one before.
func (p Package) fill(t testing.TB, root string) {
	t.Helper()
	const block = 256
	name := filepath.Join(root, p.note()+".filling")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(uint64(p.Bulk), uint64(len(p.Name)))) //nolint:gosec // the same filling each time
	chunk := make([]byte, 1<<20)
	for n := 0; n < p.Bulk && err == nil; n += len(chunk) {
		for at := 0; at < len(chunk); at += block {
			if at > 0 && random.IntN(2) == 0 {
				copy(chunk[at:at+block], chunk[random.IntN(at):])
				continue
			}
			for i := at; i < at+block; i += 8 {
				binary.LittleEndian.PutUint64(chunk[i:], random.Uint64())
			}
		}
		_, err = file.Write(chunk)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
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
