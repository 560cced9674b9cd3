// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/recipes"
)

// TestGuardGolden shows one guard as the package manager gets it.
func TestGuardGolden(t *testing.T) {
	t.Parallel()
	c := load(t)
	o, _ := c.OS("debian13")
	r, _ := c.Find("debian13", "12.4")
	got, err := c.Manager(o).Guard(r)
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "golden", "guard-12.4-debian13.txt"), got)
}

var (
	field        = regexp.MustCompile(`^([A-Z][A-Za-z-]*): \S.*$`)
	continuation = regexp.MustCompile(`^ \S.*$`)
	relation     = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+( \((=|>=|<=|<<|>>) [0-9A-Za-z.+~:-]+\))?$`)
)

// TestGuardIsControlFile: every line is one of deb822(5), and every relation one of
// deb-control(5); dpkg-deb would say so only after minutes of a build.
func TestGuardIsControlFile(t *testing.T) {
	t.Parallel()
	pairs(t, func(t *testing.T, c *recipes.Catalog, o recipes.OS, r recipes.Release) {
		text, err := c.Manager(o).Guard(r)
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]string{}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if m := field.FindStringSubmatch(line); m != nil {
				if fields[m[1]] != "" {
					t.Errorf("field %s twice", m[1])
				}
				fields[m[1]] = strings.TrimPrefix(line, m[1]+": ")
			} else if !continuation.MatchString(line) || len(fields) == 0 {
				t.Errorf("line %q is neither a field nor the continuation of one", line)
			}
		}
		for _, name := range strings.Fields("Package Version Architecture Maintainer Description Provides Conflicts") {
			if fields[name] == "" {
				t.Errorf("no field %s", name)
			}
		}
		for _, name := range []string{"Provides", "Conflicts"} {
			for part := range strings.SplitSeq(fields[name], ", ") {
				if !relation.MatchString(part) {
					t.Errorf("%s: %q is not a relation", name, part)
				}
			}
		}
		if !strings.Contains(fields["Package"], "cudabuild-guard") || fields["Version"] != r.CUDA {
			t.Errorf("package %s version %s, want a telling name and version %s", fields["Package"], fields["Version"], r.CUDA)
		}
	})
}
