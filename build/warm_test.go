// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/record"
)

// rebuilt returns the flavors and samples that were not cached, sorted.
func rebuilt(r *record.Run) []string {
	names := []string{}
	for _, c := range r.Cells {
		if !c.Cached {
			names = append(names, strings.Split(c.ID, "-")[1])
		}
	}
	slices.Sort(names)
	return names
}

func wantRebuilt(t testing.TB, r *record.Run, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), rebuilt(r)); diff != "" {
		t.Errorf("built again (-want +got):\n%s", diff)
	}
	if r.Totals.Passed != r.Totals.Cells {
		t.Errorf("cells = %v, want all passed", states(r))
	}
}

// TestWarm: what has not changed is neither solved nor is a daemon started, and what
// has changed, or has been lost, is built again, exactly that.
func TestWarm(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.done(t, "12.1-*")

	h.toolDir = t.TempDir() // where no daemon is
	t.Run("unchanged", func(t *testing.T) {
		index := filepath.Join(h.out, "images", "index.json")
		before, err := os.Stat(index)
		if err != nil {
			t.Fatal(err)
		}
		r := h.done(t, "12.1-*")
		wantRebuilt(t, r)
		if diff := cmp.Diff(digests(first), digests(r)); diff != "" {
			t.Errorf("digests (-first +again):\n%s", diff)
		}
		if after, err := os.Stat(index); err != nil || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("the index was written again, %v", err)
		}
	})
	h.toolDir = tools

	lost := []struct {
		name   string
		damage func(t testing.TB, path string)
		cell   string
		layer  int // or manifestBlob, configBlob
		want   []string
	}{
		{"layer deleted", remove, "12.1-runtime-tiny", 2, []string{"devel", "runtime"}},
		{"manifest deleted", remove, "12.1-base-tiny", manifestBlob, []string{"base"}},
		{"own layer", remove, "12.1-nbody-tiny", 2, []string{"nbody"}},
		{"layer truncated", truncate, "12.1-devel-tiny", 3, []string{"devel"}},
		{"manifest emptied", truncate, "12.1-deviceQuery-tiny", manifestBlob, []string{"deviceQuery"}},
		{"layer changed, and the engine's with it", scribble, "12.1-runtime-tiny", 2, []string{"devel", "runtime"}},
		{"layer replaced", replace, "12.1-devel-tiny", 3, []string{"devel"}},
		{"config zeroed", zero, "12.1-nbody-tiny", configBlob, []string{"nbody"}},
		{"manifest zeroed", zero, "12.1-base-tiny", manifestBlob, []string{"base"}},
	}
	for _, test := range lost {
		t.Run(test.name, func(t *testing.T) {
			path := blobPath(t, h, test.cell, test.layer)
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			test.damage(t, path)
			var log bytes.Buffer
			h.log = slog.New(slog.NewTextHandler(&log, nil))
			r := h.done(t, "12.1-*")
			if after, err := os.Stat(path); err != nil || after.Size() != before.Size() {
				t.Errorf("the blob is not there again: %v, %v", after, err)
			}
			if deleted := strings.HasSuffix(test.name, "deleted") || test.name == "own layer"; strings.Contains(log.String(), filepath.Base(path)) == deleted {
				t.Errorf("log = %q, want it to name a damaged blob and nothing else", &log)
			}
			wantRebuilt(t, r, test.want...)
			if diff := cmp.Diff(digests(first), digests(r)); diff != "" {
				t.Errorf("digests (-first +again):\n%s", diff)
			}
			wantRebuilt(t, h.done(t, "12.1-*"))
		})
	}

	t.Run("package list", func(t *testing.T) {
		h.catalog = load(t, overlay(t, "12.1", "cublas", "cublas, cufft"))
		wantRebuilt(t, h.done(t, "12.1-*"), "devel", "deviceQuery", "nbody", "runtime")
		wantRebuilt(t, h.done(t, "12.1-*"))
	})

	t.Run("configuration", func(t *testing.T) { // the graphs stay the same
		h.catalog = load(t, overlay(t, "12.1", "12.1.0", "12.1.1"))
		wantRebuilt(t, h.done(t, "12.1-*"), "base", "devel", "deviceQuery", "nbody", "runtime")
		wantRebuilt(t, h.done(t, "12.1-*"))
	})

	t.Run("memory pruned", func(t *testing.T) { // of the two states before
		data, err := os.ReadFile(filepath.Join(h.out, "images", ".builds.json"))
		if err != nil {
			t.Fatal(err)
		}
		var images map[string]any
		if err := json.Unmarshal(data, &images); err != nil || len(images) != 5 {
			t.Errorf(".builds.json holds %d images, %v, want five", len(images), err)
		}
	})

	t.Run("memory lost", func(t *testing.T) {
		for _, text := range []string{"", "null", "[]", "{"} {
			if err := os.WriteFile(filepath.Join(h.out, "images", ".builds.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			wantRebuilt(t, h.done(t, "12.1-base-*"), "base")
		}
	})
}

// TestTwoFolders: two folders of images that share a state directory do not forget each
// other's images.
func TestTwoFolders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	folders := []string{h.out, t.TempDir()}
	for again := range 2 {
		for _, h.out = range folders {
			r := h.done(t, "12.1-base-*")
			if r.Cells[0].Cached != (again > 0) {
				t.Errorf("round %d in %s: cached is %v", again, h.out, r.Cells[0].Cached)
			}
		}
	}
}

