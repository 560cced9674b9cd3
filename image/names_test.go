// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// entry is an entry of an index with those annotations: tag, full name, both.
func entry(desc ocispec.Descriptor, tag, fullName string) ocispec.Descriptor {
	desc.Annotations = map[string]string{}
	for key, value := range map[string]string{ocispec.AnnotationRefName: tag, image.FullNameAnnotation: fullName} {
		if value != "" {
			desc.Annotations[key] = value
		}
	}
	return desc
}

func writeIndex(t testing.TB, s *image.Store, entries ...ocispec.Descriptor) {
	t.Helper()
	data, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: entries})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir(), "index.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOneOwner: whoever had a tag before, in whatever words, an image that gets it is the
// only one that has it.
func TestOneOwner(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	old := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "old")))
	now := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "new")))
	for name, before := range map[string][]ocispec.Descriptor{
		"nobody":                    nil,
		"another repository":        {entry(old, "x", "cuda:x")},
		"two repositories":          {entry(old, "x", "cuda:x"), entry(old, "x", "mine:x")},
		"a registry with a port":    {entry(old, "5000/cuda:x", "registry:5000/cuda:x")}, // as an earlier release wrote it
		"skopeo":                    {entry(old, "x", "")},
		"buildx":                    {entry(old, "x", "docker.io/library/cuda:x")},
		"full names alone":          {entry(old, "registry:5000/cuda:x", "")},
		"the same image":            {entry(now, "x", "cuda:x")},
		"the same image, and older": {entry(now, "x", "registry:5000/cuda:x"), entry(old, "x", "cuda:x")},
	} {
		writeIndex(t, s, append(before, entry(old, "y", "cuda:y"))...)
		mustTag(t, s, "registry:5000/cuda:x", now)
		entries, err := s.Entries()
		if err != nil {
			t.Fatal(err)
		}
		got := slices.IndexFunc(entries, func(e ocispec.Descriptor) bool { return e.Digest == now.Digest })
		if len(entries) != 2 || got < 0 || entries[got].Annotations[ocispec.AnnotationRefName] != "x" || image.FullName(entries[got]) != "registry:5000/cuda:x" {
			t.Errorf("%s: entries %v, want the new image under x, and y", name, entries)
		}
		for _, find := range []string{"x", "registry:5000/cuda:x"} {
			if desc, err := s.Find(find); err != nil || desc.Digest != now.Digest {
				t.Errorf("%s: Find(%s) = %v, %v, want %s", name, find, desc.Digest, err, now.Digest)
			}
		}
		sources, err := open(t, "oci:"+s.Dir()+":x", image.OpenOptions{})
		if err != nil || len(sources) != 1 || sources[0].Digest.String() != now.Digest.String() {
			t.Errorf("%s: Open = %v, %v, want the new image", name, sources, err)
		}
	}
}

// TestAmbiguous: of two images of one name nobody takes one by chance. By digest, and all
// together, both can be read.
func TestAmbiguous(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	one := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "one")))
	two := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "two")))
	for name, entries := range map[string][]ocispec.Descriptor{
		"tags":       {entry(one, "x", ""), entry(two, "x", "")},
		"full names": {entry(one, "x", "cuda:x"), entry(two, "x", "mine:x")},
	} {
		writeIndex(t, s, entries...)
		_, err := open(t, "oci:"+s.Dir()+":x", image.OpenOptions{})
		refused(t, name+": Open", err, one.Digest, two.Digest)
		refused(t, name+": Export", s.Export(t.Context(), "x", "oci-archive:"+t.TempDir()+"/x.tar", ""), one.Digest, two.Digest)
		sources, err := open(t, "oci:"+s.Dir(), image.OpenOptions{})
		if err != nil || len(sources) != 2 {
			t.Errorf("%s: Open of all = %v, %v, want both", name, sources, err)
		}
		for _, src := range sources {
			again, err := open(t, src.Ref, image.OpenOptions{})
			if err != nil || len(again) != 1 || again[0].Digest != src.Digest {
				t.Errorf("%s: Open(%s) = %v, %v, want that image", name, src.Ref, again, err)
			}
		}
	}
	writeIndex(t, s, entry(one, "x", "cuda:x"), entry(one, "x", "mine:x"))
	if sources, err := open(t, "oci:"+s.Dir()+":x", image.OpenOptions{}); err != nil || len(sources) != 1 {
		t.Errorf("one image, named twice: %v, %v", sources, err)
	}
}

func refused(t testing.TB, what string, err error, digests ...digest.Digest) {
	t.Helper()
	var several *image.AmbiguousError
	if !errors.As(err, &several) || several.Name != "x" || several.Hint() == "" {
		t.Errorf("%s = %v, want an AmbiguousError for x", what, err)
		return
	}
	for _, d := range digests {
		if !strings.Contains(err.Error(), d.String()) {
			t.Errorf("%s = %v, want it to name %s", what, err, d)
		}
	}
}

// TestPlatformsOfOneTag: entries of one tag that are for a platform each are one image.
func TestPlatformsOfOneTag(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	var entries []ocispec.Descriptor
	for _, arch := range []string{"amd64", "arm64"} {
		e := entry(put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, arch))), "x", "")
		e.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		entries = append(entries, e)
	}
	writeIndex(t, s, entries...)
	for platform, want := range map[string]ocispec.Descriptor{"linux/amd64": entries[0], "linux/arm64": entries[1]} {
		sources, err := open(t, "oci:"+s.Dir()+":x", image.OpenOptions{Platform: platform})
		if err != nil || len(sources) != 1 || sources[0].Digest.String() != want.Digest.String() {
			t.Errorf("%s: %v, %v, want %s", platform, sources, err, want.Digest)
		}
	}
	if sources, err := open(t, "oci:"+s.Dir()+":x", image.OpenOptions{AllPlatforms: true}); err != nil || len(sources) != 2 {
		t.Errorf("all platforms: %v, %v", sources, err)
	}
}
