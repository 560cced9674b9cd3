// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/recipes"
)

// onArm64 is NVIDIA's NCCL for arm64 where it is another than for amd64, or none, on OSes
// whose files were read or compared: document S1.
var onArm64 = map[string]string{
	"11.0.3 rockylinux8": "2.12.12",
	"11.0.3 ubi8":        "2.12.12",
	"11.7.0 rockylinux8": "2.12.12",
	"11.7.0 ubi8":        "2.12.12",
	"11.7.0 ubuntu20.04": "2.12.12",
	"11.7.0 ubuntu22.04": "",
	"11.7.1 ubuntu20.04": "2.12.12",
	"12.0.1 rockylinux9": "",
	"12.0.1 ubi9":        "",
	"12.6.0 ubuntu24.04": "",
	"12.6.1 ubuntu24.04": "",
}

// TestPackagesArm64 compares what arm64 has with what amd64 has, package for package:
// NVIDIA's files name nvprof for amd64 alone from 11.8.0 to 12.9.1.
func TestPackagesArm64(t *testing.T) {
	t.Parallel()
	seen, tables := map[string]bool{}, inFacts(t, "components.tsv", 12)
	vendor(t, func(t *testing.T, o recipes.OS, r recipes.Release) {
		id := r.CUDA + " " + o.Name
		nccl, other := onArm64[id]
		other = other || o.Name == "ubuntu18.04" // never there
		if !slices.Equal(r.Platforms, []string{"linux/amd64", "linux/arm64"}) || !tables[r.CUDA] {
			return
		}
		seen[id] = true
		arm := r.On("linux/arm64")
		for _, flavor := range r.Flavors() {
			var want []string
			for _, p := range r.On("linux/amd64").Layers[flavor].Packages {
				isNccl := strings.HasPrefix(p, "libnccl")
				switch {
				case strings.HasPrefix(p, "cuda-nvprof-") && compat.Compare(r.CUDA, "11.8.0") >= 0, isNccl && other && nccl == "":
				case isNccl && other:
					pin, _ := r.Pin(p)
					want = append(want, strings.Replace(p, strings.Split(pin.Version, "-")[0], nccl, 1))
				default:
					want = append(want, p)
				}
			}
			if diff := cmp.Diff(want, arm.Layers[flavor].Packages); diff != "" {
				t.Errorf("%s %s on arm64 (-NVIDIA +ours):\n%s", id, flavor, diff)
			}
		}
		if got, _, _ := strings.Cut(arm.LayerEnv(recipes.Devel)["NCCL_VERSION"], "-"); other && got != nccl {
			t.Errorf("%s on arm64: NCCL_VERSION=%s, want %q", id, got, nccl)
		}
		if holds := slices.ContainsFunc(arm.Layers[recipes.Runtime].Hold, func(p string) bool { return p == "libnccl2" }); holds && other && nccl == "" {
			t.Errorf("%s on arm64 holds libnccl2, which it does not install", id)
		}
	})
	for id := range onArm64 {
		if !seen[id] {
			t.Errorf("no CUDA %s for arm64", id)
		}
	}
}

// TestNvprof: by name, what the test above holds of all.
func TestNvprof(t *testing.T) {
	t.Parallel()
	c := load(t)
	for id, want := range map[string]string{
		"11.7.1 ubuntu22.04": "11.7.101 11.7.101", "11.8.0 rockylinux8": "11.8.87 none", "12.4.1 ubuntu22.04": "12.4.127 none",
		"12.9.1 ubuntu24.04": "12.9.79 none", "13.0.0 ubuntu24.04": "none none",
	} {
		cuda, os, _ := strings.Cut(id, " ")
		amd64, arm64, _ := strings.Cut(want, " ")
		for platform, want := range map[string]string{"linux/amd64": amd64, "linux/arm64": arm64} {
			got := "none"
			for _, p := range find(t, c, os, cuda).On(platform).Pins {
				if strings.HasPrefix(p.Package, "cuda-nvprof-") {
					got = strings.TrimSuffix(p.Version, "-1")
				}
			}
			if got != want {
				t.Errorf("CUDA %s for %s on %s: nvprof %s, want %s", cuda, os, platform, got, want)
			}
		}
	}
}

