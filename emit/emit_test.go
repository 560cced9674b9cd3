// SPDX-License-Identifier: Apache-2.0

package emit_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/emit"
	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

const everything = `
version: 1
image: cuda
defaults: {flavors: [base, runtime, devel], samples: [deviceQuery, nbody]}
groups:
  default:
    - {os: [debian11], cuda: ["11.2"]}
    - {os: [debian12], cuda: ["11.8"]}
    - {os: [debian13], cuda: ["12.4"]}
`

func catalog(t testing.TB) *recipes.Catalog {
	t.Helper()
	c, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cells returns the cells that match, in the order of the plan.
func cells(t testing.TB, c *recipes.Catalog, only ...string) []matrix.Cell {
	t.Helper()
	m, err := matrix.Parse("matrix.yaml", []byte(everything), c)
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.Expand("default", only)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// dockerfiles are the shapes worth reading.
var dockerfiles = []string{"12.4-runtime-debian13", "12.4-deviceQuery-debian13"}

func TestGoldenDockerfile(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	for _, id := range dockerfiles {
		text, err := emit.Dockerfile(c, cells(t, c, id))
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", "golden", id+".Dockerfile"), text)
	}
}

func TestGoldenBake(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	files, err := emit.Bake(c, cells(t, c, "*-debian13", "11.8-base-debian12"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
		if f.Name == "docker-bake.json" {
			golden.Check(t, filepath.Join("testdata", "golden", f.Name), f.Text)
		}
	}
	if diff := cmp.Diff([]string{"docker-bake.json", "Dockerfile.11.8-debian12", "Dockerfile.12.4-debian13"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestGoldenGitHub(t *testing.T) {
	t.Parallel()
	files, err := emit.GitHub(cells(t, catalog(t)), emit.Origin{File: "matrix.yaml", Group: "debian", Recipes: []string{"my recipes"}})
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	golden.Check(t, filepath.Join("testdata", "golden", files[0].Name), files[0].Text)
}
