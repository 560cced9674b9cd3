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
  vendor:
    - {os: [ubuntu16.04], cuda: ["9.0"]}
    - {os: [ubuntu14.04], cuda: ["7.5"]}
    - {os: [rockylinux9], cuda: ["12.8.1"], platforms: [linux/amd64, linux/arm64]}
    - {os: [ubuntu24.04], cuda: ["12.6.0"], platforms: [linux/amd64, linux/arm64]}
  every:
    - {os: ["*"], cuda: ["*"], samples: ["*"]}
`

func catalog(t testing.TB) *recipes.Catalog {
	t.Helper()
	c, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cells returns Debian's cells that match, in the order of the plan.
func cells(t testing.TB, c *recipes.Catalog, only ...string) []matrix.Cell {
	t.Helper()
	return group(t, c, "default", only...)
}

// everyCell returns all cells of the catalog.
func everyCell(t testing.TB, c *recipes.Catalog) []matrix.Cell { return group(t, c, "every") }

func group(t testing.TB, c *recipes.Catalog, name string, only ...string) []matrix.Cell {
	t.Helper()
	return groupOf(t, everything, c, name, only...)
}

func groupOf(t testing.TB, text string, c *recipes.Catalog, name string, only ...string) []matrix.Cell {
	t.Helper()
	m, err := matrix.Parse("matrix.yaml", []byte(text), c)
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.Expand(name, only)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// dockerfiles are the shapes worth reading, each with why.
var dockerfiles = map[string]string{
	"12.4-runtime-debian13":      "default", // the distribution's own packages
	"12.4-deviceQuery-debian13":  "default", // compiled in devel, placed on base
	"9.0-runtime-ubuntu16.04":    "vendor",  // two repositories and their keys
	"7.5-devel-ubuntu14.04":      "vendor",  // no base
	"12.8.1-runtime-rockylinux9": "vendor",  // rpm, two architectures
	"12.6.0-devel-ubuntu24.04":   "vendor",  // of which one lacks packages
}

func TestGoldenDockerfile(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	for id, name := range dockerfiles {
		text, err := emit.Dockerfile(group(t, c, name, id))
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", "golden", id+".Dockerfile"), text)
	}
}

func TestGoldenBake(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	files, err := emit.Bake(cells(t, c, "*-debian13", "11.8-base-debian12"))
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
	if diff := cmp.Diff([]string{"Dockerfile.11.8-debian12", "Dockerfile.12.4-debian13", "docker-bake.json"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
