// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
)

func catalog(t testing.TB) *recipes.Catalog {
	t.Helper()
	c, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func yamlFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata/%s: %v", dir, err)
	}
	return files
}

// many is a list that is too long to be all there: the catalog's OSes or releases.
var many = regexp.MustCompile(`known: .* and \d+ more`)

// TestBad holds what is said about each bad file, every line of it, with the hints.
func TestBad(t *testing.T) {
	t.Parallel()
	c := grown(t)
	for _, file := range yamlFiles(t, "bad") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m, err := matrix.Parse("matrix.yaml", data, c)
			var problems spec.Problems
			if m != nil || !errors.As(err, &problems) {
				t.Fatalf("Parse = %v, %v, want nil, Problems", m, err)
			}
			golden.Check(t, strings.TrimSuffix(file, ".yaml")+".want", many.ReplaceAllString(describe(problems), "known: ... and more"))
		})
	}
}

// TestGood holds the cells of every group of each good file.
func TestGood(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	for _, file := range yamlFiles(t, "good") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			m, err := matrix.Load(file, c)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, group := range m.Groups() {
				cells, err := m.Expand(group, nil)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&got, "%s:\n", group)
				for _, cell := range cells {
					fmt.Fprintf(&got, "  %s parent=%s builder=%s source=%s platforms=%v tags=%v groups=%v\n",
						cell.ID, cell.Parent, cell.Builder, cell.Source, cell.Platforms, cell.Tags, cell.Groups)
				}
			}
			golden.Check(t, strings.TrimSuffix(file, ".yaml")+".want", got.String())
		})
	}
}

func describe(problems spec.Problems) string {
	var s strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&s, "%v\n", p)
		if p.Hint != "" {
			fmt.Fprintf(&s, "    hint: %s\n", p.Hint)
		}
	}
	return s.String()
}
