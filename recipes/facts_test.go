// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/recipes"
)

// facts returns the rows of a table that was typed in from NVIDIA's public files, not
// from the recipes.
func facts(t testing.TB, name string, columns int) [][]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "facts", name))
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(row) != columns {
			t.Fatalf("%s: %q has %d columns, want %d", name, line, len(row), columns)
		}
		rows = append(rows, row)
	}
	return rows
}

// find is a release that must exist.
func find(t testing.TB, c *recipes.Catalog, os, cuda string) recipes.Release {
	t.Helper()
	r, ok := c.Find(os, cuda)
	if !ok {
		t.Fatalf("no CUDA %s for %s", cuda, os)
	}
	return r
}

// TestPackagesOld compares every package of CUDA 6.5 to 10.2 with NVIDIA's lists.
func TestPackagesOld(t *testing.T) {
	t.Parallel()
	c := grown(t)
	for _, row := range facts(t, "packages.tsv", 4) {
		cuda, os, flavor := row[0], row[1], recipes.Flavor(row[2])
		r := find(t, c, os, cuda)
		want, got := strings.Fields(row[3]), slices.Clone(r.Layers[flavor].Packages)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s-%s-%s (-NVIDIA +ours):\n%s", cuda, flavor, os, diff)
		}
		if lacks := r.UnsourcedIn(flavor); len(lacks) > 0 {
			t.Errorf("%s-%s-%s: a list has them, and they are unsourced: %v", cuda, flavor, os, lacks)
		}
	}
}

// component is one column of NVIDIA's table and the packages that have its version.
type component struct{ deb, rpm []string }

var components = []component{
	{deb: []string{"base cuda-cudart", "devel cuda-cudart-dev"}, rpm: []string{"base cuda-cudart", "devel cuda-cudart-devel"}},
	{deb: []string{"runtime cuda-nvtx"}, rpm: []string{"runtime cuda-nvtx"}},
	{deb: []string{"runtime libnpp", "devel libnpp-dev"}, rpm: []string{"runtime libnpp", "devel libnpp-devel"}},
	{deb: []string{"runtime libcusparse", "devel libcusparse-dev"}},
	{deb: []string{"runtime libcublas", "devel libcublas-dev"}, rpm: []string{"runtime libcublas", "devel libcublas-devel"}},
	{deb: []string{"devel cuda-nvml-dev"}, rpm: []string{"devel cuda-nvml-devel"}},
	{deb: []string{"devel cuda-nvprof"}, rpm: []string{"devel cuda-nvprof"}},
	{deb: []string{"devel cuda-nsight-compute"}, rpm: []string{"devel cuda-nsight-compute"}},
}

// fixed are the packages that have the release's own number, and those of the OS.
func fixed(os string) []string {
	if !strings.HasPrefix(os, "ubuntu") {
		return []string{
			"runtime cuda-libraries", "devel cuda-command-line-tools", "devel cuda-libraries-devel", "devel cuda-minimal-build",
			"devel make", "devel findutils",
		}
	}
	list := []string{"runtime cuda-libraries", "devel cuda-command-line-tools", "devel cuda-minimal-build", "devel cuda-libraries-dev"}
	if os == "ubuntu20.04" {
		list = append(list, "devel libtinfo5", "devel libncursesw5")
	}
	return list
}

// TestPackagesNew compares every package of CUDA 11.0 and later with NVIDIA's versions,
// on the OSes for which they were read.
func TestPackagesNew(t *testing.T) {
	t.Parallel()
	c := grown(t)
	for _, row := range facts(t, "components.tsv", 12) {
		cuda, os := row[0], row[1]
		r := find(t, c, os, cuda)
		for _, flavor := range r.Flavors() {
			want, got := wanted(row, flavor), slices.Clone(r.Layers[flavor].Packages)
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s-%s-%s (-NVIDIA +ours):\n%s", cuda, flavor, os, diff)
			}
		}
		if strings.HasPrefix(os, "ubuntu") && (row[11] != "-") != (len(r.Flavors()) == 5) {
			t.Errorf("CUDA %s for %s has flavors %v, and cuDNN %q in NVIDIA's table", cuda, os, r.Flavors(), row[11])
		}
		if len(r.Unsourced) > 0 {
			t.Errorf("CUDA %s for %s: the table has them, and they are unsourced: %v", cuda, os, r.Unsourced)
		}
	}
}

// wanted is what NVIDIA's rules and a row of its versions say of a flavor.
func wanted(row []string, flavor recipes.Flavor) []string {
	cuda, os, versions := row[0], row[1], row[2:]
	major, rest, _ := strings.Cut(cuda, ".")
	minor, _, _ := strings.Cut(rest, ".")
	dashed, dotted := "-"+major+"-"+minor, major+"."+minor
	joint, deb := "-", false
	if strings.HasPrefix(os, "ubuntu") {
		joint, deb = "=", true
	}
	var list []string
	add := func(entry, suffix, version string) {
		if f, name, _ := strings.Cut(entry, " "); recipes.Flavor(f) == flavor && version != "-" {
			list = append(list, name+suffix+joint+version)
		}
	}
	for i, c := range components {
		names := c.rpm
		if deb {
			names = c.deb
		}
		for _, name := range names {
			if versions[i] != "-" {
				add(name, dashed, versions[i]+"-1")
			}
		}
	}
	for _, entry := range fixed(os) {
		if f, name, _ := strings.Cut(entry, " "); strings.HasPrefix(name, "cuda-") {
			add(entry, dashed, cuda+"-1")
		} else if recipes.Flavor(f) == flavor {
			list = append(list, name)
		}
	}
	if nccl := versions[8]; nccl != "-" {
		names := map[bool][2]string{true: {"runtime libnccl2", "devel libnccl-dev"}, false: {"runtime libnccl", "devel libnccl-devel"}}[deb]
		add(names[0], "", nccl+"-1+cuda"+dotted)
		add(names[1], "", nccl+"-1+cuda"+dotted)
	}
	if word, version, ok := strings.Cut(versions[9], " "); ok && deb {
		library, headers, suffix := "libcudnn8", "libcudnn8-dev", "-1+cuda"+dotted
		if word != "cudnn8" {
			library, headers, suffix = "libcudnn9-cuda-"+major, "libcudnn9-dev-cuda-"+major, "-1"
		}
		add(word+"-runtime "+library, "", version+suffix)
		add(word+"-devel "+library, "", version+suffix)
		add(word+"-devel "+headers, "", version+suffix)
	}
	return list
}

