// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
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
	for name, r := range distinct(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needs := compat.Needs{Parts: []compat.Part{samplePart(t, r)}}
			for _, p := range r.Platforms {
				if wrong := admittedInVain(t, needs, r.RequireFor(p), ""); len(wrong) > 0 {
					t.Error(wrong[0])
				}
			}
		})
	}
}

// TestRequirementsWithCompatAdmitOnlyWhatRuns is the same for images with cuda-compat on
// data-center GPUs. NVIDIA's own strings also admit GeForce and Titan on older drivers,
// until 12.5; they are repeated as they are, but the hook puts cuda-compat first
// there too, and it does not work on these (error 804).
func TestRequirementsWithCompatAdmitOnlyWhatRuns(t *testing.T) {
	t.Parallel()
	for name, r := range distinct(t) {
		if !r.HasCompat() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needs := compat.Needs{
				Parts:  []compat.Part{samplePart(t, r)},
				Compat: []compat.Compat{{Driver: compat.FirstDriver(r.CUDA)}},
			}
			r := r.WithCompat()
			for _, p := range r.Platforms {
				for _, brand := range []string{"Tesla", "NVIDIA"} {
					if wrong := admittedInVain(t, needs, r.RequireFor(p), brand); len(wrong) > 0 {
						t.Errorf("%s: %s", brand, wrong[0])
					}
				}
				wrong := admittedInVain(t, needs, r.RequireFor(p), "GeForce")
				if admits := strings.Contains(r.RequireFor(p), "brand=geforce,driver>="); admits != (len(wrong) > 0) {
					t.Errorf("GeForce: admitted on older drivers: %v; found %.200q", admits, wrong)
				}
			}
		})
	}
}

func minor(cuda string) string {
	major, rest, _ := strings.Cut(cuda, ".")
	second, _, _ := strings.Cut(rest, ".")
	return major + "." + second
}

// distinct returns a release for each X.Y and requirement, with one platform.
func distinct(t *testing.T) map[string]recipes.Release {
	t.Helper()
	c := grown(t)
	releases, seen := map[string]recipes.Release{}, map[string]bool{}
	for _, os := range c.OSNames() {
		for _, cuda := range c.CUDAFor(os) {
			r, _ := c.Find(os, cuda)
			if _, known := compat.PTXVersion(cuda); !known {
				continue // newer than the tables: they predict nothing of it
			}
			for _, p := range r.Platforms {
				key := minor(cuda) + r.RequireFor(p) + r.WithCompat().RequireFor(p)
				if !seen[key] {
					seen[key] = true
					r.Platforms = []string{p}
					releases[cuda+"-"+os+"-"+p] = r
					break
				}
			}
		}
	}
	if len(releases) == 0 {
		t.Error("the tables know no release")
	}
	return releases
}

// admittedInVain says of each driver and GPU that the requirement admits why it fails.
func admittedInVain(t *testing.T, needs compat.Needs, require, brand string) (wrong []string) {
	t.Helper()
	requirement, err := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", require)
	if err != nil {
		t.Fatal(err)
	}
	asks := compat.Needs{Require: []compat.Requirement{requirement}}
	checked := 0
	for _, driver := range drivers() {
		for _, gpu := range compat.GPUs() {
			host := compat.Host{Driver: driver, GPU: gpu, Brand: brand}
			if !asks.Admits(host) || !exists(host) || !hasCode(needs.Parts[0], gpu) {
				continue
			}
			checked++
			if p := compat.Predict(needs, host); !p.Verdict.Runs() {
				wrong = append(wrong, fmt.Sprintf("%.60q admits driver %s with %s, where it fails: %s", requirement, driver, gpu, p.Why))
			}
		}
	}
	if checked < 20 {
		t.Errorf("%q admits only %d pairs of driver and GPU: the test checks nothing", requirement, checked)
	}
	return wrong
}

// samplePart is a sample program of the release as its nvcc compiles it.
func samplePart(t *testing.T, r recipes.Release) compat.Part {
	t.Helper()
	p := compat.Part{Name: "sample", Runtime: minor(r.CUDA)}
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
