// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/recipes"
)

func load(t testing.TB, dirs ...string) *recipes.Catalog {
	t.Helper()
	c, err := recipes.Load(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pairs calls test for every OS of Debian and release of the embedded catalog.
func pairs(t *testing.T, test func(t *testing.T, c *recipes.Catalog, o recipes.OS, r recipes.Release)) {
	t.Helper()
	c := grown(t)
	for _, name := range c.OSNames() {
		o, _ := c.OS(name)
		if o.Source != "debian" {
			continue
		}
		for _, cuda := range c.CUDAFor(name) {
			r, ok := c.Find(name, cuda)
			if !ok {
				t.Fatalf("Find(%q, %q) does not know what CUDAFor lists", name, cuda)
			}
			t.Run(cuda+"-"+name, func(t *testing.T) {
				t.Parallel()
				test(t, c, o, r)
			})
		}
	}
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	c := grown(t)
	for os, cuda := range map[string]string{"debian11": "11.2", "debian12": "11.8", "debian13": "12.4"} {
		if diff := cmp.Diff([]string{cuda}, c.CUDAFor(os)); diff != "" {
			t.Errorf("CUDAFor(%s) (-want +got):\n%s", os, diff)
		}
		if diff := cmp.Diff([]string{os}, c.OSFor(cuda)); diff != "" {
			t.Errorf("OSFor(%s) (-want +got):\n%s", cuda, diff)
		}
	}
	versions := c.CUDAVersions()
	slices.Sort(versions)
	if once := slices.Compact(slices.Clone(versions)); !slices.Equal(once, versions) {
		t.Errorf("CUDAVersions holds a release twice: %v", versions)
	}
	if _, ok := c.Find("debian12", "12.4"); ok {
		t.Error("Find(debian12, 12.4) found a release that was never packaged")
	}
}

var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`) // Debian policy 5.6.1

// TestSane holds every embedded release to what the rest relies on.
func TestSane(t *testing.T) {
	t.Parallel()
	pairs(t, func(t *testing.T, c *recipes.Catalog, o recipes.OS, r recipes.Release) {
		if o.Title == "" || len(o.Bootstrap.Components) == 0 || o.Bootstrap.SizeMB <= 0 {
			t.Errorf("OS %+v lacks a title, components or a size", o)
		}
		if !strings.HasPrefix(r.Version, r.CUDA+".") {
			t.Errorf("version %s is not one of CUDA %s", r.Version, r.CUDA)
		}
		if !slices.IsSorted(r.Samples.SASS) || r.Samples.PTX < r.Samples.SASS[len(r.Samples.SASS)-1] {
			t.Errorf("samples %+v: want SASS ascending and PTX no older than the newest", r.Samples)
		}
		seen := map[string]recipes.Flavor{}
		for _, f := range recipes.Flavors() {
			layer := r.Layers[f]
			if layer.SizeMB <= 0 {
				t.Errorf("layer %s has no size: the disk check would not count it", f)
			}
			for _, p := range layer.Packages {
				if !packageName.MatchString(p) {
					t.Errorf("layer %s: %q is not a package name", f, p)
				}
				if other, twice := seen[p]; twice {
					t.Errorf("package %s is in %s and in %s", p, other, f)
				}
				seen[p] = f
			}
		}
		for _, p := range c.Manager(o).DriverPackages {
			if f, ok := seen[p]; ok {
				t.Errorf("layer %s installs %s, a driver package", f, p)
			}
		}
		if required := compat.RequireCUDA(r.CUDA); required == "" {
			t.Errorf("no requirement for CUDA %s", r.CUDA)
		}
	})
}

// TestManagers: the guard conflicts with a package once, and a step leaves no
// trace of what it downloads.
func TestManagers(t *testing.T) {
	t.Parallel()
	c := grown(t)
	for _, name := range c.OSNames() {
		o, _ := c.OS(name)
		if o.Source != "debian" {
			continue
		}
		m := c.Manager(o)
		sorted := slices.Sorted(slices.Values(m.DriverPackages))
		if len(sorted) == 0 || len(slices.Compact(sorted)) != len(m.DriverPackages) {
			t.Errorf("%s: driver packages are none or listed twice: %v", m.Name, m.DriverPackages)
		}
		kinds := map[string]recipes.MountKind{}
		for _, mount := range m.Mounts {
			kinds[mount.Path] = mount.Kind
		}
		for _, path := range []string{"/tmp", "/var/log"} {
			if kinds[path] != recipes.TmpfsMount {
				t.Errorf("%s: %s is %q, want tmpfs", m.Name, path, kinds[path])
			}
		}
	}
}
