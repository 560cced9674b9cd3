// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
)

// TestOpenBranch: of driver branch 620 it is known that it is there, and not of which CUDA
// release it is. What that decides is unknown, unless the host has said it.
func TestOpenBranch(t *testing.T) {
	t.Parallel()
	require := func(text string) []compat.Requirement {
		r, err := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", text)
		if err != nil {
			t.Fatal(err)
		}
		return []compat.Requirement{r}
	}
	part := func(runtime string) []compat.Part {
		return []compat.Part{{Name: "app", Runtime: runtime, SASS: []compat.Target{{SM: 90}}}}
	}
	for name, test := range map[string]struct {
		needs compat.Needs
		host  compat.Host
		want  compat.Verdict
		why   string
	}{
		"known release":     {compat.Needs{Parts: part("13.4")}, compat.Host{Driver: "620.10"}, compat.Native, "driver 620.10 offers at least CUDA 13.4"},
		"same major":        {compat.Needs{Parts: part("13.9")}, compat.Host{Driver: "620.10"}, compat.MinorCompat, ""},
		"next major":        {compat.Needs{Parts: part("14.0")}, compat.Host{Driver: "620.10"}, compat.Unknown, "app needs CUDA 14.0: driver 620.10 offers at least CUDA 13.4"},
		"next major, said":  {compat.Needs{Parts: part("14.0")}, compat.Host{Driver: "620.10", CUDA: "14.1"}, compat.Native, ""},
		"next major, less":  {compat.Needs{Parts: part("14.0")}, compat.Host{Driver: "620.10", CUDA: "13.6"}, compat.No, "driver 620.10 offers CUDA 13.6"},
		"next major, none":  {compat.Needs{Parts: part("14.0")}, compat.Host{Driver: "620.10", CUDA: "13.4"}, compat.No, "driver 620.10 offers CUDA 13.4"},
		"next major, older": {compat.Needs{Parts: part("14.0")}, compat.Host{Driver: "610.43.02"}, compat.No, ""},
		"asked for":         {compat.Needs{Require: require("cuda>=13.9")}, compat.Host{Driver: "620.10"}, compat.Unknown, "offers at least CUDA 13.4"},
		"asked for, known":  {compat.Needs{Require: require("cuda>=13.4")}, compat.Host{Driver: "620.10"}, compat.Native, ""},
		"asked for, said":   {compat.Needs{Require: require("cuda>=13.9")}, compat.Host{Driver: "620.10", CUDA: "13.5"}, compat.No, ""},
		"asked for, brand":  {compat.Needs{Require: require("cuda>=13.9,brand=tesla")}, compat.Host{Driver: "620.10", Brand: "GeForce"}, compat.No, ""},
	} {
		test.host.GPU = compat.Target{SM: 90}
		if p := compat.Predict(test.needs, test.host); p.Verdict != test.want || !strings.Contains(p.Why, test.why) {
			t.Errorf("%s: %+v, want %s with %q", name, p, test.want, test.why)
		}
	}
}
