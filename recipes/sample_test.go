// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

// TestSampleOn: a sample stands where its libraries are.
func TestSampleOn(t *testing.T) {
	t.Parallel()
	none := map[recipes.Flavor]recipes.Layer{recipes.Base: {}, recipes.Devel: {}}
	old := map[recipes.Flavor]recipes.Layer{recipes.Runtime: {}, recipes.Devel: {}}
	all := map[recipes.Flavor]recipes.Layer{recipes.Base: {}, recipes.Runtime: {}, recipes.Devel: {}}
	for name, test := range map[string]struct {
		cuda, sample string
		layers       map[recipes.Flavor]recipes.Layer
		want         recipes.Flavor
		problem      string
	}{
		"alone":              {"12.4", "nbody", all, recipes.Base, ""},
		"alone, no base":     {"7.5", "nbody", old, recipes.Runtime, ""},
		"libraries":          {"12.4", "cublas", all, recipes.Runtime, ""},
		"libraries, no base": {"10.1", "npp", old, recipes.Runtime, ""},
		"nothing has them":   {"12.4", "cublas", none, "", "has no runtime, whose libraries cublas needs"},
		"too old":            {"9.2", "npp", all, "", "CUDA 9.2 for x is too old for npp, which needs 10.1"},
		"a point release":    {"10.1.243", "npp", all, recipes.Runtime, ""},
		"unknown":            {"12.4", "life", all, "", `no sample "life"`},
	} {
		got, err := recipes.Release{CUDA: test.cuda, OS: "x", Layers: test.layers}.SampleOn(test.sample)
		if got != test.want || (err == nil) != (test.problem == "") || err != nil && !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%s: SampleOn = %q, %v, want %q, %q", name, got, err, test.want, test.problem)
		}
	}
}
