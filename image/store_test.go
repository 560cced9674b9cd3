// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

func openStore(t testing.TB, dir string) *image.Store {
	t.Helper()
	s, err := image.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// layer is a layer with one file of that content.
func layer(enc imagetest.Encoding, text string) *imagetest.Blob {
	return imagetest.Layer(enc, imagetest.Files(map[string]imagetest.Entry{"etc/" + text: {Data: text}}))
}

// put writes every blob of an image into a store, as a solve's export does.
func put(t testing.TB, to content.Store, img v1.Image) ocispec.Descriptor {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		putBlob(t, to, data)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	putBlob(t, to, config)
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	desc := putBlob(t, to, manifest)
	desc.MediaType = ocispec.MediaTypeImageManifest
	return desc
}

func putBlob(t testing.TB, to content.Store, data []byte) ocispec.Descriptor {
	t.Helper()
	desc := ocispec.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := content.WriteBlob(t.Context(), to, desc.Digest.String(), strings.NewReader(string(data)), desc); err != nil {
		t.Fatal(err)
	}
	return desc
}

func blobFile(s *image.Store, d digest.Digest) string {
	return filepath.Join(s.Dir(), "blobs", "sha256", d.Encoded())
}

func mustTag(t testing.TB, s *image.Store, name string, desc ocispec.Descriptor) {
	t.Helper()
	if err := s.Tag(desc, name); err != nil {
		t.Fatal(err)
	}
}

func TestTag(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	old := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "old")))
	other := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "other")))
	mustTag(t, s, "cuda:b", old)
	mustTag(t, s, "cuda:a", old)
	mustTag(t, s, "mine:b", old)
	mustTag(t, s, "cuda:b", other)

	entries, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Annotations[image.FullNameAnnotation]+" "+e.Annotations[ocispec.AnnotationRefName]+" "+e.Digest.String())
	}
	want := []string{"cuda:a a " + old.Digest.String(), "cuda:b b " + other.Digest.String()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}
	if desc, ok := s.Lookup("cuda:b"); !ok || desc.Digest != other.Digest {
		t.Errorf("Lookup(cuda:b) = %v, %v", desc, ok)
	}
	if desc, ok := s.Lookup("cuda:c"); ok {
		t.Errorf("Lookup(cuda:c) = %v", desc)
	}
}

// TestTagRegistry: the tag is what stands behind the last colon, not behind a registry's port.
func TestTagRegistry(t *testing.T) {
	t.Parallel()
	for _, repository := range []string{"registry:5000/team/cuda", "[::1]:5000/cuda", "localhost/cuda"} {
		s := openStore(t, t.TempDir())
		desc := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "x")))
		mustTag(t, s, repository+":x", desc)
		if found, err := s.Find("x"); err != nil || image.FullName(found) != repository+":x" {
			t.Errorf("Find(x) = %v, %v, want %s:x", found, err, repository)
		}
		if _, ok := s.Lookup(repository + ":x"); !ok {
			t.Errorf("Lookup(%s:x) finds nothing", repository)
		}
		reopen(t, "oci:"+s.Dir()+":x")
		target := filepath.Join(t.TempDir(), "x.tar")
		if err := s.Export(t.Context(), repository+":x", "oci-archive:"+target, ""); err != nil {
			t.Fatal(err)
		}
		reopen(t, "oci-archive:"+target+":x")
		if err := s.Export(t.Context(), repository+":x", "docker-archive:"+target, ""); err != nil {
			t.Fatal(err)
		}
		reopen(t, "docker-archive:"+target+":"+repository+":x")
	}
}

// TestTagTogether: all names of an image move in one write, and none is written twice.
func TestTagTogether(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	old := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "old")))
	other := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "other")))
	mustTag(t, s, "cuda:b", old)
	if err := s.Tag(other, "cuda:c", "cuda:a", "cuda:b"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cuda:a", "cuda:b", "cuda:c"} {
		if desc, ok := s.Lookup(name); !ok || desc.Digest != other.Digest {
			t.Errorf("Lookup(%s) = %v, %v, want %s", name, desc, ok, other.Digest)
		}
	}
	index := filepath.Join(s.Dir(), "index.json")
	before, err := os.Stat(index)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Tag(other, "cuda:a", "cuda:b", "cuda:c"); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(index); err != nil || !os.SameFile(before, after) {
		t.Errorf("the index was written again, %v", err)
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	desc := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "x")))
	desc.Annotations = map[string]string{"of": "a solve"}
	for range 2 {
		if err := s.Keep(desc); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := s.Entries()
	if err != nil || len(entries) != 1 || entries[0].Digest != desc.Digest || len(entries[0].Annotations) != 0 {
		t.Errorf("index = %v, %v, want the image once, without a name", entries, err)
	}
}

// TestLayout: other people's tools find what they look for.
func TestLayout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	mustTag(t, s, "cuda:x", put(t, s.Content(), imagetest.New(layer(imagetest.Zstd, "x"))))
	if data, err := os.ReadFile(filepath.Join(dir, "oci-layout")); err != nil || string(data) != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("oci-layout = %s, %v", data, err)
	}
	sources, closer, err := image.Open(t.Context(), "oci:"+dir+":x", image.OpenOptions{Platform: "linux/amd64"})
	if err != nil || len(sources) != 1 {
		t.Fatalf("Open = %v, %v", sources, err)
	}
	defer closer.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	if diff := cmp.Diff([]string{".lock", "blobs", "index.json", "oci-layout"}, names); diff != "" || err != nil {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestLayoutFileLost: what other tools know a layout by is written again.
func TestLayoutFileLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	mustTag(t, s, "cuda:x", put(t, s.Content(), imagetest.New(layer(imagetest.Zstd, "x"))))
	file := filepath.Join(dir, "oci-layout")
	if err := errors.Join(s.Close(), os.Remove(file)); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, dir)
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	if _, ok := again.Lookup("cuda:x"); !ok {
		t.Error("the image is gone")
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := openStore(t, dir)
	second, err := image.OpenStore(dir)
	var busy *image.BusyError
	if second != nil || !errors.As(err, &busy) || busy.Dir != dir || busy.PID != os.Getpid() || !strings.Contains(err.Error(), dir) {
		t.Fatalf("OpenStore = %v, %v, want nil, BusyError with pid %d", second, err, os.Getpid())
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir)
}

// TestInterrupted: what a killed run had begun to write is cleared away.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	w, err := content.OpenWriter(t.Context(), s.Content(), content.WithRef("half"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half a blob")); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, "ingest")
	if files, err := os.ReadDir(stale); err != nil || len(files) != 1 {
		t.Fatalf("ingest = %v, %v, want one write in progress", files, err)
	}
	killed := t.TempDir() // the lock dies with its process, the files do not
	if err := os.Rename(stale, filepath.Join(killed, "ingest")); err != nil {
		t.Fatal(err)
	}
	openStore(t, killed)
	if files, _ := os.ReadDir(filepath.Join(killed, "ingest")); len(files) != 0 {
		t.Errorf("ingest = %v, want nothing", files)
	}
}

func TestCorruptIndex(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", "\x00\x00", `{"manifests": 5}`, "null", "{}", `{"a":1}`, `{"schemaVersion":2,"manifests":null}`} {
		dir := t.TempDir()
		path := filepath.Join(dir, "index.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := image.OpenStore(dir)
		if s != nil || err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("OpenStore with index %q = %v, %v, want an error that names %s", text, s, err, path)
		}
		if data, _ := os.ReadFile(path); string(data) != text {
			t.Errorf("the index was changed to %q", data)
		}
	}
}
