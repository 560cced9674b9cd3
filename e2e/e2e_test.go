// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// TestEndToEnd is one story: each part starts from what the one before has left.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, r := f.build(t, "--only", "12.4-*")
	if r.code != 0 || first.Totals.Passed != len(cells) {
		t.Fatalf("matrix: exit %d, %d of %d passed\n%s\n%s", r.code, first.Totals.Passed, len(cells), r.stdout, r.stderr)
	}
	for _, c := range first.Cells {
		t.Logf("%-26s %8.1f MB %6.1f s", c.ID, float64(c.SizeBytes)/1e6, c.BuildSeconds)
	}
	t.Run("libraries", func(t *testing.T) { testLibraries(t, f) })
	t.Run("layout", func(t *testing.T) { testLayout(t, f, first) })
	t.Run("packages", func(t *testing.T) { testPackages(t, f, cells...) })
	t.Run("differences", func(t *testing.T) { testDifferences(t, f) })
	t.Run("nothing changed", func(t *testing.T) { testWarm(t, f, first) })
	t.Run("blob deleted", func(t *testing.T) { testDeletedBlob(t, f, first) })
	t.Run("package list changed", func(t *testing.T) { testChangedRecipe(t, f, first) })
	t.Run("naive recipe", func(t *testing.T) { testNaive(t, f) })
	t.Run("skopeo", func(t *testing.T) { testSkopeo(t, f) })
	t.Run("docker", func(t *testing.T) { testDocker(t, f) })
	t.Run("push", func(t *testing.T) { testPush(t, f) })
	t.Run("fleet", func(t *testing.T) { testFleet(t, f) })
}

