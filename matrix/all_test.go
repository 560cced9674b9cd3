// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// notImages is what NVIDIA's files mention and the tables do not list, with why it is no
// cell. A cell for one of these is a difference, too.
var notImages = map[string]string{
	"10.1 ubuntu14.04 linux/amd64":    "seen by name only: no list of its packages",
	"8.0 centos6 linux/amd64":         "as above",
	"9.1 centos6 linux/amd64":         "as above",
	"10.2 centos6 linux/amd64":        "as above",
	"9.0 centos7 linux/ppc64le":       "no versions for ppc64le were read, and no host here is one",
	"12.4.0 ubi8 linux/ppc64le":       "as above",
	"10.2 ubuntu18.04 linux/arm64":    "Jetson (l4t): its base image is not public",
	"7.5 ubuntu16.04 linux/amd64":     "never packaged: that repository begins at 8.0",
	"12.2.1 ubuntu22.04 linux/amd64":  "no such release in the files",
	"12.7.0 ubuntu22.04 linux/amd64":  "never released",
	"13.0.2 rockylinux10 linux/amd64": "missing in that release alone, as ubi10 is",
}

// all is the cells of the group "all" of the project's own matrix.yaml, with a release and two OSes
// that someone has added: nothing here is a matter of which there are today.
func all(t *testing.T) []matrix.Cell {
	t.Helper()
	m, err := matrix.Load("../matrix.yaml", grown(t))
	if err != nil {
		t.Fatal(err)
	}
	cells, err := m.Expand("all", nil)
	if err != nil {
		t.Fatal(err)
	}
	return cells
}

// triples is what the tables of NVIDIA's files list, by "CUDA OS PLATFORM", and the releases in them:
// packages.tsv for CUDA up to 10.2, require.tsv for all up to the newest that was read.
func triples(t *testing.T) (all, releases map[string]bool) {
	t.Helper()
	all, releases = map[string]bool{}, map[string]bool{}
	for _, row := range table(t, "packages.tsv") {
		all[row[0]+" "+row[1]+" linux/amd64"], releases[row[0]] = true, true
	}
	for _, row := range table(t, "require.tsv") {
		for os := range strings.FieldsSeq(row[4]) {
			all[row[0]+" "+os+" "+row[1]], releases[row[0]] = true, true
		}
	}
	return all, releases
}

