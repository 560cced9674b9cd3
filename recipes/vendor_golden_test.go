// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/recipes"
)

// families are one cell for each way to install, and where they are, one for CUDA
// releases without base.
var families = []struct{ os, cuda string }{
	{"ubuntu16.04", "9.0"}, // apt, with holds and a link
	{"ubuntu24.04", "12.8.1"},
	{"centos7", "10.2"},       // yum, packages named as for Debian
	{"rockylinux9", "12.8.1"}, // dnf
	{"opensuse15", "13.0.0"},  // zypper, of which no document gives a version
	{"ubuntu14.04", "7.5"},    // no base
}

// describe is what a flavor adds to the one below it, as text to read and to compare.
func describe(o recipes.OS, r recipes.Release, f recipes.Flavor) string {
	var s strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	l := r.Layers[f]
	line("%s-%s-%s: %s on %s", r.CUDA, f, o.Name, o.Manager, o.Image)
	line("stacks up %v", r.Chain(f))
	for _, p := range l.Packages {
		if slices.Contains(r.Unsourced, p) {
			p += " (unsourced)"
		}
		line("package %s", p)
	}
	for _, name := range l.Hold {
		line("hold %s", name)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Env)) {
		line("env %s=%s", name, l.Env[name])
	}
	for _, path := range slices.Sorted(maps.Keys(l.Files)) {
		line("file %s %q", path, l.Files[path])
	}
	for _, path := range slices.Sorted(maps.Keys(l.Links)) {
		line("link %s -> %s", path, l.Links[path])
	}
	if len(r.Chain(f)) == 1 {
		line("CUDA_VERSION=%s", r.Version)
		for _, p := range r.Platforms {
			line("%s NVIDIA_REQUIRE_CUDA=%s", p, r.RequireFor(p))
		}
	}
	return s.String()
}

func TestVendorGolden(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, family := range families {
		o, _ := c.OS(family.os)
		r := find(t, c, family.os, family.cuda)
		for _, f := range r.Flavors() {
			name := fmt.Sprintf("%s-%s-%s.txt", family.cuda, f, family.os)
			golden.Check(t, filepath.Join("testdata", "golden", name), describe(o, r, f))
		}
	}
}

// TestOneLine: a changed pin is one line of the recipe and one of each layer that has it.
func TestOneLine(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("toolkit/12.8.1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	old := load(t)
	changed := load(t, dir(t, map[string]string{"toolkit/12.8.1.yaml": strings.Replace(string(data), "cublas: 12.8.4.1", "cublas: 12.8.4.2", 1)}))
	o, _ := old.OS("ubuntu24.04")
	before, after := find(t, old, o.Name, "12.8.1"), find(t, changed, o.Name, "12.8.1")
	for f, want := range map[recipes.Flavor]int{"base": 0, "runtime": 1, "devel": 1, "cudnn-runtime": 0} {
		a, b := strings.Split(describe(o, before, f), "\n"), strings.Split(describe(o, after, f), "\n")
		differ := 0
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				differ++
			}
		}
		if differ != want || len(a) != len(b) {
			t.Errorf("%s differs in %d lines, want %d", f, differ, want)
		}
	}
}
