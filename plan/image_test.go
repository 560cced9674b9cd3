// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
)

const everything = `version: 1
image: cuda
compat: allow
defaults: {flavors: ["*"], samples: [deviceQuery, nbody], platforms: ["linux/*"]}
groups: {default: [{os: ["*"], cuda: ["*"]}]}
`

// TestSteps holds of every image of the catalog what printers rely on: a step comes after
// all that it needs, the last one makes the image, each layer has its line of history, and
// devel is nowhere below a sample.
func TestSteps(t *testing.T) {
	t.Parallel()
	images := 0
	for _, cell := range expand(t, everything) {
		for _, platform := range cell.Platforms {
			img, err := plan.New(cell, platform)
			if err != nil {
				t.Fatal(err)
			}
			checkSteps(t, cell.ID+" "+platform, img)
			images++
		}
	}
	if images < 2000 {
		t.Errorf("%d images, want those of the whole catalog", images)
	}
}

func checkSteps(t *testing.T, name string, img *plan.Image) {
	t.Helper()
	made := []string{""}
	for _, step := range img.Steps {
		needs := []string{step.Below}
		for _, m := range step.Mounts {
			if m.Kind == plan.ResultMount {
				needs = append(needs, m.Name)
			}
		}
		for _, need := range needs {
			if !slices.Contains(made, need) {
				t.Errorf("%s: step %q needs %q, which is not made before it: %q", name, step.Name, need, made)
			}
		}
		if slices.Contains(made, step.Name) {
			t.Errorf("%s: step %q is there twice", name, step.Name)
		}
		made = append(made, step.Name)
	}
	layers := img.Layers()
	if layers[0].Below != "" || layers[len(layers)-1].Name != made[len(made)-1] {
		t.Errorf("%s: its layers are %v, want them to begin on the root and end with the last of %q", name, layers, made)
	}
	for _, layer := range layers {
		if layer.History == "" || layer.Program != "" != (layer.Name == "place "+img.Cell.Sample) {
			t.Errorf("%s: layer %q has the history %q and places %q", name, layer.Name, layer.History, layer.Program)
		}
		if img.Cell.Sample != "" && strings.HasSuffix(layer.Name, string(recipes.Devel)) {
			t.Errorf("%s: it has the layer %q", name, layer.Name)
		}
	}
}
