// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// twin is an archive in which docker save's manifest.json names one image and the OCI
// index beside it others.
type twin map[string]imagetest.Entry

func twinOf(t *testing.T, saved v1.Image) twin {
	t.Helper()
	files := twin{"oci-layout": {Data: `{"imageLayoutVersion":"1.0.0"}`}}
	files.add(t, saved)
	type names struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	var n names
	config, err := saved.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := saved.Layers()
	if err != nil {
		t.Fatal(err)
	}
	n.Config, n.RepoTags = "blobs/sha256/"+config.Hex, []string{"a:t"}
	for _, l := range layers {
		digest, _ := l.Digest()
		n.Layers = append(n.Layers, "blobs/sha256/"+digest.Hex)
	}
	data, err := json.Marshal([]names{n})
	if err != nil {
		t.Fatal(err)
	}
	files["manifest.json"] = imagetest.Entry{Data: string(data)}
	return files
}

// add adds the blobs of an image and returns its entry in an index.
func (f twin) add(t *testing.T, img v1.Image) v1.Descriptor {
	t.Helper()
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	blobs := [][]byte{manifest, config}
	for _, l := range layers {
		blobs = append(blobs, l.(*imagetest.Blob).Data)
	}
	for _, blob := range blobs {
		f["blobs/sha256/"+imagetest.Digest(blob).Hex] = imagetest.Entry{Data: string(blob)}
	}
	mediaType, err := img.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: imagetest.Digest(manifest), Size: int64(len(manifest))}
}

// TestTwins: an archive that newer tools read otherwise than docker save's manifest.json
// says is refused, whatever of the two was asked for.
func TestTwins(t *testing.T) {
	t.Parallel()
	layer := func(name string) *imagetest.Blob {
		return imagetest.Layer(imagetest.Plain, imagetest.Files(map[string]imagetest.Entry{name: {Data: "x"}}))
	}
	saved, other := imagetest.New(layer("saved")), imagetest.New(layer("other"))
	arm := imagetest.ForArch(other, "arm64")
	for name, test := range map[string]struct {
		images []v1.Image // that index.json names
		lie    string     // the architecture that it says the last one is for
		gone   bool       // the last one's config is not in the archive
		want   string
	}{
		"the same":                 {images: []v1.Image{saved}},
		"another":                  {images: []v1.Image{other}, want: "index.json names the image"},
		"both":                     {images: []v1.Image{saved, other}, want: "index.json names the image"},
		"none":                     {want: "which index.json does not"},
		"another platform":         {images: []v1.Image{saved, arm}},
		"only of another platform": {images: []v1.Image{arm}, want: "which index.json does not"},
		"another, called arm64":    {images: []v1.Image{saved, other}, lie: "arm64", want: "index.json names the image"},
		"another, in part":         {images: []v1.Image{saved, other}, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, index := twinOf(t, saved), v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{}}
			for i, img := range test.images {
				d := files.add(t, img)
				if i == len(test.images)-1 && test.lie != "" {
					d.Platform = &v1.Platform{OS: "linux", Architecture: test.lie}
				}
				index.Manifests = append(index.Manifests, d)
				if config, _ := img.ConfigName(); i == len(test.images)-1 && test.gone {
					delete(files, "blobs/sha256/"+config.Hex)
				}
			}
			data, err := json.Marshal(index)
			if err != nil {
				t.Fatal(err)
			}
			files["index.json"] = imagetest.Entry{Data: string(data)}
			path := filepath.Join(t.TempDir(), "saved.tar")
			if err := os.WriteFile(path, imagetest.Files(files), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, ref := range []string{"docker-archive:" + path, "docker-archive:" + path + ":a:t"} {
				sources, closer, err := image.Open(t.Context(), ref, image.OpenOptions{})
				if err == nil {
					_ = closer.Close()
				}
				if test.want == "" && (err != nil || len(sources) != 1) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("Open(%s) = %d images, %v, want %q", ref, len(sources), err, test.want)
				}
			}
		})
	}
}
