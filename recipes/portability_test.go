// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/recipes"
)

// TestRequirementsAdmitOnlyWhatRuns holds for the samples of every release that no
// requirement admits a driver on which they are predicted to fail, for each GPU that
// the driver knows and the samples have code for.
func TestRequirementsAdmitOnlyWhatRuns(t *testing.T) {
	t.Parallel()
	pairs(t, func(t *testing.T, _ *recipes.Catalog, _ recipes.OS, r recipes.Release) {
		sample := samplePart(t, r)
		requirement, err := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", compat.RequireCUDA(r.CUDA))
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		for _, driver := range drivers() {
			for _, gpu := range compat.GPUs() {
				host := compat.Host{Driver: driver, GPU: gpu}
				if !requirement.Check(host).Holds || !exists(host) || !hasCode(sample, gpu) {
					continue
				}
				checked++
				if p := compat.Predict(compat.Needs{Parts: []compat.Part{sample}}, host); !p.Verdict.Runs() {
					t.Errorf("%q admits driver %s with %s, where it fails: %s", requirement, driver, gpu, p.Why)
				}
			}
		}
		if checked < 20 {
			t.Errorf("%q admits only %d pairs of driver and GPU: the test checks nothing", requirement, checked)
		}
	})
}

// samplePart is a sample program of the release as its nvcc compiles it.
func samplePart(t *testing.T, r recipes.Release) compat.Part {
	t.Helper()
	p := compat.Part{Name: "sample", Runtime: r.CUDA}
	for _, sm := range r.Samples.SASS {
		p.SASS = append(p.SASS, compat.Target{SM: sm})
	}
	isa, ok := compat.PTXVersion(r.CUDA)
	if !ok {
		t.Fatalf("no PTX version for CUDA %s", r.CUDA)
	}
	p.PTX = []compat.PTX{{Target: compat.Target{SM: r.Samples.PTX}, ISA: isa}}
	return p
}

// drivers are those of the tables and their neighbours.
func drivers() []string {
	var all []string
	for _, d := range compat.Drivers() {
		branch, _, _ := strings.Cut(d, ".")
		all = append(all, branch, d, d+".1", branch+".999")
	}
	return all
}

// exists reports whether the driver knows the GPU: then what needs nothing runs.
func exists(h compat.Host) bool { return compat.Predict(compat.Needs{}, h).Verdict.Runs() }

func hasCode(p compat.Part, gpu compat.Target) bool {
	return p.PTX[0].CompilesFor(gpu) || slices.ContainsFunc(p.SASS, func(t compat.Target) bool { return t.RunsOn(gpu) })
}
