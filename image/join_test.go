// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// joined is a store with cuda:x, an index of images for amd64 and arm64 that share a layer.
func joined(t testing.TB) (s *image.Store, images map[string]v1.Image, index ocispec.Descriptor) {
	t.Helper()
	s = openStore(t, t.TempDir())
	images = map[string]v1.Image{}
	shared := layer(imagetest.Zstd, "shared")
	var descs []ocispec.Descriptor
	for _, arch := range []string{"amd64", "arm64"} {
		img := imagetest.ForArch(imagetest.New(shared, layer(imagetest.Zstd, arch)), arch)
		desc := put(t, s.Content(), img)
		desc.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		images["linux/"+arch], descs = img, append(descs, desc)
	}
	index, err := s.Join(t.Context(), descs...)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Join(t.Context(), descs...); err != nil || again.Digest != index.Digest {
		t.Errorf("Join again = %v, %v, want %v", again, err, index)
	}
	mustTag(t, s, "cuda:x", index)
	return s, images, index
}

func digestOf(t testing.TB, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// opened is the digest of each platform behind a reference.
func opened(t testing.TB, ref string) map[string]string {
	t.Helper()
	sources, closer, err := image.Open(t.Context(), ref, image.OpenOptions{AllPlatforms: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	got := map[string]string{}
	for _, s := range sources {
		config, err := s.Image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		got[config.Platform().String()] = s.Digest.String()
	}
	return got
}

func digests(t testing.TB, images map[string]v1.Image) map[string]string {
	want := map[string]string{}
	for platform, img := range images {
		want[platform] = digestOf(t, img)
	}
	return want
}

// TestJoin: one tag, both platforms behind it, and nothing of them is pruned.
func TestJoin(t *testing.T) {
	t.Parallel()
	s, images, index := joined(t)
	if pruned, err := s.Prune(t.Context(), false); err != nil || pruned != (image.Pruned{}) {
		t.Errorf("Prune = %+v, %v, want nothing", pruned, err)
	}
	if diff := cmp.Diff(digests(t, images), opened(t, "oci:"+s.Dir()+":x")); diff != "" {
		t.Errorf("oci:DIR:x (-want +got):\n%s", diff)
	}
	blobs, err := s.Blobs(t.Context(), index)
	distinct := map[digest.Digest]bool{}
	var arm ocispec.Descriptor
	for _, b := range blobs {
		distinct[b.Digest] = true
		if b.Platform != nil && b.Platform.Architecture == "arm64" {
			arm = b
		}
	}
	if err != nil || len(blobs) != 9 || len(distinct) != 8 { // an index, two manifests and configs, four layers of which two are one
		t.Errorf("Blobs = %d, %d distinct, %v", len(blobs), len(distinct), err)
	}
	other := openStore(t, t.TempDir())
	if err := errors.Join(s.CopyTo(t.Context(), other, index), other.Keep(index)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(digests(t, images), opened(t, "oci:"+other.Dir()+"@"+index.Digest.String())); diff != "" {
		t.Errorf("the copy (-want +got):\n%s", diff)
	}
	mustTag(t, s, "cuda:x", arm)
	if pruned, err := s.Prune(t.Context(), false); err != nil || pruned.Blobs != 4 { // the index, and manifest, config and layer of amd64
		t.Errorf("Prune of what the tag has left = %+v, %v, want 4 blobs", pruned, err)
	}
}

func TestJoinRefuses(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	plain := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "plain")))
	amd64 := plain
	amd64.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
	for name, descs := range map[string][]ocispec.Descriptor{"none": nil, "no platform": {amd64, plain}, "twice": {amd64, amd64}} {
		if desc, err := s.Join(t.Context(), descs...); err == nil {
			t.Errorf("%s: Join = %v, want an error", name, desc)
		}
	}
}

// TestExportPlatform: an OCI archive holds every platform, a docker archive one.
func TestExportPlatform(t *testing.T) {
	t.Parallel()
	s, images, _ := joined(t)
	all, host := digests(t, images), "linux/"+runtime.GOARCH
	for name, test := range map[string]struct {
		transport, platform string
		want                []string // platforms
	}{
		"oci":        {"oci-archive:", "", []string{"linux/amd64", "linux/arm64"}},
		"oci arm":    {"oci-archive:", "linux/arm64", []string{"linux/arm64"}},
		"docker":     {"docker-archive:", "", []string{host}},
		"docker arm": {"docker-archive:", "linux/arm64", []string{"linux/arm64"}},
	} {
		target := test.transport + filepath.Join(t.TempDir(), "x.tar")
		if err := s.Export(t.Context(), "cuda:x", target, test.platform); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, want := opened(t, target), map[string]string{}
		for _, platform := range test.want {
			want[platform] = all[platform]
			if test.transport == "docker-archive:" { // its layers are gzip, so it is another image
				want[platform] = got[platform]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	dir := t.TempDir()
	mustTag(t, s, "cuda:alone", put(t, s.Content(), imagetest.ForArch(imagetest.New(layer(imagetest.Gzip, "alone")), "arm64")))
	for _, tag := range []string{"cuda:x", "cuda:alone"} {
		err := s.Export(t.Context(), tag, "docker-archive:"+dir+"/x.tar", "linux/s390x")
		if missing := (*image.PlatformError)(nil); !errors.As(err, &missing) {
			t.Errorf("Export of %s for a platform that is not there = %v, want a PlatformError", tag, err)
		}
	}
	nothingIn(t, dir)
	if err := s.Export(t.Context(), "cuda:alone", "docker-archive:"+dir+"/x.tar", ""); err != nil {
		t.Errorf("Export of an image that stands alone, whatever its platform: %v", err)
	}
}
