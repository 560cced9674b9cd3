// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"archive/tar"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// twoPlatforms returns an index of an amd64 and an arm64 image.
func twoPlatforms(t *testing.T) v1.ImageIndex {
	t.Helper()
	var index v1.ImageIndex = empty.Index
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := random.Image(100, 2)
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return index
}

// open opens ref, reads every layer's first byte, and returns platforms and refs.
func open(t *testing.T, ref string, opts image.OpenOptions) (found []image.Source, err error) {
	t.Helper()
	sources, closer, err := image.Open(t.Context(), ref, opts)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	for _, s := range sources {
		if digest, err := s.Image.Digest(); err != nil || digest != s.Digest {
			t.Errorf("%s: digest %s, %v, want %s", s.Ref, digest, err, s.Digest)
		}
		layers, err := s.Image.Layers()
		if err != nil || len(layers) == 0 {
			t.Fatalf("%s: %d layers, %v", s.Ref, len(layers), err)
		}
		for _, l := range layers {
			r, err := l.Compressed()
			if err != nil {
				t.Fatalf("%s: %v", s.Ref, err)
			}
			got, _, err := v1.SHA256(r)
			if want, _ := l.Digest(); err != nil || got != want {
				t.Errorf("%s: layer %s reads as %s, %v", s.Ref, want, got, err)
			}
			_ = r.Close()
		}
	}
	return sources, nil
}

func TestOpenRegistry(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New())
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	tag, err := name.ParseReference(host + "/team/cuda:12.4")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, twoPlatforms(t)); err != nil {
		t.Fatal(err)
	}
	for platform, want := range map[string]int{"linux/arm64": 1, "": 2} {
		got, err := open(t, tag.String(), image.OpenOptions{Platform: platform, AllPlatforms: platform == ""})
		if err != nil || len(got) != want || platform != "" && got[0].Platform != platform {
			t.Errorf("Open with platform %q = %+v, %v, want %d images", platform, got, err, want)
		}
	}
	if _, err := open(t, tag.String(), image.OpenOptions{Platform: "linux/s390x"}); !errors.Is(err, image.ErrNoImage) || !strings.Contains(err.Error(), "linux/amd64, linux/arm64") {
		t.Errorf("a platform that is not there: %v", err)
	}
	if _, err := open(t, host+"/none:x", image.OpenOptions{}); err == nil {
		t.Error("a repository that is not there: no error")
	}
	if _, err := open(t, "NOT A REF", image.OpenOptions{}); !errors.Is(err, image.ErrBadReference) {
		t.Errorf("bad reference: %v", err)
	}
}

func TestOpenLayout(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"12.4-base", "12.4-devel"} {
		img, err := random.Image(100, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})); err != nil {
			t.Fatal(err)
		}
	}
	if err := path.AppendIndex(twoPlatforms(t), layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "multi"})); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "out.tar")
	writeTar(t, archive, dir)
	for _, transport := range []string{"oci:" + dir, "oci-archive:" + archive} {
		for tag, want := range map[string]int{"": 4, ":12.4-base": 1, ":multi": 2} {
			got, err := open(t, transport+tag, image.OpenOptions{AllPlatforms: true})
			if err != nil || len(got) != want {
				t.Errorf("Open(%s%s) = %d images, %v, want %d", transport, tag, len(got), err, want)
			}
			if tag == ":12.4-base" && err == nil && got[0].Ref != transport+tag {
				t.Errorf("Ref = %q, want %q", got[0].Ref, transport+tag)
			}
		}
		if _, err := open(t, transport+":none", image.OpenOptions{}); !errors.Is(err, image.ErrNoImage) || !strings.Contains(err.Error(), "12.4-base, 12.4-devel, multi") {
			t.Errorf("a tag that is not there: %v", err)
		}
	}
	if _, err := open(t, "oci:"+t.TempDir(), image.OpenOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
	for _, text := range []string{"null", `{"a":1}`} {
		bad := t.TempDir()
		if err := os.WriteFile(filepath.Join(bad, "index.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, "oci:"+bad, image.OpenOptions{}); err == nil || !strings.Contains(err.Error(), "index.json: not an image index") {
			t.Errorf("index.json of %s: %v", text, err)
		}
	}
}

// TestOpenNested: an index inside an index is looked into, as deep as anybody would
// nest them; what is deeper, or too much, is an error and never left out in silence.
func TestOpenNested(t *testing.T) {
	t.Parallel()
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	nest := func(index v1.ImageIndex, times int) v1.ImageIndex {
		for range times {
			index = mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index})
		}
		return index
	}
	beside := mutate.AppendManifests(nest(twoPlatforms(t), 1),
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "riscv64"}}})
	var many v1.ImageIndex = empty.Index
	for range 1001 {
		many = mutate.AppendManifests(many, mutate.IndexAddendum{Add: img})
	}
	cases := map[string]struct {
		index v1.ImageIndex
		opts  image.OpenOptions
		want  int
		wrong string // part of the error
	}{
		"all":       {beside, image.OpenOptions{AllPlatforms: true}, 3, ""},
		"inside":    {beside, image.OpenOptions{Platform: "linux/arm64"}, 1, ""},
		"outside":   {beside, image.OpenOptions{Platform: "linux/riscv64"}, 1, ""},
		"not there": {beside, image.OpenOptions{Platform: "linux/s390x"}, 0, "there is: linux/amd64, linux/arm64, linux/riscv64"},
		"deep":      {nest(twoPlatforms(t), 4), image.OpenOptions{AllPlatforms: true}, 2, ""},
		"too deep":  {nest(twoPlatforms(t), 5), image.OpenOptions{AllPlatforms: true}, 0, "more than 4 deep"},
		"too many":  {many, image.OpenOptions{AllPlatforms: true}, 0, "more than 1000 entries"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, err := layout.Write(t.TempDir(), empty.Index)
			if err != nil {
				t.Fatal(err)
			}
			if err := path.AppendIndex(test.index); err != nil {
				t.Fatal(err)
			}
			got, err := open(t, "oci:"+string(path), test.opts)
			if len(got) != test.want || (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("Open = %d images, %v, want %d and %q", len(got), err, test.want, test.wrong)
			}
		})
	}
}

