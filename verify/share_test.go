// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

var sharedLayer = layer(map[string]imagetest.Entry{"etc/os-release": {Data: strings.Repeat("ID=debian\n", 1000)}})

// damages are what can be wrong with one copy of a blob.
var damages = map[string]func(data []byte) []byte{
	"a byte":    func(d []byte) []byte { d = bytes.Clone(d); d[4] ^= 1; return d }, // gzip's time stamp: the content stays
	"content":   func(d []byte) []byte { d = bytes.Clone(d); d[len(d)/2] ^= 1; return d },
	"truncated": func(d []byte) []byte { return d[:len(d)-7] },
	"empty":     func([]byte) []byte { return nil },
	"gone":      nil,
}

// TestACopyIsACopy: of two copies of a layer in one call one is bad. Whatever is read
// first, the good one passes and the bad one does not.
func TestACopyIsACopy(t *testing.T) {
	t.Parallel()
	for name, damage := range damages {
		if damage == nil {
			continue // nothing in memory is gone
		}
		for _, dir := range []string{"", ownDir(t)} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for range 10 {
					good, bad := *sharedLayer, *sharedLayer
					bad.Data = damage(bad.Data)
					v := verify.New(verify.Options{CacheDir: dir})
					if dir != "" { // cold in each round
						clearDir(t, dir)
					}
					both(t, v, imagetest.New(&good), imagetest.New(&bad))
				}
			})
		}
	}
}

// both judges two images at the same time, of which the first is good.
func both(t *testing.T, v *verify.Verifier, good, bad v1.Image) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		if r, err := v.Image(t.Context(), "good", good); err != nil || r.Verdict != verify.Pass {
			t.Errorf("the good copy: %s, %v", r.Verdict, err)
		}
	})
	wg.Go(func() {
		if r, err := v.Image(t.Context(), "bad", bad); err == nil && r.Verdict != verify.Unknown {
			t.Errorf("the bad copy: %s", r.Verdict)
		}
	})
	wg.Wait()
}

// writeLayout writes images as a layout.
func writeLayout(t *testing.T, images ...v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	for _, img := range images {
		err = errors.Join(err, path.AppendImage(img))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func blobFile(dir string, h v1.Hash) string { return filepath.Join(dir, "blobs", h.Algorithm, h.Hex) }

func opened(t *testing.T, ref string) v1.Image {
	t.Helper()
	sources, closer, err := image.Open(t.Context(), ref, image.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closer.Close() })
	return sources[0].Image
}

// TestCopiesInLayouts: the same with files, and with archives of them.
func TestCopiesInLayouts(t *testing.T) {
	t.Parallel()
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good, bad := writeLayout(t, imagetest.New(sharedLayer)), writeLayout(t, imagetest.New(sharedLayer))
			file := blobFile(bad, sharedLayer.Want)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if damage != nil {
				if err := os.WriteFile(file, damage(sharedLayer.Data), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			goodTar, badTar := packed(t, good), packed(t, bad)
			for range 5 {
				v := verify.New(verify.Options{CacheDir: ownDir(t)})
				both(t, v, opened(t, "oci:"+good), opened(t, "oci:"+bad))
				both(t, v, opened(t, "oci-archive:"+goodTar), opened(t, "oci-archive:"+badTar))
				both(t, v, opened(t, "oci:"+good), opened(t, "oci-archive:"+badTar))
			}
		})
	}
}

