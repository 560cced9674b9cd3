// SPDX-License-Identifier: Apache-2.0

package llb_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/matrix"
)

// graphs are the shapes worth reading, each with why.
var graphs = []string{
	"12.4-base-debian13",        // one step on the root, with the guard
	"12.4-runtime-debian13",     // a second step on the first
	"12.4-devel-debian13",       // the whole chain
	"12.4-deviceQuery-debian13", // compiled in devel, placed on base
	"11.8-devel-debian12",       // another OS: other data, same shape

	"9.0-devel-ubuntu16.04",            // NVIDIA's packages with apt: a guard that provides nothing, holds
	"7.5-deviceQuery-ubuntu14.04",      // no base: the sample sits on runtime; files and links
	"8.0-runtime-centos7",              // yum, and an OS whose own repositories have moved
	"12.8.1-runtime-rockylinux9",       // dnf
	"12.8.1-cudnn-runtime-ubuntu24.04", // a variant on top
}

func TestGoldenGraph(t *testing.T) {
	t.Parallel()
	seen := 0
	each(t, func(t *testing.T, cell matrix.Cell, img *llb.Image) {
		if slices.Contains(graphs, cell.ID) {
			golden.Check(t, filepath.Join("testdata", "golden", cell.ID+".txt"), parse(t, img.Definition).dump())
		}
	})
	for _, cell := range cells(t, catalog(t)) {
		if slices.Contains(graphs, cell.ID) {
			seen++
		}
	}
	if seen != len(graphs) {
		t.Errorf("%d of %d golden cells are in the plan", seen, len(graphs))
	}
}

// configs are one flavor with everything in its environment, and a sample.
var configs = []string{"12.4-devel-debian13", "12.4-nbody-debian13", "9.0-devel-ubuntu16.04"}

func TestGoldenConfig(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, cell matrix.Cell, img *llb.Image) {
		if !slices.Contains(configs, cell.ID) {
			return
		}
		data, err := json.MarshalIndent(img.Config, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", "golden", cell.ID+".config.json"), string(data)+"\n")
	})
}