// TestOpenPlatform: a platform that is named must be had, of an image that stands
// alone too.
func TestOpenPlatform(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	alone := imagetest.New(layer(imagetest.Gzip, "alone")) // linux/amd64, as its configuration says
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: alone, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}})
	if err := errors.Join(
		path.AppendImage(alone, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "alone"})),
		path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "index"})),
	); err != nil {
		t.Fatal(err)
	}
	cases := []struct{ tag, platform, want string }{ // want is what the error says there is
		{"alone", "", ""},
		{"alone", "linux/amd64", ""},
		{"alone", "linux/arm64", "linux/amd64"},
		{"index", "", ""},
		{"index", "linux/arm64", ""},
		{"index", "linux/arm64/v8", ""},
		{"index", "linux/arm64/v7", "linux/arm64/v8"},
		{"index", "linux/amd64", "linux/arm64/v8"},
	}
	for _, test := range cases {
		_, err := open(t, "oci:"+dir+":"+test.tag, image.OpenOptions{Platform: test.platform})
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, image.ErrNoImage) || !strings.HasSuffix(err.Error(), "there is: "+test.want)) {
			t.Errorf("Open(%s, %q): %v, want %q", test.tag, test.platform, err, test.want)
		}
	}
}

func TestCheckPlatform(t *testing.T) {
	t.Parallel()
	for platform, good := range map[string]bool{
		"linux/amd64": true, "linux/arm64/v8": true, "windows/amd64": true,
		"": false, "banana": false, "amd64": false, "linux/": false, "/amd64": false, "linux/amd64/": false,
		"linux/arm/v7/x": false, "Linux/amd64": false, "linux amd64": false,
	} {
		if err := image.CheckPlatform(platform); (err == nil) != good {
			t.Errorf("CheckPlatform(%q) = %v", platform, err)
		}
	}
}

// TestSpelling: no registry is asked for what was hardly meant as one's.
func TestSpelling(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "saved")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"docker://127.0.0.1:1/cuda:x": "127.0.0.1:1/cuda:x",
		"https://127.0.0.1:1/cuda/":   "127.0.0.1:1/cuda",
		"docker-daemon:cuda:x":        "docker-archive:FILE with what 'docker save' or 'podman save' writes to FILE",
		"dir:/tmp":                    "oci:/tmp",
		"Dir:./out":                   "oci:./out",
		"sif:../x":                    "oci:../x",
		"oci-archve:x.tar":            "oci-archive:x.tar",
		"docker_archive:x.tar":        "docker-archive:x.tar",
		dir:                           "oci:" + dir,
		file:                          "docker-archive:" + file,
		"cuda.tar":                    "docker-archive:cuda.tar",
		"./absent":                    "oci:./absent",
		"../absent":                   "oci:../absent",
		"/absent/layout":              "oci:/absent/layout",
	} {
		_, err := open(t, ref, image.OpenOptions{})
		var spelling *image.SpellingError
		if !errors.As(err, &spelling) || !errors.Is(err, image.ErrBadReference) || spelling.Try[0] != want {
			t.Errorf("Open(%s): %v, want a SpellingError with %q", ref, err, want)
		}
	}
}

func TestOnDisk(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]bool{
		"oci:out/images:1": true, "oci-archive:a.tar": true, "docker-archive:a.tar:x": true,
		"registry.example.com/oci:1": false, "localhost:5000/oci": false,
	} {
		if got := image.OnDisk(ref); got != want {
			t.Errorf("OnDisk(%s) = %t, want %t", ref, got, want)
		}
	}
}

func TestOpenDockerArchive(t *testing.T) {
	t.Parallel()
	img, err := random.Image(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("example.com/cuda:12.4")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "saved.tar")
	if err := tarball.WriteToFile(file, tag, img); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"docker-archive:" + file, "docker-archive:" + file + ":example.com/cuda:12.4"} {
		if got, err := open(t, ref, image.OpenOptions{}); err != nil || len(got) != 1 {
			t.Errorf("Open(%s) = %+v, %v", ref, got, err)
		}
	}
	if _, err := open(t, "docker-archive:"+file+":other:1", image.OpenOptions{}); !errors.Is(err, image.ErrNoImage) || !strings.HasSuffix(err.Error(), "the archive holds: example.com/cuda:12.4") {
		t.Errorf("a name that is not there: %v", err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.tar")
	if err := os.WriteFile(cut, whole[:600], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{"docker-archive:", "oci-archive:"} {
		if _, err := open(t, transport+cut, image.OpenOptions{}); err == nil || !strings.Contains(err.Error(), cut+" is truncated") {
			t.Errorf("%s cut inside its first member: %v", transport, err)
		}
	}
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("garbage", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{"docker-archive:", "oci-archive:"} {
		if _, err := open(t, transport+garbage, image.OpenOptions{}); err == nil {
			t.Errorf("%s of garbage: no error", transport)
		}
	}
}

// writeTar packs a folder.
func writeTar(t *testing.T, file, dir string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	if err := errors.Join(w.AddFS(os.DirFS(dir)), w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}