// TestCopiesInSavedImages: two files of an archive are said to be the same layer.
func TestCopiesInSavedImages(t *testing.T) {
	t.Parallel()
	clean := imagetest.Files(map[string]imagetest.Entry{"etc/os-release": {Data: "ID=debian\n"}})
	leak := imagetest.Files(map[string]imagetest.Entry{"usr/lib/libcuda.so.1": {Data: "x"}})
	diff := imagetest.Digest(clean).String()
	config := `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["` + diff + `","` + diff + `"]}}`
	for name, tc := range map[string]struct {
		first, second []byte
		want          verify.Verdict
	}{
		"same":          {clean, clean, verify.Pass},
		"first differs": {leak, clean, verify.Fail},
		"last differs":  {clean, leak, verify.Fail},
	} {
		file := filepath.Join(t.TempDir(), "saved.tar")
		data := imagetest.Files(map[string]imagetest.Entry{
			"a/layer.tar": {Data: string(tc.first)}, "b/layer.tar": {Data: string(tc.second)}, "c.json": {Data: config},
			"manifest.json": {Data: `[{"Config":"c.json","RepoTags":["a:1"],"Layers":["a/layer.tar","b/layer.tar"]}]`},
		})
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			report, err := verify.New(verify.Options{}).Image(t.Context(), "x", opened(t, "docker-archive:"+file))
			if err != nil || report.Verdict != tc.want && report.Verdict != verify.Unknown || tc.want == verify.Pass && report.Verdict != verify.Pass {
				t.Errorf("%s: %s, %v, want %s", name, report.Verdict, err, tc.want)
			}
		}
	}
}

// TestKnownCopies: facts from the cache serve the file that was read and no other.
func TestKnownCopies(t *testing.T) {
	t.Parallel()
	first := writeLayout(t, imagetest.New(sharedLayer))
	second := t.TempDir()
	if err := os.CopyFS(second, os.DirFS(first)); err != nil {
		t.Fatal(err)
	}
	dir := ownDir(t)
	check := func(layout string, want verify.Verdict, known int) {
		t.Helper()
		r, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", opened(t, layout))
		if err != nil || r.Verdict != want || r.Stats.Known != known || (r.Stats.BytesRead == 0) != (known == 1) || (r.Stats.BytesCached > 0) != (known == 1) {
			t.Errorf("%s: %s, %+v, %v, want %s and %d known", layout, r.Verdict, r.Stats, err, want, known)
		}
	}
	archive := packed(t, first)
	for _, ref := range []string{"oci:" + first, "oci:" + second, "oci-archive:" + archive} {
		check(ref, verify.Pass, 0)
		check(ref, verify.Pass, 1)
	}
	check("oci:"+first, verify.Pass, 1) // still
	v := verify.New(verify.Options{CacheDir: dir})
	for range 2 { // known to each image that shares it
		if r, err := v.Image(t.Context(), "x", opened(t, "oci:"+first)); err != nil || r.Stats.Known != 1 {
			t.Errorf("%+v, %v, want the layer known", r.Stats, err)
		}
	}
	// The same place, size and time of writing, and other bytes.
	file := blobFile(first, sharedLayer.Want)
	info, err := os.Stat(file)
	if err == nil {
		err = errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, damages["a byte"](sharedLayer.Data), 0o600), os.Chtimes(file, info.ModTime(), info.ModTime()))
	}
	if err != nil {
		t.Fatal(err)
	}
	check("oci:"+first, verify.Unknown, 0)
	check("oci:"+second, verify.Pass, 1)
	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[bytes.Index(data, sharedLayer.Data):], damages["content"](sharedLayer.Data))
	if err := os.WriteFile(archive, data, 0o600); err != nil {
		t.Fatal(err)
	}
	check("oci-archive:"+archive, verify.Unknown, 0)
}

// TestDamageDoesNotDependOnTheCache: what a blob really holds is judged, whether or not the
// layer that it claims to be is known.
func TestDamageDoesNotDependOnTheCache(t *testing.T) {
	t.Parallel()
	whole, damaged := writeLayout(t, imagetest.New(sharedLayer)), writeLayout(t, imagetest.New(sharedLayer))
	leak := layer(files{"usr/lib/libcuda.so.535.104.05": library(imagetest.ELF{SOName: "libcuda.so.1"})})
	file := blobFile(damaged, sharedLayer.Want)
	if err := errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, leak.Data, 0o600)); err != nil {
		t.Fatal(err)
	}
	dir := ownDir(t)
	for _, layouts := range [][]string{{damaged}, {damaged}, {whole, damaged}, {damaged, whole, damaged}} {
		v := verify.New(verify.Options{CacheDir: dir})
		for _, layout := range layouts {
			want := map[string]verify.Verdict{whole: verify.Pass, damaged: verify.Fail}[layout]
			if r, err := v.Image(t.Context(), "x", opened(t, "oci:"+layout)); err != nil || r.Verdict != want {
				t.Errorf("%s, %v, want %s", r.Verdict, err, want)
			}
		}
	}
}

