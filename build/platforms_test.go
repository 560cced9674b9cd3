// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/build"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/emulator"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// matrixOf has release 12.7 for these platforms.
func matrixOf(platforms string) string {
	return `
version: 1
image: cuda
defaults: {flavors: [base, runtime, devel], samples: [], platforms: [` + platforms + `]}
groups:
  default:
    - {os: [tiny], cuda: ["12.7"]}
`
}

// twoPlatforms is a house whose cells are for amd64 and 386: two platforms whose
// programs an amd64 kernel runs, so no emulator is needed.
func twoPlatforms(t testing.TB, overlays ...string) *house {
	t.Helper()
	needEngine(t)
	need386(t)
	h := furnish(t, t.TempDir(), t.TempDir(), overlays...)
	h.bootstrapped(t, "386")
	h.matrix = matrixOf("linux/amd64, linux/386")
	return h
}

func need386(t testing.TB) {
	t.Helper()
	if err := emulator.Check("linux/386"); err != nil {
		require.Missing(t, "386", err)
	}
}

// reported are the platforms that a cell's reports are about.
func reported(c record.Cell) string {
	var names []string
	for _, report := range c.Images {
		names = append(names, report.Platform+" "+string(report.Verdict))
	}
	return strings.Join(names, ", ")
}

// behind are the manifests of the platforms that stand behind a tag.
func behind(t testing.TB, h *house, id string) map[string]string {
	t.Helper()
	sources, closer, err := image.Open(t.Context(), "oci:"+filepath.Join(h.out, "images")+":"+id, image.OpenOptions{AllPlatforms: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	found := map[string]string{}
	for _, s := range sources {
		config, err := s.Image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Platform().String() != s.Platform {
			t.Errorf("%s: the index says %s, the image %s", id, s.Platform, config.Platform())
		}
		found[s.Platform] = s.Digest.String()
	}
	return found
}

// TestPlatforms: every platform is built and judged, their index has the tag, and what
// has not changed is neither solved nor is a daemon started.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	h := twoPlatforms(t)
	h.show = &watcher{}
	first := h.done(t, "12.7-base-*", "12.7-runtime-*")
	wantStates(t, first, map[string]string{"12.7-base-tiny": "passed", "12.7-runtime-tiny": "passed"})
	for _, want := range []string{"[tiny 386 cuda 12.7] install base", "[tiny amd64 cuda 12.7] install base", "[12.7-base-tiny linux/386] verify"} {
		if !strings.Contains(h.show.String(), want) {
			t.Errorf("progress does not say %q:\n%s", want, h.show)
		}
	}
	if strings.Contains(h.show.String(), "WARN") {
		t.Errorf("progress warns:\n%s", h.show)
	}
	images := h.images(t)
	for _, c := range first.Cells {
		if got := reported(c); got != "linux/amd64 pass, linux/386 pass" {
			t.Errorf("%s: reports about %s, want both platforms", c.ID, got)
		}
		desc, ok := images.Lookup("cuda:" + c.ID)
		if !ok || desc.Digest.String() != c.Digest || !strings.Contains(desc.MediaType, "index") {
			t.Errorf("cuda:%s = %+v, want the index %s", c.ID, desc, c.Digest)
		}
		if blobs, err := images.Blobs(t.Context(), desc); err != nil || len(blobs) < 9 {
			t.Errorf("%s: %d blobs, %v, want an index and two images", c.ID, len(blobs), err)
		}
		if found := behind(t, h, c.ID); len(found) != 2 || found["linux/386"] == "" || found["linux/amd64"] == "" {
			t.Errorf("%s: %v, want amd64 and 386", c.ID, found)
		}
	}
	if err := images.Close(); err != nil {
		t.Fatal(err)
	}
	if len(first.Inputs) != 2 || first.Inputs[0].Platform != "linux/386" || first.Inputs[1].Platform != "linux/amd64" {
		t.Errorf("inputs = %+v, want one a platform", first.Inputs)
	}

	only386 := blob(h, behind(t, h, "12.7-runtime-tiny")["linux/386"])
	for name, lost := range map[string]string{"nothing": "", "index": blob(h, cell(t, first, "12.7-runtime-tiny").Digest)} {
		if lost != "" {
			remove(t, lost)
		}
		h.toolDir = t.TempDir() // where no daemon is
		again := h.done(t, "12.7-base-*", "12.7-runtime-*")
		wantRebuilt(t, again)
		if diff := cmp.Diff(digests(first), digests(again)); diff != "" {
			t.Errorf("%s lost: digests (-first +again):\n%s", name, diff)
		}
		h.toolDir = tools
	}
	remove(t, only386)
	h.show = &watcher{}
	again := h.done(t, "12.7-base-*", "12.7-runtime-*")
	wantRebuilt(t, again, "runtime")
	if diff := cmp.Diff(digests(first), digests(again)); diff != "" {
		t.Errorf("386's manifest lost: digests (-first +again):\n%s", diff)
	}
	if !strings.Contains(h.show.String(), "[12.7-runtime-tiny linux/amd64] unchanged") {
		t.Errorf("amd64 was built again, which had lost nothing:\n%s", h.show)
	}
}

func blob(h *house, digest string) string {
	hash, _ := v1.NewHash(digest)
	return filepath.Join(h.out, "images", "blobs", hash.Algorithm, hash.Hex)
}

// TestPlatformFails: a platform that cannot be built fails the cell and is named, and
// takes with it what stands on it.
func TestPlatformFails(t *testing.T) {
	t.Parallel()
	h := twoPlatforms(t, brokenOn386(t))
	r := h.done(t)
	wantStates(t, r, map[string]string{"12.7-base-tiny": "passed", "12.7-runtime-tiny": "failed build", "12.7-devel-tiny": "skipped"})
	reason := cell(t, r, "12.7-runtime-tiny").Reason
	if !strings.HasPrefix(reason, "linux/386: ") || !strings.Contains(reason, "nobody made that for 386") || strings.Contains(reason, "linux/amd64") {
		t.Errorf("reason = %q, want 386 and why", reason)
	}
	if got := cell(t, r, "12.7-devel-tiny").Reason; got != "12.7-runtime-tiny failed" {
		t.Errorf("devel's reason = %q", got)
	}
	images := h.images(t)
	defer images.Close()
	if desc, ok := images.Lookup("cuda:12.7-runtime-tiny"); ok {
		t.Errorf("half an index stands under the tag: %v", desc)
	}
}

// brokenOn386 is release 12.7 with a runtime that 386 lacks and a devel that fits a disk.
func brokenOn386(t testing.TB) string {
	t.Helper()
	dir := overlay(t, "12.7", "cublas", "broken-on-386")
	file := filepath.Join(dir, "cuda", "12.7-tiny.yaml")
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.ReplaceAll(string(data), "1000000000", "1")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestPlatformRefused: one platform with a driver in it keeps the tag from all.
func TestPlatformRefused(t *testing.T) {
	t.Parallel()
	h := twoPlatforms(t)
	before := h.done(t, "12.7-base-*")
	h.catalog = load(t, overlay(t, "12.7", "cudart7", "cudart7-with-driver"))
	h.gate = gate{"cuda:12.7-base-tiny linux/386": func() (verify.Report, error) {
		report, err := refuse()
		report.Platform = "linux/386"
		return report, err
	}}
	r := h.done(t, "12.7-base-*")
	refused := cell(t, r, "12.7-base-tiny")
	if want := "linux/386: driver-library usr/lib/libcuda.so.1 in layer 2 and 1 more"; refused.Stage != record.StageVerify || refused.Reason != want {
		t.Errorf("failed at %q: %q, want %q", refused.Stage, refused.Reason, want)
	}
	if got := reported(refused); got != "linux/amd64 pass, linux/386 fail" {
		t.Errorf("reports about %s, want both platforms", got)
	}
	holdsOnly(t, h, refused.Digest)
	images := h.images(t)
	defer images.Close()
	if desc, _ := images.Lookup("cuda:12.7-base-tiny"); desc.Digest.String() != cell(t, before, "12.7-base-tiny").Digest {
		t.Errorf("the tag moved to %v", desc.Digest)
	}
}

// TestPlatformsDisk: each platform takes as much room again.
func TestPlatformsDisk(t *testing.T) {
	t.Parallel()
	need386(t)
	h := furnish(t, t.TempDir(), t.TempDir())
	h.bootstrapped(t, "386")
	need := map[string]int{}
	for _, platforms := range []string{"linux/amd64", "linux/amd64, linux/386"} {
		h.matrix = matrixOf(platforms)
		_, err := h.run(t.Context(), t, "12.7-devel-*")
		var disk *build.DiskError
		if !errors.As(err, &disk) {
			t.Fatalf("Run's error = %v, want a DiskError", err)
		}
		need[platforms] = disk.NeedMB
	}
	if one, two := need["linux/amd64"], need["linux/amd64, linux/386"]; two != 2*one {
		t.Errorf("two platforms need %d MB, one %d", two, one)
	}
}

// TestPlatformNotRun: a platform whose programs do not run is named before anything is
// made, here or where BuildKit is.
func TestPlatformNotRun(t *testing.T) {
	t.Parallel()
	wantRefused := func(h *house, part string) {
		t.Helper()
		h.matrix = matrixOf("linux/amd64, linux/s390x")
		r, err := h.run(t.Context(), t, "12.7-base-*")
		var platform *build.PlatformError
		if !errors.As(err, &platform) || platform.Platform != "linux/s390x" || !strings.Contains(err.Error(), part) {
			t.Errorf("Run's error = %v, want a PlatformError with %q", err, part)
		}
		if r == nil || r.Totals.Cancelled != 1 {
			t.Errorf("record = %+v, want one cancelled cell", r)
		}
	}
	t.Run("here", func(t *testing.T) {
		h := &house{state: t.TempDir(), out: t.TempDir(), toolDir: t.TempDir(), catalog: load(t)}
		wantRefused(h, "cannot build 12.7-base-tiny for linux/s390x: "+emulator.ErrNone.Error())
		if left, err := filepath.Glob(filepath.Join(h.state, "bases", "*.json")); err != nil || len(left) > 0 {
			t.Errorf("bootstrapped: %v, %v", left, err)
		}
	})
	t.Run("there", func(t *testing.T) {
		h := furnish(t, t.TempDir(), t.TempDir())
		h.bootstrapped(t, "s390x")
		h.address, _ = given(t)
		wantRefused(h, "the BuildKit at "+h.address+" runs programs for linux/amd64")
	})
}
