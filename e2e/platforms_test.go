// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/emulator"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/verify"
)

// machines are the platforms of group multi, and what their libraries are made for.
var machines = map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}

// TestPlatforms builds base for two platforms, one of them emulated, and looks at both
// behind the one tag. Emulated, runtime would take longer than all other tests.
func TestPlatforms(t *testing.T) {
	for platform := range machines {
		if err := emulator.Check(platform); err != nil {
			require.Missing(t, "emulator", err)
		}
	}
	f := newFixture(t)
	only := []string{"--group", "multi", "--only", cells[0]}
	first, r := f.build(t, only...)
	if r.code != 0 || len(first.Cells) != 1 || len(first.Inputs) != 2 {
		t.Fatalf("matrix: exit %d, cells %+v, inputs %+v\n%s", r.code, first.Cells, first.Inputs, r.stderr)
	}
	for _, c := range first.Cells {
		t.Logf("%-26s %8.1f MB %6.1f s", c.ID, float64(c.SizeBytes)/1e6, c.BuildSeconds)
		both := map[string]string{}
		for _, report := range c.Images {
			both[report.Platform] = string(report.Verdict)
		}
		if diff := cmp.Diff(map[string]string{"linux/amd64": "pass", "linux/arm64": "pass"}, both); diff != "" {
			t.Errorf("%s: reports (-want +got):\n%s", c.ID, diff)
		}
		testIndex(t, f, c.ID, c.Images)
	}
	again, r := f.build(t, only...)
	if diff := cmp.Diff(digests(first), digests(again)); diff != "" || r.code != 0 || len(built(again)) != 0 {
		t.Errorf("again: exit %d, built %v, digests (-first +again):\n%s", r.code, built(again), diff)
	}
	arm64 := "docker-archive:" + filepath.Join(t.TempDir(), "arm64.tar")
	if r := run(t, f.program, "export", "-o", f.out, "--platform", "linux/arm64", cells[0], arm64); r.code != 0 {
		t.Fatalf("export: exit %d\n%s", r.code, r.stderr)
	}
	mustContain(t, "skopeo inspect", run(t, "skopeo", "inspect", arm64).stdout, `"Architecture": "arm64"`, `"Os": "linux"`)
}

// testIndex reads what stands behind a tag as the verifier and as other people do.
func testIndex(t *testing.T, f fixture, tag string, reports []verify.Report) {
	var doc struct{ Images []verify.Report }
	r := run(t, f.program, "verify", "--json", "--no-cache", "--all-platforms", f.oci(tag))
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || r.code != 0 || len(doc.Images) != len(reports) {
		t.Fatalf("verify %s: exit %d, %d images, %v\n%s", tag, r.code, len(doc.Images), err, r.stderr)
	}
	for i, got := range doc.Images {
		if got.Digest != reports[i].Digest || got.Platform != reports[i].Platform || got.Verdict != verify.Pass {
			t.Errorf("%s: verify says %s %s %s, the record %s %s", tag, got.Platform, got.Digest, got.Verdict, reports[i].Platform, reports[i].Digest)
		}
	}
	mustContain(t, "skopeo inspect", run(t, "skopeo", "inspect", "--raw", f.oci(tag)).stdout,
		"application/vnd.oci.image.index.v1+json", `"architecture":"amd64"`, `"architecture":"arm64"`, reports[0].Digest, reports[1].Digest)
	sources, closer, err := image.Open(t.Context(), f.oci(tag), image.OpenOptions{AllPlatforms: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	for _, s := range sources {
		if got := libraryOf(t, s.Image); got != machines[s.Platform] {
			t.Errorf("%s for %s: libcudart is for %s", tag, s.Platform, got)
		}
	}
}

// libraryOf returns what an image's libcudart is made for. No layer may hold anything
// of an emulator.
func libraryOf(t *testing.T, img v1.Image) elf.Machine {
	t.Helper()
	machine := elf.EM_NONE
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		blob, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		defer blob.Close()
		zr, err := zstd.NewReader(blob)
		if err != nil {
			t.Fatal(err)
		}
		defer zr.Close()
		archive := tar.NewReader(zr)
		for {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(h.Name, "qemu") {
				t.Errorf("a layer holds %s", h.Name)
			}
			if h.Typeflag == tar.TypeReg && strings.Contains(h.Name, "libcudart.so.12") {
				data, err := io.ReadAll(archive)
				if err != nil {
					t.Fatal(err)
				}
				file, err := elf.NewFile(bytes.NewReader(data))
				if err != nil {
					t.Fatalf("%s: %v", h.Name, err)
				}
				machine = file.Machine
			}
		}
	}
	return machine
}
