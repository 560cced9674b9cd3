// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
)

// TestOfAnyBrand: without a brand the answer is one that holds for all that such GPUs have.
func TestOfAnyBrand(t *testing.T) {
	t.Parallel()
	n := compat.Needs{Runtime: "13.0", Compat: []compat.Compat{{Driver: "580.65.06"}}}
	predict := func(h compat.Host) compat.Prediction { return compat.Predict(n, h) }
	for _, tc := range []struct {
		sm    int
		brand string
		want  compat.Verdict
		why   string
	}{
		{86, "", compat.Unknown, "name the GPU or --brand: with geforce does not run"},
		{86, "nvidia", compat.ForwardCompat, ""},
		{86, "geforce", compat.No, "error 804"},
		{90, "", compat.ForwardCompat, "puts the image's cuda-compat"},
		{75, "", compat.Unknown, "; with tesla runs ("},
	} {
		p := ofAnyBrand(compat.Host{Driver: "550.54.14", GPU: compat.Target{SM: tc.sm}, Brand: tc.brand}, predict)
		if p.Verdict != tc.want || !strings.Contains(p.Why, tc.why) {
			t.Errorf("sm_%d %s: %s (%s), want %s (%s)", tc.sm, tc.brand, p.Verdict, p.Why, tc.want, tc.why)
		}
	}
}
