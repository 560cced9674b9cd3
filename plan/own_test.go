// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
)

// TestOwnFlavors: flavors of the user's are images like the others, of every release. One
// without packages runs no package manager.
func TestOwnFlavors(t *testing.T) {
	t.Parallel()
	catalog, err := recipes.Load("../recipes/testdata/own")
	if err != nil {
		t.Fatal(err)
	}
	m, err := matrix.Parse("matrix.yaml", []byte(strings.Replace(everything, `["*"], samples: ["*"]`, `["acme-*", "motd-*"]`, 1)), catalog)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := m.Expand("default", nil)
	if err != nil {
		t.Fatal(err)
	}
	seen, releases := map[recipes.Flavor]int{}, 0
	for _, os := range catalog.OSNames() {
		releases += len(catalog.CUDAFor(os))
	}
	for _, cell := range cells {
		for _, platform := range cell.Platforms {
			img, err := plan.New(cell, platform)
			if err != nil {
				t.Fatal(err)
			}
			checkSteps(t, cell.ID+" "+platform, img)
			last := img.Steps[len(img.Steps)-1]
			alone := strings.HasPrefix(last.Name, "motd-")
			if installs := last.Installer != "" && len(last.Mounts) > 0 && last.Env["PACKAGES"] == "jq"; installs == alone {
				t.Errorf("%s installs: %v, %v", cell.ID, installs, last.Env)
			}
			if !strings.Contains(last.Script, "chmod 0644 '/etc/") || last.Title == "" || last.Line == 0 {
				t.Errorf("%s: step %+v", cell.ID, last)
			}
		}
		seen[cell.Flavor]++
	}
	if seen["motd-devel"] != releases || seen["acme-runtime"] != releases || seen["acme-base"] != seen["motd-base"] || len(seen) != 4 {
		t.Errorf("images by flavor: %v, want those of every release", seen)
	}
}
