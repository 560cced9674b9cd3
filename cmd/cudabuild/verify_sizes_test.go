// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// TestVerifySizes holds that an image whose manifests give a wrong size is unknown,
// whether its layer is read or known from before.
func TestVerifySizes(t *testing.T) {
	t.Parallel()
	same := func(*v1.Manifest) {}
	size := regexp.MustCompile(`"size":\s*\d+`)
	for _, tc := range []struct {
		name   string
		change func(*v1.Manifest)
		index  string // the size that the index gives, "" for the right one
		says   string
	}{
		{"right", same, "", "PASS"},
		{"layer of 10", func(m *v1.Manifest) { m.Layers[0].Size = 10 }, "", "bytes, the manifest says 10"},
		{"layer of 0", func(m *v1.Manifest) { m.Layers[0].Size = 0 }, "", "bytes, the manifest says 0"},
		{"layer of -1", func(m *v1.Manifest) { m.Layers[0].Size = -1 }, "", "bytes, the manifest says -1"},
		{"layer of more", func(m *v1.Manifest) { m.Layers[0].Size++ }, "", "bytes, the manifest says "},
		{"config of 0", func(m *v1.Manifest) { m.Config.Size = 0 }, "", "bytes, the manifest says 0"},
		{"config of -1", func(m *v1.Manifest) { m.Config.Size = -1 }, "", "bytes, the manifest says -1"},
		{"manifest of 10", same, `"size": 10`, "bytes, its index says 10"},
		{"manifest of -1", same, `"size": -1`, "bytes, its index says -1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cache := filepath.Join(t.TempDir(), "facts")
			path, err := layout.Write(dir, empty.Index)
			if err != nil {
				t.Fatal(err)
			}
			if err := path.AppendImage(changed(t, tc.change)); err != nil {
				t.Fatal(err)
			}
			if tc.index != "" {
				file := filepath.Join(dir, "index.json")
				data, err := os.ReadFile(file)
				if err != nil || !size.Match(data) {
					t.Fatalf("%s, %v", data, err)
				}
				if err := os.WriteFile(file, size.ReplaceAll(data, []byte(tc.index)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want := exitUnknown
			if tc.says == "PASS" {
				want = 0
			}
			for range 2 { // the layer is read, then it may be known
				var out, errs bytes.Buffer
				code := run(t.Context(), []string{"verify", "--cache-dir", cache, "oci:" + dir}, strings.NewReader(""), &out, &errs)
				if code != want || !strings.Contains(out.String()+errs.String(), tc.says) {
					t.Errorf("exit code %d, want %d and %q\nstdout: %s\nstderr: %s", code, want, tc.says, &out, &errs)
				}
			}
		})
	}
}

// TestVerifySizesInIndex holds the same for an index of a registry and one inside it.
func TestVerifySizesInIndex(t *testing.T) {
	t.Parallel()
	wrong := func(add mutate.Appendable) v1.ImageIndex {
		return mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: add, Descriptor: v1.Descriptor{Size: 10}})
	}
	img := changed(t, func(*v1.Manifest) {})
	for name, index := range map[string]v1.ImageIndex{"image": wrong(img), "index": wrong(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img}))} {
		ref := serveIndex(t, index)
		if code, stdout, stderr := verifyCommand(t, "--all-platforms", ref); code != exitUnknown || !strings.Contains(stderr, "its index says 10") {
			t.Errorf("%s: exit code %d\nstdout: %s\nstderr: %s", name, code, stdout, stderr)
		}
	}
}
