// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
)

const everything = `version: 1
image: cuda
compat: allow
defaults: {flavors: ["*"], samples: ["*"], platforms: ["linux/*"]}
groups: {default: [{os: ["*"], cuda: ["*"]}]}
`

// TestSteps holds of every image of the catalog what printers rely on: a step comes after
// all that it needs, the last one makes the image, each layer has its line of history, and
// devel is nowhere below a sample.
func TestSteps(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, cell := range expand(t, everything) {
		seen[cell.OS+" "+cell.CUDA] = true
		for _, platform := range cell.Platforms {
			img, err := plan.New(cell, platform)
			if err != nil {
				t.Fatal(err)
			}
			checkSteps(t, cell.ID+" "+platform, img)
		}
	}
	catalog, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, os := range catalog.OSNames() {
		for _, cuda := range catalog.CUDAFor(os) {
			if !seen[os+" "+cuda] {
				t.Errorf("CUDA %s for %s has no image", cuda, os)
			}
		}
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

// TestSampleOfLibraries holds of samples that are linked to libraries that these are in the
// image, and of the others that their steps are as they were when there was no header.
func TestSampleOfLibraries(t *testing.T) {
	t.Parallel()
	for sample, want := range map[string]struct{ on, linked string }{
		"cublas": {"runtime", "-I/run/cudabuild/include -lcublas"}, "vectorAdd": {"base", "-I/run/cudabuild/include"}, "nbody": {"base", ""},
	} {
		cell := expand(t, strings.Replace(everything, `cuda: ["*"]`, `cuda: ["12.4"], samples: [`+sample+`], flavors: []`, 1))[0]
		img, err := plan.New(cell, "linux/amd64")
		if err != nil {
			t.Fatal(err)
		}
		compile, place := img.Steps[len(img.Steps)-2], img.Steps[len(img.Steps)-1]
		if cell.Parent != "12.4-"+want.on+"-debian13" || place.Below != want.on {
			t.Errorf("%s stands on %s and %s, want %s", sample, cell.Parent, place.Below, want.on)
		}
		_, linked, _ := strings.Cut(strings.TrimSpace(compile.Script), sample+".cu")
		if !strings.HasPrefix(strings.TrimSpace(linked), want.linked) || want.linked == "" && linked != "" {
			t.Errorf("%s is compiled by %q, want that to end in %q", sample, compile.Script, want.linked)
		}
		header := slices.ContainsFunc(compile.Mounts, func(m plan.Mount) bool { return m.Text == samples.Header })
		if header != (want.linked != "") {
			t.Errorf("%s sees the header: %v", sample, header)
		}
	}
}
