// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// states is what a run says about each cell: "passed", or "failed build".
func states(r *record.Run) map[string]string {
	got := map[string]string{}
	for _, c := range r.Cells {
		got[c.ID] = strings.TrimSpace(string(c.Status) + " " + c.Stage)
	}
	return got
}

func cell(t testing.TB, r *record.Run, id string) record.Cell {
	t.Helper()
	for _, c := range r.Cells {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("the record has no cell %s", id)
	return record.Cell{}
}

func digests(r *record.Run) map[string]string {
	got := map[string]string{}
	for _, c := range r.Cells {
		got[c.ID] = c.Digest
	}
	return got
}

func wantStates(t testing.TB, r *record.Run, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, states(r)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
		for _, c := range r.Cells {
			t.Logf("%s: %s", c.ID, c.Reason)
		}
	}
}

func TestPassed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.done(t, "12.1-*")
	wantStates(t, r, map[string]string{
		"12.1-base-tiny": "passed", "12.1-runtime-tiny": "passed", "12.1-devel-tiny": "passed",
		"12.1-deviceQuery-tiny": "passed", "12.1-nbody-tiny": "passed",
	})
	if r.Version != 1 || r.Totals.Cells != 5 || r.Totals.Passed != 5 || r.Totals.Cached != 0 || r.Totals.SizeBytes <= 0 {
		t.Errorf("totals = %+v", r.Totals)
	}
	if len(r.Inputs) != 1 || r.Inputs[0].OS != "tiny" || r.Inputs[0].Root == "" || r.Inputs[0].Lists == "" {
		t.Errorf("inputs = %+v, want those of tiny", r.Inputs)
	}
	images := h.images(t)
	defer images.Close()
	for _, c := range r.Cells {
		desc, ok := images.Lookup("cuda:" + c.ID)
		if !ok || desc.Digest.String() != c.Digest {
			t.Errorf("cuda:%s = %v, want %s", c.ID, desc.Digest, c.Digest)
		}
		if _, err := images.Blobs(t.Context(), desc); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
		if c.Cached || c.Reason != "" || c.SizeBytes == 0 || len(c.Images) != 1 || c.Rows == nil {
			t.Errorf("%s: %+v", c.ID, c)
		}
		sound(t, images, c.ID)
	}
}

// sound holds an image to what its readers rely on: a history line and a diff ID
// for each layer.
func sound(t testing.TB, images *image.Store, id string) {
	t.Helper()
	desc, _ := images.Lookup("cuda:" + id)
	img, err := images.Image(desc)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if len(config.History) != len(layers) || len(config.RootFS.DiffIDs) != len(layers) {
		t.Errorf("%s: %d layers, %d history lines, %d diff IDs", id, len(layers), len(config.History), len(config.RootFS.DiffIDs))
	}
	for i, h := range config.History {
		if h.EmptyLayer || h.CreatedBy == "" || strings.Contains(h.CreatedBy, "from exec") {
			t.Errorf("%s: history line %d = %+v", id, i, h)
		}
	}
}

// TestFailedStep: a failure is told by its step and its last words, and takes with
// it what stands on it, nothing else.
func TestFailedStep(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.done(t, "12.1-base-*", "12.2-*")
	wantStates(t, r, map[string]string{
		"12.1-base-tiny": "passed", "12.2-base-tiny": "passed", "12.2-runtime-tiny": "failed build",
		"12.2-devel-tiny": "skipped", "12.2-deviceQuery-tiny": "skipped", "12.2-nbody-tiny": "skipped",
	})
	reason := cell(t, r, "12.2-runtime-tiny").Reason
	for _, want := range []string{"testdata/recipes/cuda/12.2-tiny.yaml:9: [tiny cuda 12.2] install runtime", "E: nobody made package broken", "exit code: 100"} {
		if !strings.Contains(reason, want) {
			t.Errorf("reason = %q, want it to hold %q", reason, want)
		}
	}
	if got := cell(t, r, "12.2-devel-tiny").Reason; !strings.Contains(got, "12.2-runtime-tiny failed") {
		t.Errorf("devel's reason = %q, want the cell that failed", got)
	}
	if got := cell(t, r, "12.2-nbody-tiny").Reason; !strings.Contains(got, "12.2-devel-tiny skipped") {
		t.Errorf("nbody's reason = %q, want the cell that it is compiled in", got)
	}
	images := h.images(t)
	defer images.Close()
	for _, id := range []string{"12.2-runtime-tiny", "12.2-devel-tiny", "12.2-nbody-tiny"} {
		if _, ok := images.Lookup("cuda:" + id); ok {
			t.Errorf("%s stands under its tag", id)
		}
	}
}

