// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"slices"
	"testing"

	"github.com/cudabuild/cudabuild/record"
)

// testVendorExports does for stand-ins what [TestExports] does for Debian's packages:
// for apt with and without a base flavor, and for dnf.
func testVendorExports(t *testing.T, v *vendor, doc record.Run) {
	x := exporter{newBuildx(t), v.fixture, []string{"--recipes", v.recipes}, nil}
	x.compare(t, doc, []string{"9.0-runtime-ubuntu16.04", "7.5-devel-ubuntu14.04", "12.8.1-runtime-rockylinux9"})
	t.Run("shared layers", func(t *testing.T) {
		const lower, upper = "9.0-base-ubuntu16.04", "9.0-runtime-ubuntu16.04"
		baked := x.bake(t, []string{lower, upper})
		// A layer that was built twice would have two digests: files carry the time of the build.
		below, above := baked[lower].layers, baked[upper].layers
		if len(above) != len(below)+1 || !slices.Equal(below, above[:len(below)]) {
			t.Errorf("layers of runtime are %v, want those of base and one more: %v", above, below)
		}
	})
}
