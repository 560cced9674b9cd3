// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// exportable is a store with cuda:x, of a zstd and a gzip layer.
func exportable(t testing.TB) (*image.Store, v1.Image) {
	t.Helper()
	s := openStore(t, t.TempDir())
	img := imagetest.New(layer(imagetest.Zstd, "zstd"), layer(imagetest.Gzip, "gzip"), layer(imagetest.Zstd, "zstd"))
	mustTag(t, s, "cuda:x", put(t, s.Content(), img))
	return s, img
}

func reopen(t testing.TB, ref string) image.Source {
	t.Helper()
	sources, closer, err := image.Open(t.Context(), ref, image.OpenOptions{Platform: "linux/amd64"})
	if err != nil || len(sources) != 1 {
		t.Fatalf("Open(%s) = %v, %v, want one image", ref, sources, err)
	}
	t.Cleanup(func() { _ = closer.Close() })
	return sources[0]
}

func configOf(t testing.TB, img v1.Image) string {
	t.Helper()
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestExportOCI: blobs as they are, so the same digest.
func TestExportOCI(t *testing.T) {
	t.Parallel()
	s, img := exportable(t)
	target := "oci-archive:" + filepath.Join(t.TempDir(), "x.tar")
	if err := s.Export(t.Context(), "cuda:x", target, ""); err != nil {
		t.Fatal(err)
	}
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{target, target + ":x"} {
		if got := reopen(t, ref); got.Digest != want {
			t.Errorf("%s: digest %s, want %s", ref, got.Digest, want)
		}
	}
}

// TestExportDocker: docker reads gzip only; what docker identifies an image by, its
// configuration with the diff IDs, stays the same.
func TestExportDocker(t *testing.T) {
	t.Parallel()
	s, img := exportable(t)
	target := "docker-archive:" + filepath.Join(t.TempDir(), "x.tar")
	if err := s.Export(t.Context(), "cuda:x", target, ""); err != nil {
		t.Fatal(err)
	}
	got := reopen(t, target+":cuda:x").Image
	if diff := cmp.Diff(configOf(t, img), configOf(t, got)); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if err := validate.Image(got); err != nil { // reads each layer and compares its diff ID
		t.Error(err)
	}
	layers, err := got.Layers()
	if err != nil || len(layers) != 3 {
		t.Fatalf("Layers = %v, %v, want 3", layers, err)
	}
	for i, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		magic := make([]byte, 2)
		if _, err := r.Read(magic); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
			t.Errorf("layer %d begins with %x, want gzip", i, magic)
		}
	}
}

// TestExportReplaces: an archive that is there is replaced, whole.
func TestExportReplaces(t *testing.T) {
	t.Parallel()
	s, _ := exportable(t)
	file := filepath.Join(t.TempDir(), "x.tar")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Export(t.Context(), "cuda:x", "oci-archive:"+file, ""); err != nil {
		t.Fatal(err)
	}
	reopen(t, "oci-archive:"+file)
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	s, _ := exportable(t)
	dir := t.TempDir()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	cases := map[string]struct {
		ctx          context.Context
		name, target string
		is           error  // nil: any
		want         string // part of it
	}{
		"transport":      {t.Context(), "cuda:x", "docker-daemon:x", image.ErrTransport, "docker-daemon:x"},
		"no transport":   {t.Context(), "cuda:x", filepath.Join(dir, "x.tar"), image.ErrTransport, "x.tar"},
		"no file":        {t.Context(), "cuda:x", "oci-archive:", image.ErrTransport, "oci-archive:"},
		"no such image":  {t.Context(), "cuda:y", "oci-archive:" + dir + "/y.tar", nil, "cuda:y"},
		"no such folder": {t.Context(), "cuda:x", "oci-archive:" + dir + "/absent/x.tar", os.ErrNotExist, "absent"},
		"cancelled":      {cancelled, "cuda:x", "docker-archive:" + dir + "/x.tar", context.Canceled, ""},
	}
	for name, test := range cases {
		err := s.Export(test.ctx, test.name, test.target, "")
		if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Export = %v, want %v with %q", name, err, test.is, test.want)
		}
	}
	nothingIn(t, dir)
}

// TestExportDamaged: a blob with another content must not leave the house.
func TestExportDamaged(t *testing.T) {
	t.Parallel()
	for _, enc := range []imagetest.Encoding{imagetest.Zstd, imagetest.Gzip} {
		for _, transport := range []string{"docker-archive:", "oci-archive:"} {
			for name, damage := range damages {
				t.Run(name+" "+string(enc)+" "+transport, func(t *testing.T) {
					t.Parallel()
					s := openStore(t, t.TempDir())
					l := layer(enc, "damaged")
					mustTag(t, s, "cuda:x", put(t, s.Content(), imagetest.New(l)))
					damage(t, blobFile(s, digest.Digest(l.Want.String())))
					dir := t.TempDir()
					if err := s.Export(t.Context(), "cuda:x", transport+dir+"/x.tar", ""); err == nil {
						t.Error("Export of a damaged image succeeded")
					}
					nothingIn(t, dir)
				})
			}
		}
	}
}

var damages = map[string]func(testing.TB, string){
	"flipped": func(t testing.TB, path string) {
		rewrite(t, path, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	},
	"flipped head": func(t testing.TB, path string) { rewrite(t, path, func(b []byte) []byte { b[0] ^= 1; return b }) },
	"cut":          func(t testing.TB, path string) { rewrite(t, path, func(b []byte) []byte { return b[:len(b)-1] }) },
	"extended":     func(t testing.TB, path string) { rewrite(t, path, func(b []byte) []byte { return append(b, 0) }) },
	"deleted": func(t testing.TB, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	},
}

func rewrite(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// nothingIn looks for what a failed export has left, hidden files too.
func nothingIn(t testing.TB, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}