// TestFailFast: the others are cancelled, not failed, and at once.
func TestFailFast(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.failFast = true
	begun := time.Now()
	r := h.done(t, "12.2-base-*", "12.2-runtime-*", "12.3-*")
	if took := time.Since(begun); took > patience {
		t.Errorf("took %v, the step that was to be cancelled sleeps an hour", took)
	}
	got := states(r)
	if got["12.2-runtime-tiny"] != "failed build" || got["12.3-base-tiny"] != "cancelled" || got["12.3-nbody-tiny"] != "cancelled" {
		t.Errorf("cells = %v", got)
	}
	nothingLeft(t, h.state)
}

func refuse() (verify.Report, error) {
	return verify.Report{Verdict: verify.Fail, Findings: []verify.Finding{
		{Rule: "driver-library", Severity: verify.SeverityFail, Path: "usr/lib/libcuda.so.1", Layer: &verify.Layer{Index: 2}},
		{Rule: "driver-library", Severity: verify.SeverityFail, Path: "usr/lib/libnvidia-ml.so.1", Layer: &verify.Layer{Index: 2}},
		{Rule: "large", Severity: verify.SeverityWarn, Path: "usr"},
	}}, nil
}

// TestRefused: an image that the gate refuses is kept by digest, and its tag stays
// where it was.
func TestRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	before := h.done(t, "12.1-*")
	h.catalog = load(t, overlay(t, "12.1", "cublas", "cublas-with-driver"))
	h.gate = gate{"cuda:12.1-runtime-tiny": refuse}
	for _, pass := range []string{"first", "again"} { // the second finds the image built, and judges it again
		r := h.done(t, "12.1-*")
		wantStates(t, r, map[string]string{
			"12.1-base-tiny": "passed", "12.1-runtime-tiny": "failed verify", "12.1-devel-tiny": "skipped",
			"12.1-deviceQuery-tiny": "skipped", "12.1-nbody-tiny": "skipped",
		})
		refused := cell(t, r, "12.1-runtime-tiny")
		if want := "driver-library usr/lib/libcuda.so.1 in layer 2 and 1 more"; refused.Reason != want {
			t.Errorf("%s: reason = %q, want %q", pass, refused.Reason, want)
		}
		if refused.Digest == "" || refused.Digest == cell(t, before, "12.1-runtime-tiny").Digest {
			t.Errorf("%s: digest = %q, want that of the new image", pass, refused.Digest)
		}
		holdsOnly(t, h, refused.Digest)
		images := h.images(t)
		for id, want := range digests(before) {
			if desc, ok := images.Lookup("cuda:" + id); !ok || desc.Digest.String() != want {
				t.Errorf("%s: cuda:%s = %v, want the old image %s", pass, id, desc.Digest, want)
			}
		}
		if err := images.Close(); err != nil {
			t.Error(err)
		}
	}
}

// holdsOnly looks into the layout of failed images.
func holdsOnly(t testing.TB, h *house, digest string) {
	t.Helper()
	failed, err := image.OpenStore(h.failed())
	if err != nil {
		t.Fatal(err)
	}
	defer failed.Close()
	entries, err := failed.Entries()
	if err != nil || len(entries) != 1 || entries[0].Digest.String() != digest || len(entries[0].Annotations) != 0 {
		t.Fatalf("failed images = %v, %v, want %s without a name", entries, err, digest)
	}
	if _, err := failed.Blobs(t.Context(), entries[0]); err != nil {
		t.Error(err)
	}
}