// TestUnsourcedOn: what no document gives for one platform is asked of images for it alone,
// and cuda-compat comes on all.
func TestUnsourcedOn(t *testing.T) {
	t.Parallel()
	const all, amd64 = "linux/amd64 linux/arm64", "linux/amd64"
	text := strings.Replace(pointRelease, "admits:", "differ: {ubuntu24.04 linux/arm64: {nccl: unsourced}}\nadmits:", 1)
	c := load(t, dir(t, map[string]string{"toolkit/13.1.9.yaml": text, "os/plan9.yaml": newOS}))
	r := find(t, c, "ubuntu24.04", "13.1.9")
	for platforms, want := range map[string]int{all: 2, amd64: 0} {
		if got := r.UnsourcedOn(recipes.Devel, strings.Fields(platforms)); len(got) != want {
			t.Errorf("unsourced on %s: %v, want %d", platforms, got, want)
		}
		if got := r.WithCompat().UnsourcedOn(recipes.Devel, strings.Fields(platforms)); len(got) != want+1 {
			t.Errorf("with cuda-compat, unsourced on %s: %v, want %d", platforms, got, want+1)
		}
	}
	arm := r.WithCompat().On("linux/arm64")
	if got, want := arm.RequireFor("linux/arm64"), r.WithCompat().RequireFor("linux/arm64"); got != want || got == r.RequireFor("linux/arm64") {
		t.Errorf("on arm64 with cuda-compat it requires %q, want %q", got, want)
	}
}

// TestFlavorsOnAllPlatforms: an image of several platforms is of one flavor on all.
func TestFlavorsOnAllPlatforms(t *testing.T) {
	t.Parallel()
	text := strings.Replace(pointRelease, "admits:", "differ: {linux/arm64: {cudnn: none}}\nadmits:", 1)
	_, err := recipes.Load(dir(t, map[string]string{"toolkit/13.1.9.yaml": text, "os/plan9.yaml": newOS}))
	if err == nil || !strings.Contains(err.Error(), "13.1.9.yaml:7:1: CUDA 13.1.9 on ubuntu24.04 has [base runtime devel] for linux/arm64 and") {
		t.Errorf("Load = %v", err)
	}
}

// TestReadOnOnePlatform: the variables of NVIDIA's image of 13.2.0 were read for arm64 of one OS,
// and there it has what they say.
func TestReadOnOnePlatform(t *testing.T) {
	t.Parallel()
	r := find(t, load(t), "ubuntu24.04", "13.2.0")
	want := map[string]string{ // typed in from the variables
		"cuda-cudart-13-2": "13.2.51-1", "cuda-libraries-13-2": "13.2.0-1", "cuda-nvtx-13-2": "13.2.20-1", "libnpp-13-2": "13.1.0.44-1",
		"libcusparse-13-2": "12.7.9.17-1", "libcublas-13-2": "13.3.0.5-1", "cuda-cudart-dev-13-2": "13.2.51-1", "cuda-nvml-dev-13-2": "13.2.51-1",
		"libcusparse-dev-13-2": "12.7.9.17-1", "libnpp-dev-13-2": "13.1.0.44-1", "libcublas-dev-13-2": "13.3.0.5-1", "cuda-nsight-compute-13-2": "13.2.0-1",
		"cuda-command-line-tools-13-2": "13.2.0-1", "cuda-minimal-build-13-2": "13.2.0-1", "cuda-libraries-dev-13-2": "13.2.0-1", // NV_CUDA_LIB_VERSION
	}
	got := map[string]string{}
	for _, p := range r.On("linux/arm64").Pins {
		got[p.Package] = p.Version
	}
	if diff := cmp.Diff(want, got); diff != "" || len(r.On("linux/arm64").Unsourced) > 0 {
		t.Errorf("on arm64 (-NVIDIA +ours):\n%s", diff)
	}
	if got, want := r.WithCompat().RequireFor("linux/arm64"), firstOf(expand(t, "cuda>=13.2 C@535 C@570 C@580 C@590")); got != want {
		t.Errorf("it requires %q, want %q", got, want)
	}
}

func firstOf(value string, _ int) string { return value }
