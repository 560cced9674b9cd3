// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

var errReset = errors.New("connection reset")

// breaksOff fails the first times that it is opened, in the middle of the blob.
func breaksOff(b *imagetest.Blob, times int32) *atomic.Int32 {
	var opened atomic.Int32
	b.Reader = func(data []byte) io.ReadCloser {
		if opened.Add(1) <= times {
			return io.NopCloser(io.MultiReader(bytes.NewReader(data[:len(data)/2]), readerFunc(func([]byte) (int, error) { return 0, errReset })))
		}
		return io.NopCloser(bytes.NewReader(data))
	}
	return &opened
}

// TestCutLayers cuts blobs that decode to nothing, so that only the decoder can notice: a cut
// is fine between two members or frames and nowhere else.
func TestCutLayers(t *testing.T) {
	t.Parallel()
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	z.Name, z.Comment, z.Extra = "name", "comment", []byte("extra")
	_ = z.Close()
	frame := []byte("\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51") // as zstd(1) compresses nothing
	skipped := []byte("\x50\x2a\x4d\x18\x02\x00\x00\x00xx")
	for kind, parts := range map[types.MediaType][][]byte{types.OCILayer: {member.Bytes(), member.Bytes()}, types.OCILayerZStd: {frame, skipped, frame}} {
		whole := slices.Concat(parts...)
		ends, end := map[int]bool{}, 0
		for _, p := range parts {
			end += len(p)
			ends[end] = true
		}
		for i := 1; i <= len(whole); i++ {
			want := verify.Unknown
			if ends[i] {
				want = verify.Pass
			}
			b := &imagetest.Blob{Data: whole[:i], Want: imagetest.Digest(whole[:i]), Diff: imagetest.Digest(nil), Type: kind}
			if report := judge(t, imagetest.New(b)); report.Verdict != want {
				t.Errorf("%s, %d of %d bytes: verdict %s %+v, want %s", kind, i, len(whole), report.Verdict, report.Findings, want)
			}
		}
	}
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		b := layer(map[string]imagetest.Entry{"usr/lib/libcuda.so.1": {Data: "x"}})
		opened := breaksOff(b, 2)
		if report := judge(t, imagetest.New(b)); report.Verdict != verify.Fail || opened.Load() != 3 {
			t.Errorf("verdict %s after %d tries, want fail after 3", report.Verdict, opened.Load())
		}
		if waited := time.Since(begun); waited < 4*time.Second || waited > 5*time.Second {
			t.Errorf("waited %v, want the pauses of 1 and 3 seconds", waited)
		}
		opened = breaksOff(b, 100)
		_, err := verify.New(verify.Options{}).Image(t.Context(), "x", imagetest.New(b))
		if !errors.Is(err, errReset) || !strings.Contains(err.Error(), "broke off after ") || opened.Load() != 3 {
			t.Errorf("Image = %v after %d tries, want %v after 3", err, opened.Load(), errReset)
		}
	})
}

// hanging gives its data and then nothing, until it is closed.
type hanging struct {
	data   io.Reader
	closed chan struct{}
	once   sync.Once
}

func (h *hanging) Read(p []byte) (int, error) {
	if n, err := h.data.Read(p); err == nil {
		return n, nil
	}
	<-h.closed
	return 0, os.ErrClosed
}

func (h *hanging) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// TestStoppedReading holds that a verdict that is clear before the end of the blob
// is not mistaken for a blob that broke off.
func TestStoppedReading(t *testing.T) {
	t.Parallel()
	b := imagetest.Layer(imagetest.Plain, imagetest.Files(map[string]imagetest.Entry{"a": {}, "b": {}, "c": {Data: strings.Repeat("x", 1<<20)}}))
	b.Reader = func(data []byte) io.ReadCloser {
		return &hanging{data: bytes.NewReader(data[:len(data)-1]), closed: make(chan struct{})}
	}
	report, err := verify.New(verify.Options{MaxEntries: 1}).Image(t.Context(), "x", imagetest.New(b))
	if err != nil || report.Verdict != verify.Unknown {
		t.Errorf("Image = %s, %v, want unknown because of the limit", report.Verdict, err)
	}
}

func TestStalledConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		b := layer(map[string]imagetest.Entry{"a": {Data: "x"}})
		b.Reader = func(data []byte) io.ReadCloser {
			return &hanging{data: bytes.NewReader(data[:20]), closed: make(chan struct{})}
		}
		_, err := verify.New(verify.Options{}).Image(t.Context(), "x", imagetest.New(b))
		if err == nil || !strings.Contains(err.Error(), "broke off after 20 of") || !strings.Contains(err.Error(), "no data for 1m0s") {
			t.Errorf("Image = %v", err)
		}
		if waited := time.Since(begun); waited < 3*time.Minute || waited > 4*time.Minute {
			t.Errorf("gave up after %v, want three times a minute and the pauses", waited)
		}
	})
}

// TestZstdWindows holds that frames of up to 128 MiB of window are read, and that one
// may claim more without getting it.
func TestZstdWindows(t *testing.T) {
	t.Parallel()
	files := imagetest.Files(map[string]imagetest.Entry{"a": {Data: strings.Repeat("x", 1<<20)}})
	for window, want := range map[int]verify.Verdict{1 << 20: verify.Pass, 16 << 20: verify.Pass, 128 << 20: verify.Pass, 256 << 20: verify.Unknown} {
		t.Run(fmt.Sprint(window>>20), func(t *testing.T) {
			t.Parallel()
			var buf bytes.Buffer
			z, err := zstd.NewWriter(&buf, zstd.WithWindowSize(window))
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range [][]byte{files[:1000], files[1000:]} { // flushed, so that the size stays unknown and the window counts
				_, _ = z.Write(part)
				if err := z.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			b := &imagetest.Blob{Data: buf.Bytes(), Want: imagetest.Digest(buf.Bytes()), Diff: imagetest.Digest(files), Type: "application/vnd.oci.image.layer.v1.tar+zstd"}
			if report := judge(t, imagetest.New(b)); report.Verdict != want {
				t.Errorf("verdict %s, want %s: %+v", report.Verdict, want, report.Findings)
			}
		})
	}
}

// retyped is an image with other media types of layers.
type retyped struct {
	v1.Image
	mediaType types.MediaType
}

func (r retyped) Manifest() (*v1.Manifest, error) {
	m, err := r.Image.Manifest()
	if err != nil {
		return nil, err
	}
	m = m.DeepCopy()
	for i := range m.Layers {
		m.Layers[i].MediaType = r.mediaType
	}
	return m, nil
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	archive := imagetest.Files(map[string]imagetest.Entry{"a": {Data: "x"}})
	for _, tc := range []struct {
		mediaType string
		encoding  imagetest.Encoding
		want      verify.Verdict
	}{
		{"application/vnd.oci.image.layer.v1.tar", imagetest.Plain, verify.Pass},
		{"application/vnd.oci.image.layer.v1.tar+gzip", imagetest.Gzip, verify.Pass},
		{"application/vnd.oci.image.layer.v1.tar+zstd", imagetest.Zstd, verify.Pass},
		{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", imagetest.Gzip, verify.Pass},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", imagetest.Gzip, verify.Pass},
		{"application/vnd.docker.image.rootfs.diff.tar.zstd", imagetest.Zstd, verify.Pass},
		{"application/vnd.docker.image.rootfs.diff.tar", imagetest.Plain, verify.Pass},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", imagetest.Zstd, verify.Warn},
		{"application/vnd.oci.image.layer.v1.tar", imagetest.Gzip, verify.Warn},
		{"application/vnd.oci.image.layer.v1.tar+gzip", imagetest.Plain, verify.Warn},
		{"application/vnd.oci.image.layer.v1.tar+gzip+encrypted", imagetest.Gzip, verify.Unknown},
		{"application/vnd.oci.image.layer.v1.squashfs", imagetest.Plain, verify.Unknown},
		{"application/vnd.oci.image.layer.v1.tar+lz4", imagetest.Plain, verify.Unknown},
		{"text/plain", imagetest.Plain, verify.Unknown},
		{"", imagetest.Gzip, verify.Unknown},
	} {
		img := retyped{imagetest.New(imagetest.Layer(tc.encoding, archive)), types.MediaType(tc.mediaType)}
		if report := judge(t, img); report.Verdict != tc.want {
			t.Errorf("%q with %s: verdict %s, want %s: %+v", tc.mediaType, tc.encoding, report.Verdict, tc.want, report.Findings)
		}
	}
}

func TestForeignLayersAreNotRead(t *testing.T) {
	t.Parallel()
	b := layer(map[string]imagetest.Entry{"a": {Data: "x"}})
	b.URLs = []string{"https://example.com/layer.tar.gz"}
	b.Opened = func() { t.Error("the layer was opened") }
	report := judge(t, imagetest.New(b, layer(map[string]imagetest.Entry{"b": {Data: "x"}})))
	if report.Verdict != verify.Unknown || len(report.Findings) != 1 || report.Findings[0].Layer.Index != 0 {
		t.Errorf("verdict %s, findings %+v, want unknown because of layer 0", report.Verdict, report.Findings)
	}
}

func TestKnownBlobsMustBeThere(t *testing.T) {
	t.Parallel()
	opts := verify.Options{CacheDir: ownDir(t)}
	b := layer(map[string]imagetest.Entry{"a": {Data: "x"}})
	img := imagetest.New(b)
	if report, err := verify.New(opts).Image(t.Context(), "x", img); err != nil || report.Verdict != verify.Pass {
		t.Fatalf("Image = %s, %v", report.Verdict, err)
	}
	b.Gone = true
	if _, err := verify.New(opts).Image(t.Context(), "x", img); err == nil || !strings.Contains(err.Error(), "blob is missing") {
		t.Errorf("Image with a missing blob = %v", err)
	}
}

// TestDamagedFactsAreNotUsed changes every byte of a cached file in turn.
func TestDamagedFactsAreNotUsed(t *testing.T) {
	t.Parallel()
	dir := ownDir(t)
	b := layer(map[string]imagetest.Entry{"usr/lib/libcuda.so.1": {Data: "x"}, "b": {Symlink: "c"}})
	img := imagetest.New(b)
	read := func() verify.Report {
		report, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", img)
		if err != nil || report.Verdict != verify.Fail {
			t.Fatalf("Image = %s, %v", report.Verdict, err)
		}
		return report
	}
	read()
	if read().Stats.BytesRead != 0 {
		t.Error("nothing came from the cache")
	}
	files, err := fs.Glob(os.DirFS(dir), "*.facts")
	if err != nil || len(files) != 1 {
		t.Fatalf("cache holds %q, %v, want one file", files, err)
	}
	file := filepath.Join(dir, files[0])
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) + 1 {
		bad := bytes.Clone(good)
		if i < len(good) {
			bad[i] ^= 1
		} else {
			bad = bad[:i-8] // the last path is gone
		}
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if read().Stats.BytesRead == 0 {
			t.Fatalf("byte %d is damaged, and the file was used", i)
		}
	}
}

func TestOldFactsAreSwept(t *testing.T) {
	t.Parallel()
	dir := ownDir(t)
	old := time.Now().Add(-30 * 24 * time.Hour)
	names := []string{"sha256-aa.0123456789abcdef.facts", "sha256-bb." + verify.Build() + ".facts", ".facts-123", "mine.txt"}
	for _, name := range names {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chtimes(file, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	img := imagetest.New(layer(map[string]imagetest.Entry{"a": {Data: "x"}}))
	if _, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", img); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		_, err := os.Stat(filepath.Join(dir, name))
		if kept := i == 1 || i == 3; kept != (err == nil) {
			t.Errorf("%s: %v, want kept: %t", name, err, kept)
		}
	}
}