// TestAliases: all tags of an image move at once when it passes, those of one that does
// not pass stay where they were, and nothing is written for nothing.
func TestAliases(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	stands := func(want map[string]string) {
		t.Helper()
		images := h.images(t)
		defer images.Close()
		for tag, digest := range want {
			if desc, ok := images.Lookup("cuda:" + tag); ok != (digest != "") || desc.Digest.String() != digest {
				t.Errorf("cuda:%s = %q, want %q", tag, desc.Digest, digest)
			}
		}
	}
	h.tags = `latest: 12.1-base-tiny, "{cuda}-{kind}": "12.1-*", "{cuda}-{kind}-{yy}.{mm}": "*"`
	first := h.done(t, "12.1-base-*", "12.1-runtime-*")
	base, runtime := cell(t, first, "12.1-base-tiny").Digest, cell(t, first, "12.1-runtime-tiny").Digest
	stands(map[string]string{"latest": base, "12.1-base": base, "12.1-runtime": runtime, "12.1-devel": "", "12.1-base-26.11": ""})

	h.tags = `latest: 12.1-runtime-tiny, "{cuda}-{kind}": "12.1-*"`
	h.catalog = load(t, overlay(t, "12.1", "cublas", "cublas-with-driver"))
	h.gate = gate{"cuda:12.1-runtime-tiny": refuse}
	h.done(t, "12.1-base-*", "12.1-runtime-*")
	stands(map[string]string{"latest": base, "12.1-base": base, "12.1-runtime": runtime, "12.1-runtime-tiny": runtime})

	h.gate = nil
	passed := h.done(t, "12.1-base-*", "12.1-runtime-*")
	moved := cell(t, passed, "12.1-runtime-tiny").Digest
	stands(map[string]string{"latest": moved, "12.1-base": base, "12.1-runtime": moved, "12.1-runtime-tiny": moved})
	if moved == runtime {
		t.Error("the image did not change")
	}

	index := filepath.Join(h.out, "images", "index.json")
	before, err := os.Stat(index)
	if err != nil {
		t.Fatal(err)
	}
	wantRebuilt(t, h.done(t, "12.1-base-*", "12.1-runtime-*"))
	if after, err := os.Stat(index); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the index was written again, %v", err)
	}
	h.tags, h.toolDir = `stable: 12.1-base-tiny`, t.TempDir() // where no daemon is: a new name builds nothing
	wantRebuilt(t, h.done(t, "12.1-base-*", "12.1-runtime-*"))
	stands(map[string]string{"stable": base, "latest": moved})
}

// TestGateCannotTell: an image that could not be judged does not pass.
func TestGateCannotTell(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.gate = gate{"cuda:12.1-base-tiny": func() (verify.Report, error) { return verify.Report{}, errors.New("layer is unreadable") }}
	r := h.done(t, "12.1-base-*")
	wantStates(t, r, map[string]string{"12.1-base-tiny": "failed verify"})
	if got := r.Cells[0].Reason; got != "layer is unreadable" {
		t.Errorf("reason = %q", got)
	}
}

// TestUnselectedParents: cells below that were not asked for are built, not tagged.
func TestUnselectedParents(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.done(t, "12.1-nbody-*")
	wantStates(t, r, map[string]string{"12.1-nbody-tiny": "passed"})
	images := h.images(t)
	defer images.Close()
	if entries, err := images.Entries(); err != nil || len(entries) != 1 {
		t.Errorf("index = %v, %v, want nbody alone", entries, err)
	}
}

// TestCause: what the program says first counts, not its last words. A mirror that has
// moved on fails the cell, which says what to do; one that is down ends the run, whether
// or not anybody named it.
func TestCause(t *testing.T) {
	t.Parallel()
	needEngine(t)
	h := furnish(t, t.TempDir(), t.TempDir(), overlay(t, "12.2", "broken", "moved"))
	failed := cell(t, h.done(t, "12.2-base-*", "12.2-runtime-*"), "12.2-runtime-tiny")
	if !strings.Contains(failed.Reason, "package moved 1.2-3: ") || !strings.Contains(failed.Reason, "404 Not Found") || !strings.Contains(failed.Hint, "--refresh") {
		t.Errorf("reason %q, hint %q", failed.Reason, failed.Hint)
	}
	h.catalog = load(t, overlay(t, "12.2", "broken", "down"))
	r, err := h.run(t.Context(), t, "12.2-base-*", "12.2-runtime-*")
	if !errors.Is(err, base.ErrUnreachable) || !strings.Contains(err.Error(), "package down 1.2-3: ") || hint.Of(err) == "" {
		t.Errorf("Run's error = %v, want ErrUnreachable and the package", err)
	}
	if r == nil || r.Totals.Failed != 0 {
		t.Errorf("record = %+v, want no failed cell", r)
	}
}

// overlay is a recipes directory in which one release of tiny has another package.
func overlay(t testing.TB, cuda, old, replacement string) string {
	t.Helper()
	name := fmt.Sprintf("cuda/%s-tiny.yaml", cuda)
	return overlayFile(t, name, old, replacement)
}