func testLayout(t *testing.T, f fixture, doc record.Run) {
	var want []string
	for i, c := range doc.Cells {
		if c.Tags[0] != "cuda:"+cells[i] {
			t.Errorf("tags of %s = %v, want the canonical one first", cells[i], c.Tags)
		}
		for _, tag := range c.Tags {
			want = append(want, strings.TrimPrefix(tag, "cuda:"))
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, f.tags(t)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	for _, c := range doc.Cells {
		if len(c.Images) != 1 || c.Images[0].Verdict != verify.Pass {
			t.Errorf("%s: report %+v, want one that passes", c.ID, c.Images)
		}
	}
	stored, err := os.ReadFile(filepath.Join(f.out, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	var again record.Run
	if err := json.Unmarshal(stored, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(doc, again); diff != "" {
		t.Errorf("run.json is not what --json printed (-printed +stored):\n%s", diff)
	}
	if r := run(t, f.program, "verify", "oci:"+filepath.Join(f.out, "images")); r.code != 0 {
		t.Errorf("verify: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func testWarm(t *testing.T, f fixture, first record.Run) {
	log := filepath.Join(f.state, "engine.log") // written anew by every daemon
	before, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	doc, r := f.build(t, "--only", "12.4-*")
	after, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	if r.code != 0 || len(built(doc)) != 0 {
		t.Errorf("exit %d, built again: %v", r.code, built(doc))
	}
	if !after.ModTime().Equal(before.ModTime()) {
		t.Error("a daemon was started")
	}
	if diff := cmp.Diff(digests(first), digests(doc)); diff != "" {
		t.Errorf("digests (-first +second):\n%s", diff)
	}
}

// testDeletedBlob removes the layer that only nbody has.
func testDeletedBlob(t *testing.T, f fixture, first record.Run) {
	report := first.Cells[4].Images[0]
	if first.Cells[4].ID != cells[4] {
		t.Fatalf("cell 4 is %s", first.Cells[4].ID)
	}
	r := run(t, "skopeo", "inspect", "--raw", f.oci(cells[4]))
	var manifest struct {
		Layers []struct {
			Digest string `json:"digest"`
		} `json:"layers"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &manifest); err != nil {
		t.Fatalf("%v\n%s", err, r.stderr)
	}
	top := manifest.Layers[len(manifest.Layers)-1].Digest
	_, hex, _ := strings.Cut(top, ":")
	if err := os.Remove(filepath.Join(f.out, "images", "blobs", "sha256", hex)); err != nil {
		t.Fatal(err)
	}
	doc, result := f.build(t, "--only", "12.4-*")
	if diff := cmp.Diff([]string{cells[4]}, built(doc)); diff != "" || result.code != 0 {
		t.Errorf("exit %d, built again (-want +got):\n%s", result.code, diff)
	}
	if doc.Cells[4].Digest != report.Digest {
		t.Errorf("nbody became %s, was %s", doc.Cells[4].Digest, report.Digest)
	}
}

func testChangedRecipe(t *testing.T, f fixture, first record.Run) {
	base := []string{"--only", cells[0]}
	changed, r := f.build(t, append(base, "--recipes", "testdata/extra")...)
	if r.code != 0 || len(built(changed)) != 1 || changed.Cells[0].Digest == first.Cells[0].Digest {
		t.Errorf("exit %d, built %v, digest %s", r.code, built(changed), changed.Cells[0].Digest)
	}
	back, r := f.build(t, "--only", "12.4-*")
	if diff := cmp.Diff(digests(first), digests(back)); diff != "" || r.code != 0 {
		t.Errorf("exit %d, digests (-first +after changing back):\n%s", r.code, diff)
	}
}

// testNaive builds the toolkit without the guard: the driver comes along, verify
// must say so, and the tag must stay on the image that had passed.
func testNaive(t *testing.T, f fixture) {
	before := run(t, "skopeo", "inspect", "--raw", f.oci(cells[0]))
	doc, r := f.build(t, "--only", cells[0], "--recipes", "testdata/naive")
	if r.code != 1 || len(doc.Cells) != 1 {
		t.Fatalf("exit %d, want 1\n%s", r.code, r.stderr)
	}
	c := doc.Cells[0]
	if c.Status != record.Failed || c.Stage != record.StageVerify || c.Digest == "" {
		t.Errorf("status %s at %q, digest %q, want failed at verify", c.Status, c.Stage, c.Digest)
	}
	for _, want := range []string{"libcuda.so.", "libnvidia-ml.so.", "libnvidia-ptxjitcompiler.so."} {
		i := slices.IndexFunc(c.Images[0].Findings, func(f verify.Finding) bool {
			return f.Severity == verify.SeverityFail && strings.Contains(f.Path, want) && f.Layer != nil && f.Layer.Index == 1 &&
				strings.Contains(f.Detail, "package lib") && strings.Contains(f.Layer.CreatedBy, "nvidia-cuda-toolkit")
		})
		if i < 0 {
			t.Errorf("no finding names %s*, its package and its layer", want)
		}
	}
	if after := run(t, "skopeo", "inspect", "--raw", f.oci(cells[0])); after.stdout != before.stdout {
		t.Errorf("the tag moved to the failed image")
	}
	failed := "oci:" + filepath.Join(f.out, "failed") + "@" + c.Digest
	if r := run(t, f.program, "verify", failed); r.code != 1 {
		t.Errorf("verify %s: exit %d, want 1\n%s%s", failed, r.code, r.stdout, r.stderr)
	}
}

func testSkopeo(t *testing.T, f fixture) {
	r := run(t, "skopeo", "inspect", f.oci(cells[0]))
	if r.code != 0 {
		t.Fatalf("skopeo: exit %d\n%s", r.code, r.stderr)
	}
	mustContain(t, "skopeo inspect", r.stdout,
		`"org.opencontainers.image.version": "12.4.1"`,
		`"org.opencontainers.image.base.digest"`, `"NVIDIA_REQUIRE_CUDA=driver\u003e=525.60.13"`,
		`"NVIDIA_VISIBLE_DEVICES=all"`, `"Os": "linux"`)
}
