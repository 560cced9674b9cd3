// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/recipes"
)

// vendor calls test for every OS and release of NVIDIA's repositories, and for what someone adds.
func vendor(t *testing.T, test func(t *testing.T, o recipes.OS, r recipes.Release)) {
	t.Helper()
	c := grown(t)
	for _, name := range c.OSNames() {
		o, _ := c.OS(name)
		for _, cuda := range c.CUDAFor(name) {
			if r, _ := c.Find(name, cuda); r.Source == "nvidia" {
				test(t, o, r)
			}
		}
	}
}

// driverPackage is any name that brings a file of the driver.
var driverPackage = regexp.MustCompile(`^(cuda|cuda-drivers.*|cuda-[0-9]+-[0-9]+|cuda-runtime.*|libcuda1.*|libnvidia-.*|nvidia-.*|kmod-nvidia.*|xorg-x11-drv-nvidia.*|gpu-deployment-kit)$`)

// TestVendorSane: what every cell from NVIDIA's repositories must hold to.
func TestVendorSane(t *testing.T) {
	t.Parallel()
	seen := 0
	vendor(t, func(t *testing.T, o recipes.OS, r recipes.Release) {
		seen++
		id := r.CUDA + " on " + o.Name
		if len(r.Samples.SASS) == 0 || r.Samples.PTX < r.Samples.SASS[len(r.Samples.SASS)-1] || !slices.IsSorted(r.Samples.SASS) {
			t.Errorf("%s: samples %+v", id, r.Samples)
		}
		for flavor, layer := range r.Layers {
			if layer.SizeMB <= 0 || len(layer.Packages) == 0 {
				t.Errorf("%s: layer %s has %d packages and %d MB", id, flavor, len(layer.Packages), layer.SizeMB)
			}
			for _, p := range layer.Packages {
				if name, _, _ := strings.Cut(p, "="); driverPackage.MatchString(name) || strings.Contains(p, "compat") || strings.ContainsAny(p, "{} ") {
					t.Errorf("%s: layer %s installs %q", id, flavor, p)
				}
			}
			for _, name := range layer.Hold {
				if !slices.ContainsFunc(layer.Packages, func(p string) bool { return strings.HasPrefix(p, name) }) {
					t.Errorf("%s: layer %s holds %s, which it does not install", id, flavor, name)
				}
			}
		}
		if file, line := r.Where("base"); !strings.Contains(file, "/toolkit/") || line == 0 {
			t.Errorf("%s: base comes from %s:%d", id, file, line)
		}
	})
	if seen == 0 {
		t.Error("there is no release")
	}
}

// TestSearchPaths: no stub and no cuda-compat on a path on which programs are looked up or
// loaded. Only the linker may see stubs.
func TestSearchPaths(t *testing.T) {
	t.Parallel()
	vendor(t, func(t *testing.T, o recipes.OS, r recipes.Release) {
		for flavor, layer := range r.WithCompat().Layers {
			for name, value := range layer.Env {
				if strings.Contains(value, "compat") || strings.Contains(value, "stubs") && name != "LIBRARY_PATH" {
					t.Errorf("%s-%s-%s: %s=%s", r.CUDA, flavor, o.Name, name, value)
				}
				if strings.HasSuffix(value, ":") || strings.Contains(value, "::") {
					t.Errorf("%s-%s-%s: an empty directory in %s=%s", r.CUDA, flavor, o.Name, name, value)
				}
			}
			for path, text := range layer.Files {
				if strings.Contains(text, "stubs") || strings.Contains(text, "compat") {
					t.Errorf("%s-%s-%s: %s says %q", r.CUDA, flavor, o.Name, path, text)
				}
			}
			if strings.HasSuffix(string(flavor), "runtime") && layer.Env["LIBRARY_PATH"] != "" {
				t.Errorf("%s-%s-%s: stubs are in devel only", r.CUDA, flavor, o.Name)
			}
		}
	})
}