// inFacts is the CUDA releases that a table has rows of: a test holds the catalog to it in both
// directions for these, and says nothing of releases that came later.
func inFacts(t testing.TB, name string, columns int) map[string]bool {
	t.Helper()
	releases := map[string]bool{}
	for _, row := range facts(t, name, columns) {
		releases[row[0]] = true
	}
	return releases
}

// from11 yields NVIDIA's releases from 11.0 on by "CUDA OS PLATFORM", as on that platform.
func from11(c *recipes.Catalog) iter.Seq2[string, recipes.Release] {
	return func(yield func(string, recipes.Release) bool) {
		for _, name := range c.OSNames() {
			for _, cuda := range c.CUDAFor(name) {
				r, _ := c.Find(name, cuda)
				if r.Source != "nvidia" || compat.Compare(cuda, "11.0") < 0 {
					continue
				}
				for _, platform := range r.Platforms {
					if !yield(cuda+" "+name+" "+platform, r.On(platform)) {
						return
					}
				}
			}
		}
	}
}

// TestNCCL: it has the version that NVIDIA's images have, on each platform, and is
// nowhere else.
func TestNCCL(t *testing.T) {
	t.Parallel()
	c := grown(t)
	want := map[string]string{}
	for _, row := range facts(t, "nccl.tsv", 4) {
		for os := range strings.FieldsSeq(row[3]) {
			want[row[0]+" "+os+" "+row[1]] = row[2]
		}
	}
	read := inFacts(t, "components.tsv", 12)
	got := map[string]string{}
	for image, r := range from11(c) {
		for _, p := range r.Pins {
			if version, _, _ := strings.Cut(p.Version, "-"); read[r.CUDA] && strings.HasPrefix(p.Package, "libnccl") {
				got[image] = version
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("NCCL (-NVIDIA +ours):\n%s", diff)
	}
}

// TestAbsent: nsight-compute is in all images for development from 11.0 on but those of
// which NVIDIA's lack it.
func TestAbsent(t *testing.T) {
	t.Parallel()
	c := grown(t)
	want := map[string]bool{}
	for _, row := range facts(t, "absent.tsv", 3) {
		for cuda := range strings.FieldsSeq(row[2]) {
			want[cuda+" "+row[0]+" "+row[1]] = true
		}
	}
	got := map[string]bool{}
	for image, r := range from11(c) {
		nsight := func(p string) bool { return strings.HasPrefix(p, "cuda-nsight-compute-") }
		if !slices.ContainsFunc(r.Layers[recipes.Devel].Packages, nsight) {
			got[image] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("without nsight-compute (-NVIDIA +ours):\n%s", diff)
	}
}

// TestNothingInvented: a component has a version on an OS only if a table above has it
// there, or if NVIDIA's files were compared and found equal.
func TestNothingInvented(t *testing.T) {
	t.Parallel()
	c := grown(t)
	read := map[string]bool{}
	for _, row := range facts(t, "components.tsv", 12) {
		read[row[0]+" "+row[1]] = true
	}
	for _, row := range facts(t, "packages.tsv", 4) {
		read[row[0]+" "+row[1]] = true
	}
	tables := inFacts(t, "components.tsv", 12)
	maps.Copy(tables, inFacts(t, "packages.tsv", 4))
	unsourced := 0
	for _, name := range c.OSNames() {
		for _, cuda := range c.CUDAFor(name) {
			r, _ := c.Find(name, cuda)
			for _, p := range r.Pins {
				if p.Source == "" || p.Date == "" {
					t.Errorf("CUDA %s for %s: %s has no source: %+v", cuda, name, p.Package, p)
				}
				if tables[cuda] && p.Version != r.Version+"-1" && !read[cuda+" "+name] && !equal(cuda, p.Package) {
					t.Errorf("CUDA %s for %s: no document gives %s %s there", cuda, name, p.Package, p.Version)
				}
			}
			if r.Source == "nvidia" && !read[cuda+" "+name] && len(r.Unsourced) > 0 {
				unsourced++
			}
		}
	}
	if unsourced == 0 {
		t.Error("no release is unsourced: the test checks nothing")
	}
}

// equal is what is said about OSes that have no row. A toolkit's own components are the
// same everywhere, cublas and core of 9.0 excepted. NCCL is in a table from 11.0 on, for
// [TestNCCL].
func equal(cuda, pkg string) bool {
	switch {
	case strings.Contains(pkg, "cudnn"):
		return false
	case strings.Contains(pkg, "nccl"):
		return compat.Compare(cuda, "11.0") >= 0
	}
	return cuda != "9.0"
}
