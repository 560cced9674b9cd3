// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

// vendorGuards calls test with each package manager of source nvidia and the names or
// patterns that its guard keeps out.
func vendorGuards(t *testing.T, test func(t *testing.T, c *recipes.Catalog, o recipes.OS, text string, names []string)) {
	t.Helper()
	c := grown(t)
	seen := map[string]bool{}
	for _, name := range c.OSNames() {
		o, _ := c.OS(name)
		if o.Source != "nvidia" || seen[o.Manager] || len(c.CUDAFor(name)) == 0 {
			continue
		}
		seen[o.Manager] = true
		t.Run(o.Manager, func(t *testing.T) {
			t.Parallel()
			r, _ := c.Find(name, c.CUDAFor(name)[0])
			text, err := c.Manager(o).Guard(r)
			if err != nil {
				t.Fatal(err)
			}
			list := text
			for line := range strings.Lines(text) {
				if rest, ok := strings.CutPrefix(line, "Conflicts: "); ok {
					list = rest
				}
			}
			list = strings.TrimPrefix(list, "exclude=")
			test(t, c, o, strings.TrimSpace(text), strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(", \n", r) }))
		})
	}
	if len(seen) < 5 {
		t.Errorf("managers %v, want apt-nvidia, yum, dnf, tdnf and zypper", seen)
	}
}

// TestVendorGuardKeepsOut knows names of driver packages by heart (NVIDIA's repositories
// of 2014 to 2025).
func TestVendorGuardKeepsOut(t *testing.T) {
	t.Parallel()
	drivers := map[string][]string{
		"deb": {
			"cuda", "cuda-drivers", "cuda-drivers-550", "nvidia-384", "libcuda1-384", "nvidia-driver-470", "nvidia-driver-550-open", "libnvidia-compute-535-server", "nvidia-open-570", "libnvidia-ml1",
			"libnvidia-gl-535", "libnvidia-cfg1-470-server", "nvidia-dkms-550-server-open", "nvidia-kernel-common-570", "libnvidia-nscq-535", "nvidia-imex-570",
		},
		"rpm": {
			"cuda", "cuda-drivers", "cuda-drivers-550", "nvidia-driver", "nvidia-driver-cuda-libs", "nvidia-modprobe", "nvidia-persistenced", "nvidia-open", "nvidia-fabricmanager",
			"libnvidia-gpucomp", "libnvidia-fbc", "libnvidia-nscq-535", "libnvsdm", "nvidia-gpu-firmware", "nvidia-firmware",
		},
	}
	vendorGuards(t, func(t *testing.T, _ *recipes.Catalog, o recipes.OS, text string, patterns []string) {
		for _, driver := range drivers[o.Repository.Packages] {
			if !slices.ContainsFunc(patterns, func(p string) bool { return matches(t, p, driver) }) {
				t.Errorf("%s is not kept out by\n%s", driver, text)
			}
		}
		if o.Repository.Packages == "rpm" && strings.Contains(text, "\n") {
			t.Errorf("%q is not one line of a repo file", text)
		}
	})
}

// TestVendorGuardLetsIn: no recipe asks for a package that its guard keeps out.
func TestVendorGuardLetsIn(t *testing.T) {
	t.Parallel()
	vendorGuards(t, func(t *testing.T, c *recipes.Catalog, o recipes.OS, _ string, patterns []string) {
		pins := 0
		for _, name := range c.OSNames() {
			if other, _ := c.OS(name); other.Manager != o.Manager {
				continue
			}
			for _, cuda := range c.CUDAFor(name) {
				r, _ := c.Find(name, cuda)
				for _, pin := range r.WithCompat().Pins {
					pins++
					if slices.ContainsFunc(patterns, func(p string) bool { return matches(t, p, pin.Package) }) {
						t.Errorf("CUDA %s for %s installs %s, which the guard keeps out", cuda, name, pin.Package)
					}
				}
			}
		}
		if pins == 0 {
			t.Error("no release pins anything")
		}
	})
}

func matches(t *testing.T, pattern, name string) bool {
	t.Helper()
	ok, err := path.Match(pattern, name)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}
