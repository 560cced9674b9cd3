// SPDX-License-Identifier: Apache-2.0

package recall

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDrivers has what Debian's package lists are like: one driver from two sources,
// programs with versions of their own, packages of the same sources that are no driver.
func TestDrivers(t *testing.T) {
	t.Parallel()
	const records = `Package: libcuda1
Source: nvidia-graphics-drivers
Version: 470.256.02-2

Package: nvidia-smi
Source: nvidia-graphics-drivers
Version: 470.256.02-2
Description: NVIDIA System Management Interface
 Version: 1.2

Package: libnvidia-tesla-470-cuda1
Source: nvidia-graphics-drivers-tesla-470 (470.256.02-1)
Version: 470.256.02-1

Package: nvidia-settings
Version: 470.256.02-1

Package: nvidia-modprobe
Version: 470.103.01-1

Package: libxnvctrl0
Source: nvidia-settings
Version: 470.256.02-1

Package: nvidia-detect
Source: nvidia-graphics-drivers
Version: 470.256.02-2

Package: nvidia-nonglvnd-vulkan-common
Source: nvidia-graphics-drivers
Version: 515.+~470.256.02-2

Package: bash
Version: 5.2-1`
	want := map[string][]string{
		"470.256.02": {"libcuda1=470.256.02-2", "nvidia-settings=470.256.02-1", "nvidia-smi=470.256.02-2"},
		"470.103.01": {"nvidia-modprobe=470.103.01-1"},
	}
	got, err := drivers([]byte(records))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("drivers (-want +got):\n%s", diff)
	}
}

func TestEveryCleanGroupHasPackages(t *testing.T) {
	t.Parallel()
	for _, group := range CleanGroups() {
		for _, from := range clean[group] {
			if from.suite == "" || len(from.packages) == 0 {
				t.Errorf("%s: %+v, want a suite and packages", group, from)
			}
		}
	}
	if _, err := FalseAlarms(t.Context(), t.TempDir(), []string{"stub"}); err == nil {
		t.Error("a group that is not there: no error")
	}
}