// TestLostElsewhere: what another image has lost is no concern of a run that was not
// asked for it.
func TestLostElsewhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.done(t, "12.1-base-*", "12.1-runtime-*")
	remove(t, blobPath(t, h, "12.1-runtime-tiny", 2))
	wantRebuilt(t, h.done(t, "12.1-base-*"))
}

// TestMirror: another mirror of the same packages changes nothing.
func TestMirror(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mirror = "http://one.example"
	h.done(t, "12.1-base-*")
	h.toolDir = t.TempDir() // where no daemon is
	h.mirror = "http://two.example:8080"
	wantRebuilt(t, h.done(t, "12.1-base-*"))
}

// Blobs of an image that are no layers.
const (
	manifestBlob = -1
	configBlob   = -2
)

func blobPath(t testing.TB, h *house, id string, layer int) string {
	t.Helper()
	images := h.images(t)
	defer images.Close()
	desc, ok := images.Lookup("cuda:" + id)
	if !ok {
		t.Fatalf("no image cuda:%s", id)
	}
	hash, err := v1.NewHash(desc.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if layer == manifestBlob {
		return filepath.Join(images.Dir(), "blobs", hash.Algorithm, hash.Hex)
	}
	img, err := images.Image(desc)
	if err != nil {
		t.Fatal(err)
	}
	if layer == configBlob {
		if hash, err = img.ConfigName(); err != nil {
			t.Fatal(err)
		}
	} else {
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		if hash, err = layers[layer].Digest(); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(images.Dir(), "blobs", hash.Algorithm, hash.Hex)
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// truncate makes a new file: the blob is a hard link to the engine's.
func truncate(t testing.TB, path string) {
	t.Helper()
	remove(t, path)
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// scribble changes a file and not its size, and sets its time back.
func scribble(t testing.TB, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at, b := info.Size()/2, make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{b[0] ^ 1}, at); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// replace makes a new file of the same size.
func replace(t testing.TB, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	remove(t, path)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// zero makes a new file of as many zeros, as a crash may leave one.
func zero(t testing.TB, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, path)
	if err := os.WriteFile(path, make([]byte, info.Size()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// overlayFile is a recipes directory with one file of testdata/recipes in which
// old is replaced.
func overlayFile(t testing.TB, name, old, replacement string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "recipes", name))
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(data), old, replacement)
	if changed == string(data) {
		t.Fatalf("%s has no %q", name, old)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(filepath.Dir(file))
}