// TestNotRepeated: the errors of NVIDIA's own files.
func TestNotRepeated(t *testing.T) {
	t.Parallel()
	c := load(t)
	has := func(os, cuda string, flavor recipes.Flavor, pkg string) bool {
		t.Helper()
		return slices.Contains(find(t, c, os, cuda).Layers[flavor].Packages, pkg)
	}
	for _, must := range []struct {
		os, cuda string
		flavor   recipes.Flavor
		pkg      string
	}{
		{"ubuntu16.04", "8.0", recipes.Runtime, "cuda-cusolver-8-0=8.0.61-1"}, // of an undefined variable
		{"centos7", "8.0", recipes.Runtime, "cuda-cudart-8-0-8.0.61-1"},
		{"centos7", "8.0", recipes.Runtime, "cuda-cublas-8-0-8.0.61.2-1"}, // cuda-libcublas-8-0 is no package
		{"ubuntu16.04", "8.0", recipes.Devel, "cuda-cudart-dev-8-0=8.0.61-1"},
		{"centos7", "9.0", recipes.Runtime, "cuda-cublas-9-0-9.0.176.4-1"}, // not deb's =9.0.4-1
		{"ubuntu16.04", "9.0", recipes.Runtime, "cuda-cublas-9-0=9.0.176.4-1"},
	} {
		if !has(must.os, must.cuda, must.flavor, must.pkg) {
			t.Errorf("%s-%s-%s lacks %s", must.cuda, must.flavor, must.os, must.pkg)
		}
	}
	for cuda, pkg := range map[string]string{"12.0.0": "libnccl-2.17.1-1+cuda12.0", "12.0.1": "libnccl-2.19.3-1+cuda12.0", "12.1.0": "libnccl-2.17.1-1+cuda12.1"} {
		for _, os := range []string{"centos7", "ubi7"} {
			if !has(os, cuda, recipes.Runtime, pkg) || len(find(t, c, os, cuda).Unsourced) > 0 {
				t.Errorf("%s-runtime-%s lacks %s, or has something unsourced", cuda, os, pkg)
			}
		}
	}
	for _, cuda := range []string{"9.0", "9.1"} {
		if diff := cmp.Diff([]string{"libnccl2"}, find(t, c, "ubuntu16.04", cuda).Layers[recipes.Runtime].Hold); diff != "" {
			t.Errorf("CUDA %s holds (-want +got):\n%s", cuda, diff)
		}
	}
	if got := find(t, c, "rockylinux9", "12.3.1").WithCompat().RequireFor("linux/arm64"); got != "cuda>=12.3" {
		t.Errorf("12.3.1 on arm64 asks for %q: the hook knows lower case only", got)
	}
	if got := find(t, c, "ubuntu24.04", "13.1.0").WithCompat().RequireFor("linux/amd64"); len(strings.Fields(got)) != 61 {
		t.Errorf("13.1.0 asks for %d terms, want the 61 of the images, not the manifest's none", len(strings.Fields(got)))
	}
	vendor(t, func(t *testing.T, o recipes.OS, r recipes.Release) {
		var all []string
		for _, flavor := range r.Chain(recipes.Devel) {
			all = append(all, r.Layers[flavor].Packages...)
		}
		slices.Sort(all)
		if once := slices.Compact(slices.Clone(all)); len(once) != len(all) {
			t.Errorf("CUDA %s on %s installs a package twice: %v", r.CUDA, o.Name, all)
		}
		for _, p := range all { // one package manager's form on the other's OS
			if strings.Contains(p, "=") && o.Repository.Packages == "rpm" {
				t.Errorf("CUDA %s on %s: %s", r.CUDA, o.Name, p)
			}
		}
	})
}

// TestChain: what an image of a flavor stacks up.
func TestChain(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, test := range []struct {
		os, cuda, flavors string
		chains            map[recipes.Flavor]string
	}{
		{"ubuntu16.04", "8.0", "[runtime devel]", map[recipes.Flavor]string{"base": "[]", "runtime": "[runtime]", "devel": "[runtime devel]"}},
		{"ubuntu16.04", "9.0", "[base runtime devel]", map[recipes.Flavor]string{"base": "[base]", "devel": "[base runtime devel]"}},
		{"ubuntu22.04", "11.8.0", "[base runtime devel cudnn8-runtime cudnn8-devel]", map[recipes.Flavor]string{
			"cudnn8-runtime": "[base runtime cudnn8-runtime]", "cudnn8-devel": "[base runtime devel cudnn8-devel]", "cudnn-devel": "[]",
		}},
		{"ubuntu22.04", "12.3.2", "[base runtime devel cudnn9-runtime cudnn9-devel]", nil},
		{"ubuntu24.04", "12.5.1", "[base runtime devel]", nil},
		{"ubuntu24.04", "13.0.2", "[base runtime devel cudnn-runtime cudnn-devel]", nil},
		{"debian13", "12.4", "[base runtime devel]", map[recipes.Flavor]string{"runtime": "[base runtime]"}},
	} {
		r := find(t, c, test.os, test.cuda)
		if got := fmt.Sprint(r.Flavors()); got != test.flavors {
			t.Errorf("CUDA %s for %s has %s, want %s", test.cuda, test.os, got, test.flavors)
		}
		for _, flavor := range slices.Sorted(maps.Keys(test.chains)) {
			if got := fmt.Sprint(r.Chain(flavor)); got != test.chains[flavor] {
				t.Errorf("%s-%s-%s stacks up %s, want %s", test.cuda, flavor, test.os, got, test.chains[flavor])
			}
		}
	}
}

// TestCompat: cuda-compat is in the lowest layer where it is allowed and exists, and its
// version is known for CUDA 10.0 on Ubuntu only.
func TestCompat(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, test := range []struct{ os, cuda, want string }{
		{"ubuntu18.04", "10.0", "[cuda-cudart-10-0=10.0.130-1 cuda-compat-10-0=410.48-1] []"},
		{"ubuntu24.04", "12.8.1", "[cuda-cudart-12-8=12.8.90-1 cuda-compat-12-8] [cuda-compat-12-8]"},
		{"rockylinux9", "12.8.1", "[cuda-cudart-12-8-12.8.90-1 cuda-compat-12-8] [cuda-compat-12-8]"},
		{"ubuntu16.04", "9.0", "[cuda-cudart-9-0=9.0.176-1] []"},
		{"debian13", "12.4", "[libcudart12] []"},
	} {
		plain := find(t, c, test.os, test.cuda)
		r := plain.WithCompat()
		if got := fmt.Sprint(r.Layers[recipes.Base].Packages, r.UnsourcedIn(recipes.Base)); got != test.want {
			t.Errorf("base of CUDA %s for %s with cuda-compat: %s, want %s", test.cuda, test.os, got, test.want)
		}
		if again := find(t, c, test.os, test.cuda); !cmp.Equal(again.Layers, plain.Layers) || !cmp.Equal(again.Unsourced, plain.Unsourced) {
			t.Errorf("WithCompat has changed the catalog's CUDA %s for %s", test.cuda, test.os)
		}
	}
}
