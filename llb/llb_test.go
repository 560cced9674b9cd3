// SPDX-License-Identifier: Apache-2.0

package llb_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/llb"
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
    - {os: [debian13], cuda: ["12.4"], samples: [cublas, deviceQuery, nbody]}
    - {os: [ubuntu14.04], cuda: ["7.5"], flavors: [runtime, devel]}
    - {os: [ubuntu16.04], cuda: ["9.0"]}
    - {os: [centos7], cuda: ["8.0"], flavors: [runtime], samples: []}
    - {os: [rockylinux9], cuda: ["12.8.1"], flavors: [runtime], samples: []}
    - {os: [ubuntu24.04], cuda: ["12.8.1"], flavors: [cudnn-runtime], samples: []}
`

func catalog(t testing.TB, overlays ...string) *recipes.Catalog {
	t.Helper()
	c, err := recipes.Load(overlays...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cells returns every cell of the embedded catalog, in the order of the plan.
func cells(t testing.TB, c *recipes.Catalog) []matrix.Cell {
	t.Helper()
	m, err := matrix.Parse("matrix.yaml", []byte(everything), c)
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.Expand("default", nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rootOf is a base that was never made.
func rootOf(o recipes.OS) llb.Base {
	date, os, image := time.Unix(1767225600, 0).UTC(), o.Name, ""
	if o.Image != "" {
		repository, _, _ := strings.Cut(o.Image, ":")
		image = repository + "@" + digest.FromString("root of "+os).String()
	}
	return llb.Base{
		Image: image,
		Root:  digest.FromString("root of " + os),
		Lists: digest.FromString("package lists of " + os),
		Epoch: date.Unix(),
		Config: ocispec.Image{
			Created:  &date,
			Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
			RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString("layer of " + os)}},
			History:  []ocispec.History{{Created: &date, CreatedBy: "bootstrap " + os}},
		},
	}
}

func compile(ctx context.Context, t testing.TB, c *llb.Compiler, cell matrix.Cell) *llb.Image {
	t.Helper()
	img, err := c.Compile(ctx, cell, "linux/amd64", rootOf(cell.Recipe.OS))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// each runs a subtest with the compiled image of every cell.
func each(t *testing.T, test func(*testing.T, matrix.Cell, *llb.Image)) {
	t.Helper()
	c := catalog(t)
	compiler := &llb.Compiler{}
	for _, cell := range cells(t, c) {
		t.Run(cell.ID, func(t *testing.T) {
			t.Parallel()
			test(t, cell, compile(t.Context(), t, compiler, cell))
		})
	}
}
