// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// maxRSS bounds the memory of `cudabuild verify` on any image, in bytes: promise 5 of
// docs/verify.md, of which two processors have some left.
func maxRSS() float64 {
	if inFlight := runtime.GOMAXPROCS(0); inFlight > 2 {
		return 200e6 + 60e6*float64(min(inFlight, 6))
	}
	return 300e6
}

// TestVerifyMemory judges large and hostile images with the program itself, and
// looks at the memory that the kernel says it took.
func TestVerifyMemory(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "cudabuild")
	if r := run(t, "go", "build", "-o", program, "../cmd/cudabuild"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	driver := imagetest.ELF{SOName: "libcuda.so.1", Exports: []string{"cuInit", "cuDriverGetVersion", "cuGetExportTable", "cudbgIpcFlag"}, Exec: 300 << 10}.Bytes()
	leak := func(w *tar.Writer) { imagetest.Tar(w, "opt/leak.bin", imagetest.File(driver)) }
	late := imagetest.ELF{SOName: "libx.so", Exports: []string{"cuInit", "cuDriverGetVersion", "cuGetExportTable", "cudbgIpcFlag"}, Exec: 60 << 20, TablesLast: true}.Bytes()
	long := strings.Repeat("n/", 2000)
	random := make([]byte, 80<<20) // fills each window, decoded or not
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	packed := func(w *tar.Writer, times int) {
		var data bytes.Buffer
		inner := tar.NewWriter(&data)
		imagetest.Tar(inner, "some.bin", imagetest.File(random))
		imagetest.Tar(inner, "leak.bin", imagetest.File(driver))
		_ = inner.Close()
		for range times {
			packed := slices.Clone(data.Bytes())
			data.Reset()
			z, _ := zstd.NewWriter(&data, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(64<<20), zstd.WithEncoderConcurrency(1))
			_, _ = z.Write(packed)
			_ = z.Close()
		}
		imagetest.Tar(w, "x.tar.zst", imagetest.File(data.Bytes()))
	}
	nested := []string{"--nested"}
	for _, tc := range []struct {
		name   string
		layers []func(w *tar.Writer)
		window int
		want   string
		flags  []string
	}{
		{"an ELF file of 2 GB", []func(*tar.Writer){func(w *tar.Writer) { bigELF(w, driver, 2<<30) }}, 0, "FAIL", nil},
		{"tables in the middle of an ELF file of 2 GB", []func(*tar.Writer){func(w *tar.Writer) { bigELF(w, late, 2<<30) }}, 0, "FAIL", nil},
		{"ELF files that claim tables of 1 GB", repeat(4, func(w *tar.Writer) {
			for range 3 {
				bigELF(w, endless(late), 200<<20)
			}
		}), 0, "UNKNOWN", nil},
		{"a million entries", []func(*tar.Writer){func(w *tar.Writer) {
			for i := range 1_000_000 {
				if i == 500_000 {
					leak(w)
				}
				imagetest.Tar(w, fmt.Sprintf("usr/share/some/where/%06d", i), imagetest.Entry{})
			}
		}}, 0, "FAIL", nil},
		{"layers with large ELF files", repeat(6, func(w *tar.Writer) { bigELF(w, driver, 47<<20) }), 0, "FAIL", nil},
		{"large windows", repeat(6, leak), 128 << 20, "FAIL", nil},
		{"hard links with long names", []func(*tar.Writer){func(w *tar.Writer) {
			for i := range 10_000 {
				imagetest.Tar(w, fmt.Sprint(long, "a", i), imagetest.Entry{Link: fmt.Sprint(long, "b", i)})
			}
			leak(w)
		}}, 0, "FAIL", nil},
		{"links at driver names", []func(*tar.Writer){func(w *tar.Writer) {
			for i := range 12_000 {
				imagetest.Tar(w, fmt.Sprint(long, i, "/libcuda.so.1"), imagetest.Entry{Symlink: fmt.Sprint(long, "b", i)})
			}
		}}, 0, "FAIL", nil},
		{"findings with long names", []func(*tar.Writer){func(w *tar.Writer) {
			for i := range 12_000 {
				imagetest.Tar(w, fmt.Sprint(long, i, "/libcuda.so.1"), imagetest.Entry{Data: "x"})
			}
		}}, 0, "FAIL", nil},
		{"packages without end", []func(*tar.Writer){func(w *tar.Writer) {
			var status bytes.Buffer
			for i := range 150_000 {
				fmt.Fprintf(&status, "Package: p%d\nStatus: install ok installed\nVersion: %d-%s\n\n", i, i, strings.Repeat("v", 200))
			}
			imagetest.Tar(w, "var/lib/dpkg/status", imagetest.Entry{Data: status.String()})
			imagetest.Tar(w, "var/lib/dpkg/info/p.list", imagetest.Entry{Data: strings.Repeat("/usr/lib/nvidia/"+long[:200]+"\n", 300_000)})
		}}, 0, "PASS", nil},
		{"archives with large windows", repeat(4, func(w *tar.Writer) { packed(w, 1) }), 0, "FAIL", nested},
		{"archives in archives with large windows", repeat(4, func(w *tar.Writer) { packed(w, 3) }), 0, "UNKNOWN", nested},
		{"a name of 900 KiB", []func(*tar.Writer){func(w *tar.Writer) {
			imagetest.Tar(w, strings.Repeat("n/", 450<<10)+"x", imagetest.Entry{Data: "x"})
		}}, 0, "UNKNOWN", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			writeImage(t, dir, tc.layers, tc.window)
			verdict, rss := judgeByProgram(t, program, append(tc.flags, "oci:"+dir)...)
			t.Logf("%s, %.0f MB", verdict, rss/1e6)
			if verdict != tc.want || rss > maxRSS() {
				t.Errorf("verdict %s with %.0f MB, want %s with at most %.0f MB", verdict, rss/1e6, tc.want, maxRSS()/1e6)
			}
		})
	}
}

