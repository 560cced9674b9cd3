// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// savedArchive is what docker save writes of one image with these layer files.
func savedArchive(t *testing.T, layers ...[]byte) string {
	t.Helper()
	content := imagetest.Files(map[string]imagetest.Entry{"etc/os-release": {Data: "ID=debian\n"}})
	config := v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}}
	saved := map[string]any{"Config": "config.json", "RepoTags": []string{"x:1"}}
	files, names := map[string]imagetest.Entry{}, []string{}
	for i, data := range layers {
		name := strings.Repeat("l", i+1) + ".tar"
		files[name], names = imagetest.Entry{Data: string(data)}, append(names, name)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, imagetest.Digest(content))
	}
	saved["Layers"] = names
	for name, value := range map[string]any{"config.json": config, "manifest.json": []any{saved}} {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = imagetest.Entry{Data: string(data)}
	}
	file := filepath.Join(t.TempDir(), "saved.tar")
	if err := os.WriteFile(file, imagetest.Files(files), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSavedLayers: the layers of a saved image are what they are, whatever their name says,
// and the digest is that of the file.
func TestSavedLayers(t *testing.T) {
	t.Parallel()
	content := imagetest.Files(map[string]imagetest.Entry{"etc/os-release": {Data: "ID=debian\n"}})
	zst := imagetest.Encode(imagetest.Zstd, content)
	for name, data := range map[string][]byte{
		"plain":                 content,
		"gzip":                  imagetest.Encode(imagetest.Gzip, content),
		"zstd":                  zst,
		"zstd, skippable first": append([]byte("\x5d\x2a\x4d\x18\x04\x00\x00\x00skip"), zst...),
		"of three bytes":        []byte("\x1f\x8b\x08"),
		"of two bytes":          []byte("\x1f\x8b"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if found, err := open(t, "docker-archive:"+savedArchive(t, data), image.OpenOptions{}); err != nil || len(found) != 1 {
				t.Errorf("%d images, error %v", len(found), err)
			}
		})
	}
}

// TestLayerReaders holds that the layers of each transport come as an io.Reader must give
// them, in reads of any size.
func TestLayerReaders(t *testing.T) {
	t.Parallel()
	b := imagetest.Layer(imagetest.Gzip, imagetest.Files(map[string]imagetest.Entry{"a": {Data: strings.Repeat("content\n", 10_000)}}))
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)))) //nolint:forbidigo // the kind of logger that this registry knows)
	defer server.Close()
	pushed := strings.TrimPrefix(server.URL, "http://") + "/team/app:1"
	parsed, err := name.ParseReference(pushed)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parsed, imagetest.New(b)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	written, err := layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: imagetest.New(b)}))
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{pushed, "oci:" + string(written), "docker-archive:" + savedArchive(t, b.Data)} {
		sources, closer, err := image.Open(t.Context(), ref, image.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		layers, err := sources[0].Image.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%s: %d layers, %v", ref, len(layers), err)
		}
		r, err := layers[0].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, b.Data); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
		_, _ = r.Close(), closer.Close()
	}
}
