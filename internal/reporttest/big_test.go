// SPDX-License-Identifier: Apache-2.0

package reporttest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/reporttest"
	"github.com/cudabuild/cudabuild/report"
)

func TestBig(t *testing.T) {
	t.Parallel()
	d := reporttest.Big(600, 40, 8)
	if len(d.Images) != 600 || len(d.Drivers) != 40 || len(d.GPUs) != 8 {
		t.Fatalf("%d images, %d drivers, %d GPUs, want 600, 40, 8", len(d.Images), len(d.Drivers), len(d.GPUs))
	}
	hows, runs, most := map[report.How]int{}, map[string]int{}, 0
	for _, image := range d.Images {
		for _, p := range image.Platforms {
			packages := 0
			for _, l := range p.Layers {
				packages += len(d.Layers[l].Packages)
			}
			most = max(most, packages)
			if image.Digest != "" && len(p.Grid) != 40*8 {
				t.Errorf("%s: %d answers, want one for each driver and GPU", image.ID, len(p.Grid))
			}
			for _, a := range p.Grid {
				hows[d.Answers[a].How]++
				runs[d.Answers[a].Runs]++
			}
		}
	}
	for _, how := range []report.How{report.Predicted, report.Seen, report.Disagrees} {
		if hows[how] == 0 {
			t.Errorf("no answer is %s: %v", how, hows)
		}
	}
	if runs["yes"] == 0 || runs["no"] == 0 || runs["limited"] == 0 {
		t.Errorf("answers are %v, want all kinds", runs)
	}
	if most < 250 || most > 260 {
		t.Errorf("the largest image has %d packages, want 250 and cuDNN's", most)
	}
	if diff := cmp.Diff(d, reporttest.Big(600, 40, 8)); diff != "" {
		t.Errorf("a second document differs:\n%s", diff)
	}
}

func TestBigHasAllCells(t *testing.T) {
	t.Parallel()
	d := reporttest.Big(2196, 19, 8)
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d layers, %d answers, %d bytes of JSON", len(d.Layers), len(d.Answers), len(data))
	if len(d.Images) != 2196 {
		t.Errorf("%d images, want 2196", len(d.Images))
	}
}