// repeat gives n layers of their own digest each.
func repeat(n int, write func(*tar.Writer)) (layers []func(*tar.Writer)) {
	for i := range n {
		layers = append(layers, func(w *tar.Writer) {
			imagetest.Tar(w, fmt.Sprint("n", i), imagetest.Entry{})
			write(w)
		})
	}
	return layers
}

// bigELF writes a file of size bytes that begins with a library, compressible.
func bigELF(w *tar.Writer, library []byte, size int64) {
	_ = w.WriteHeader(&tar.Header{Name: "usr/lib/big.so", Mode: 0o755, Size: size})
	_, _ = w.Write(library)
	_, _ = io.CopyN(w, zeros{}, size-int64(len(library)))
}

// endless gives the tables at the end of a library a segment and a hash table of 1 GB.
func endless(library []byte) []byte {
	library = slices.Clone(library)
	le, segment := binary.LittleEndian, library[64:]
	for _, size := range []int{32, 40} { // in the file, in memory
		le.PutUint64(segment[size:], 1<<30)
	}
	tables := library[le.Uint64(segment[8:]):]
	le.PutUint32(tables[bytes.Index(tables, []byte{1, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0}):], 1<<28) // buckets
	return library
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// writeImage makes an OCI layout with one image of zstd layers. Layers go to the
// disk as they are compressed: gigabytes need no memory.
func writeImage(t *testing.T, dir string, layers []func(*tar.Writer), window int) {
	t.Helper()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	var descs []v1.Descriptor
	var diffs []v1.Hash
	for _, write := range layers {
		desc, diff := writeLayer(t, dir, write, window)
		descs, diffs = append(descs, desc), append(diffs, diff)
	}
	config, err := json.Marshal(v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers", DiffIDs: diffs}})
	if err != nil {
		t.Fatal(err)
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: "application/vnd.oci.image.manifest.v1+json", Layers: descs}
	m.Config = v1.Descriptor{MediaType: "application/vnd.oci.image.config.v1+json", Digest: imagetest.Digest(config), Size: int64(len(config))}
	data, err := json.Marshal(m)
	err = errors.Join(err, path.WriteBlob(m.Config.Digest, io.NopCloser(bytes.NewReader(config))), path.WriteBlob(imagetest.Digest(data), io.NopCloser(bytes.NewReader(data))),
		path.AppendDescriptor(v1.Descriptor{MediaType: m.MediaType, Digest: imagetest.Digest(data), Size: int64(len(data))}))
	if err != nil {
		t.Fatal(err)
	}
}

func writeLayer(t *testing.T, dir string, write func(*tar.Writer), window int) (v1.Descriptor, v1.Hash) {
	t.Helper()
	f, err := os.CreateTemp(dir, "layer")
	if err != nil {
		t.Fatal(err)
	}
	blobSum, rawSum := sha256.New(), sha256.New()
	options := []zstd.EOption{zstd.WithEncoderLevel(zstd.SpeedFastest)}
	if window > 0 {
		options = append(options, zstd.WithWindowSize(window))
	}
	z, err := zstd.NewWriter(io.MultiWriter(f, blobSum), options...)
	if err != nil {
		t.Fatal(err)
	}
	raw := bufio.NewWriterSize(io.MultiWriter(z, rawSum), 1<<20)
	w := tar.NewWriter(raw)
	write(w)
	err = errors.Join(w.Close(), raw.Flush(), z.Close())
	size, seekErr := f.Seek(0, io.SeekCurrent)
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(blobSum.Sum(nil))}
	err = errors.Join(err, seekErr, f.Close(), os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755), os.Rename(f.Name(), filepath.Join(dir, "blobs", "sha256", digest.Hex)))
	if err != nil {
		t.Fatal(err)
	}
	return v1.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+zstd", Digest: digest, Size: size}, v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(rawSum.Sum(nil))}
}

// judgeByProgram returns the verdict and the most memory that the program had.
func judgeByProgram(t *testing.T, program string, args ...string) (verdict string, rss float64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, append([]string{"verify"}, args...)...)
	cmd.Env = append(os.Environ(), "CUDABUILD_CACHE_DIR="+filepath.Join(t.TempDir(), "facts"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	for {
		rss = max(rss, peakRSS(cmd.Process.Pid))
		select {
		case <-ended:
			verdict, _, _ = strings.Cut(out.String(), " ")
			return verdict, rss
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// peakRSS is the most that a process has had in memory so far, in bytes. What wait4
// reports of a child includes its parent's memory from before exec.
func peakRSS(pid int) float64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	var kilobytes float64
	_, _ = fmt.Sscan(rest, &kilobytes)
	return kilobytes * 1024
}
