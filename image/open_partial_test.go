// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/cudabuild/cudabuild/image"
)

// TestOpenPartial: an index of which one image is not there, as tools leave it that copied one platform.
func TestOpenPartial(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	index := twoPlatforms(t)
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "x"})); err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	gone := manifest.Manifests[1].Digest
	if err := os.Remove(filepath.Join(dir, "blobs", gone.Algorithm, gone.Hex)); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, "oci:"+dir+":x", image.OpenOptions{AllPlatforms: true}); err == nil {
		t.Error("all platforms: no error, want one for the image that is not there")
	}
	sources, closer, err := image.Open(t.Context(), "oci:"+dir+":x", image.OpenOptions{AllPlatforms: true, Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	want, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sources {
		is, err := s.Index.Digest()
		if (s.Image == nil) != (i == 1) || (s.Err == nil) != (i == 0) || s.Digest != manifest.Manifests[i].Digest || err != nil || is != want {
			t.Errorf("source %d: %+v of index %s, want the second alone without an image, of %s", i, s, is, want)
		}
	}
	if len(sources) != 2 {
		t.Errorf("%d sources, want 2", len(sources))
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string][2]string{
		"oci:/a@b/images:x":               {"/a@b/images", ":x"},
		"oci:images@sha256:00":            {"images", "@sha256:00"},
		"oci:/a@b/images@sha256:00":       {"/a@b/images", "@sha256:00"},
		"oci:images":                      {"images", ""},
		"oci-archive:a.tar:x":             {"a.tar", ":x"},
		"docker-archive:a.tar:cuda:12.4":  {"a.tar", ":cuda:12.4"},
		"registry.example/cuda@sha256:00": {},
	} {
		if path, name := image.Split(ref); path != want[0] || name != want[1] {
			t.Errorf("Split(%q) = %q, %q, want %q", ref, path, name, want)
		}
	}
}
