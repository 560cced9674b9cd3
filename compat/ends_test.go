// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"testing"

	"github.com/cudabuild/cudabuild/compat"
)

// TestDriverEnd: as NVIDIA's pages have it; of a number that is no branch's nothing
// is known, unless all of its time are over.
func TestDriverEnd(t *testing.T) {
	t.Parallel()
	for driver, want := range map[string]string{
		"535.161.07": "driver branch R535 until 2026-06-30",
		"580":        "driver branch R580 until 2028-06-30",
		"595.45.04":  "driver branch R595 until 2027-03-31",
		"620.10":     "driver branch R620 until 2029-09-30",
		"367.48":     "driver branch R367 ended",
		"600.1":      "",
		"612.1":      "",
		"470.57.02":  "driver branch R470 until 2024-07-31",
		"575.51.03":  "driver branch R575 ended",
		"590.44.01":  "driver branch R590 ended",
		"340.29":     "driver branch R340 ended",
		"615.1":      "",
		"625.1":      "", // after the last branch known here: perhaps one of its own
		"630.1":      "",
		"700":        "",
		"300.1":      "",
		"no version": "",
		"":           "",
	} {
		got := ""
		if end := compat.DriverEnd(driver); end != nil {
			if end.Source == "" {
				t.Errorf("DriverEnd(%q) has no source", driver)
			}
			got = end.What + " " + end.Until()
		}
		if got != want {
			t.Errorf("DriverEnd(%q) = %q, want %q", driver, got, want)
		}
	}
}