// TestOneFileIsReadOnce: two layouts that share a file by a hard link, and one that
// names a layer twice.
func TestOneFileIsReadOnce(t *testing.T) {
	t.Parallel()
	twice := writeLayout(t, imagetest.New(sharedLayer, sharedLayer))
	linked := writeLayout(t, imagetest.New(sharedLayer))
	file := blobFile(linked, sharedLayer.Want)
	if err := errors.Join(os.Remove(file), os.Link(blobFile(twice, sharedLayer.Want), file)); err != nil {
		t.Fatal(err)
	}
	v := verify.New(verify.Options{})
	var read int64
	for _, dir := range []string{twice, linked} {
		r, err := v.Image(t.Context(), "x", opened(t, "oci:"+dir))
		if err != nil || r.Verdict != verify.Pass {
			t.Fatalf("%s, %v", r.Verdict, err)
		}
		read += r.Stats.BytesRead
	}
	if read != int64(len(sharedLayer.Data)) {
		t.Errorf("%d bytes were read, want those of one layer, %d", read, len(sharedLayer.Data))
	}
}

// TestCopiesInRegistries: a repository is a copy. What is known of one is used if it
// still has the blob.
func TestCopiesInRegistries(t *testing.T) {
	t.Parallel()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0))) //nolint:forbidigo // the kind of logger that this registry knows
	type fault func(w http.ResponseWriter, r *http.Request) bool
	var broken atomic.Pointer[fault]
	well := fault(func(http.ResponseWriter, *http.Request) bool { return false })
	broken.Store(&well)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/blobs/"+sharedLayer.Want.String()) || !(*broken.Load())(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, repo := range []string{"/good:1", "/bad:1"} {
		ref, err := name.ParseReference(host + repo)
		if err == nil {
			err = remote.Write(ref, imagetest.New(sharedLayer))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a byte", "gone"} {
		answer := fault(func(w http.ResponseWriter, r *http.Request) bool {
			switch damage := damages[name]; {
			case !strings.Contains(r.URL.Path, "/bad/"):
				return false
			case damage == nil:
				w.WriteHeader(http.StatusNotFound)
			default:
				_, _ = w.Write(damage(sharedLayer.Data))
			}
			return true
		})
		broken.Store(&answer)
		both(t, verify.New(verify.Options{CacheDir: ownDir(t)}), opened(t, host+"/good:1"), opened(t, host+"/bad:1"))
	}
	broken.Store(&well)
	dir := ownDir(t)
	for _, want := range []int{0, 1} {
		r, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", opened(t, host+"/good:1"))
		if err != nil || r.Verdict != verify.Pass || r.Stats.Known != want {
			t.Errorf("%s, %+v, %v, want %d known", r.Verdict, r.Stats, err, want)
		}
	}
	for name, answer := range map[string]func(w http.ResponseWriter){
		"gone":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"truncated": func(w http.ResponseWriter) { _, _ = w.Write(sharedLayer.Data[:100]) },
	} {
		all := fault(func(w http.ResponseWriter, _ *http.Request) bool { answer(w); return true })
		broken.Store(&all)
		if r, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", opened(t, host+"/good:1")); err == nil {
			t.Errorf("%s at the registry, known: %s", name, r.Verdict)
		}
	}
}

// packed is the tar of a folder.
func packed(t *testing.T, dir string) string {
	t.Helper()
	files := map[string]imagetest.Entry{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		files[rel] = imagetest.Entry{Data: string(data)}
		return err
	})
	file := filepath.Join(t.TempDir(), "layout.tar")
	if err := errors.Join(err, os.WriteFile(file, imagetest.Files(files), 0o600)); err != nil {
		t.Fatal(err)
	}
	return file
}

func clearDir(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, n := range names {
		err = errors.Join(err, os.Remove(n))
	}
	if err != nil {
		t.Fatal(err)
	}
}