// TestAll compares the group "all" of the project's own matrix.yaml with NVIDIA's files, for the
// releases that are in them. Every other one that there is a recipe for is in it, too.
func TestAll(t *testing.T) {
	t.Parallel()
	cells := all(t)
	want, read := triples(t)
	got, tags := map[string]bool{}, map[string][]string{}
	for _, c := range cells {
		tags[c.ID] = c.Tags
		for _, p := range c.Platforms {
			if c.Source == "nvidia" && read[c.CUDA] {
				got[c.CUDA+" "+c.OS+" "+p] = true
			}
		}
	}
	for _, os := range grown(t).OSNames() {
		for _, cuda := range grown(t).CUDAFor(os) {
			if tags[cuda+"-devel-"+os] == nil {
				t.Errorf("CUDA %s for %s has no cell", cuda, os)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("releases, OSes and platforms (-NVIDIA's +ours):\n%s", diff)
	}
	for triple, why := range notImages {
		if got[triple] {
			t.Errorf("%s is a cell, but: %s", triple, why)
		}
	}
	if tags["13.4.99-devel-plan9"] == nil {
		t.Error("what was added has no cell")
	}
	if got := tags["9.0-base-ubuntu16.04"]; len(got) == 0 || got[0] != "cuda:9.0-base-ubuntu16.04" {
		t.Errorf("tags of 9.0-base-ubuntu16.04: %v", got)
	}
}

// TestUnsourced: of the releases in NVIDIA's files nothing is unsourced but cuDNN and NCCL on OSes
// where they were not read, and what differs in 9.0 for ubi7.
func TestUnsourced(t *testing.T) {
	t.Parallel()
	_, read := triples(t)
	got := map[string]bool{}
	for _, c := range all(t) {
		for _, p := range c.Unsourced {
			switch {
			case !read[c.CUDA]:
			case strings.Contains(p, "cudnn"):
				got["cudnn"] = true
			case strings.Contains(p, "nccl"):
				got["nccl"] = true
			case c.CUDA+" "+c.OS == "9.0 ubi7":
				got["9.0 ubi7"] = true
			default:
				t.Errorf("%s installs some %s", c.ID, p)
			}
		}
		if len(c.Unsourced) > 0 && read[c.CUDA] && c.Flavor == recipes.Base {
			t.Errorf("%s is a base, and has %v unsourced", c.ID, c.Unsourced)
		}
	}
	if diff := cmp.Diff(map[string]bool{"cudnn": true, "nccl": true, "9.0 ubi7": true}, got); diff != "" {
		t.Errorf("unsourced are (-want +got):\n%s", diff)
	}
}

// TestWitnesses: a cell says who gives a version that makes no pin.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	seen := false
	for _, c := range all(t) {
		for _, w := range c.Witnesses {
			if !slices.Contains(c.Unsourced, w.Package) || w.Version == "" || w.Source == "" || w.Date == "" {
				t.Errorf("%s, where %v are unsourced, has the witness %+v", c.ID, c.Unsourced, w)
			}
		}
		if c.ID == "13.4.99-base-plan9" {
			seen = true
			want := []matrix.Witness{{Package: "cuda-cudart-13-4", Version: "13.4.1-1", Source: "a copy that does not exist", Date: "2026-02-28"}}
			if diff := cmp.Diff(want, c.Witnesses); diff != "" {
				t.Errorf("witnesses (-want +got):\n%s", diff)
			}
		}
	}
	if !seen {
		t.Error("13.4.99-base-plan9 is no cell")
	}
}

// grown is the embedded catalog and what someone has added.
func grown(t testing.TB) *recipes.Catalog {
	t.Helper()
	c, err := recipes.Load("testdata/grown")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func table(t testing.TB, name string) (rows [][]string) {
	t.Helper()
	data, err := os.ReadFile("../recipes/testdata/facts/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		}
	}
	return rows
}

// TestGroups: what the groups of the project's own matrix.yaml are for.
func TestGroups(t *testing.T) {
	t.Parallel()
	m, err := matrix.Load("../matrix.yaml", grown(t))
	if err != nil {
		t.Fatal(err)
	}
	for group, ids := range map[string]string{
		"legacy":  "6.5-runtime-ubuntu14.04 7.5-devel-centos6 8.0-nbody-ubuntu16.04 9.0-base-ubuntu16.04 10.2-devel-rockylinux8 !8.0-base-ubuntu16.04 !11.8.0-base-ubuntu20.04",
		"current": "11.8.0-base-ubuntu20.04 13.1.0-devel-ubi9 12.8.1-deviceQuery-rockylinux9 12.99.1-base-ubuntu22.04 !12.8.1-base-amzn2023 !12.4-base-debian13 !12.8.1-cudnn-devel-ubuntu24.04",
		"all":     "12.8.1-base-amzn2023 12.8.1-cudnn-devel-ubuntu24.04 12.4-base-debian13 6.5-devel-ubuntu14.04",
	} {
		cells, err := m.Expand(group, nil)
		if err != nil {
			t.Fatal(err)
		}
		for id := range strings.FieldsSeq(ids) {
			name, without := strings.CutPrefix(id, "!")
			if slices.ContainsFunc(cells, func(c matrix.Cell) bool { return c.ID == name }) == without {
				t.Errorf("group %s: %s is in it: %v", group, name, without)
			}
		}
		for _, c := range cells {
			platforms := []string{"linux/amd64", "linux/arm64"}
			if c.CUDA == "12.99.1" { // was packaged for one, and changes nothing in matrix.yaml
				platforms = platforms[:1]
			}
			if group == "current" && !slices.Equal(c.Platforms, platforms) {
				t.Errorf("%s is for %v", c.ID, c.Platforms)
			}
			if old := c.CUDA == "8.0"; old && c.Sample != "" && c.Parent != "8.0-runtime-"+c.OS {
				t.Errorf("%s stands on %s", c.ID, c.Parent)
			}
		}
	}
}

// TestCompatAllowed: the cells that have a cuda-compat say so, and that it has no version.
func TestCompatAllowed(t *testing.T) {
	t.Parallel()
	const text = "version: 1\nimage: cuda\ncompat: %s\ngroups:\n  default:\n" +
		"    - {os: [ubuntu24.04], cuda: [\"12.8.1\"], flavors: [base]}\n    - {os: [ubuntu16.04], cuda: [\"9.0\"], flavors: [base]}\n"
	for word, want := range map[string][]string{"allow": {"cuda-compat-12-8"}, "forbid": nil} {
		m, err := matrix.Parse("f", []byte(strings.Replace(text, "%s", word, 1)), catalog(t))
		if err != nil {
			t.Fatal(err)
		}
		cells, _ := m.Expand("default", nil)
		if cells[0].Compat != (word == "allow") || cells[1].Compat || !slices.Equal(cells[0].Unsourced, want) {
			t.Errorf("compat: %s makes %+v", word, cells)
		}
	}
}

// TestImpossible: what is near is said for vendors' releases, too.
func TestImpossible(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		`{os: [ubuntu16.04], cuda: ["7.5"]}`:                                        `CUDA 7.5 was never packaged for ubuntu16.04; nearest: CUDA 8.0 for ubuntu16.04, CUDA 7.5 for ubuntu14.04`,
		`{os: [ubuntu16.04], cuda: ["8.0"], flavors: [base]}`:                       `CUDA 8.0 for ubuntu16.04 has no base`,
		`{os: [centos7], cuda: ["9.0"], platforms: [linux/arm64]}`:                  `CUDA 9.0 for centos7 was never packaged for linux/arm64`,
		`{os: [ubuntu16.04], cuda: ["9.*"], platforms: [linux/amd64, linux/arm64]}`: `no CUDA release of the entry was packaged for linux/arm64`,
		`{os: [ubuntu16.04], cuda: ["9.*"], platforms: [linux/arm64]}`:              `the entry makes no image`,
		`{os: [rockylinux9], cuda: ["12.8.1"], flavors: [cudnn-devel]}`:             `CUDA 12.8.1 for rockylinux9 has no cudnn-devel`,
		`{os: ["solaris*"], cuda: ["9.0"]}`:                                         `os: "solaris*" matches nothing`,
		`{os: ["ubuntu*"], cuda: ["7.?"], platforms: ["linux/riscv*"]}`:             `platforms: "linux/riscv*" matches nothing`,
	} {
		_, err := matrix.Parse("f", []byte("version: 1\nimage: cuda\ngroups:\n  default:\n    - "+entry+"\n"), catalog(t))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", entry, err, want)
		}
	}
}
