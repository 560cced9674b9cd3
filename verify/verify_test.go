// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

func layer(files map[string]imagetest.Entry) *imagetest.Blob {
	return imagetest.Layer(imagetest.Gzip, imagetest.Files(files))
}

func judge(t *testing.T, img v1.Image) verify.Report {
	t.Helper()
	report, err := verify.New(verify.Options{}).Image(t.Context(), "test", img)
	if err != nil {
		t.Fatalf("Image: %v", err)
	}
	return report
}

// brief is what most tests compare of a finding.
type brief struct {
	Rule, Path string
	Layer      int
	DeletedIn  int // -1 is none
}

func briefly(findings []verify.Finding) []brief {
	var got []brief
	for _, f := range findings {
		b := brief{Rule: f.Rule, Path: f.Path, Layer: f.Layer.Index, DeletedIn: -1}
		if f.DeletedIn != nil {
			b.DeletedIn = *f.DeletedIn
		}
		got = append(got, b)
	}
	return got
}

func TestLayers(t *testing.T) {
	t.Parallel()
	lib := imagetest.File(realLibrary("libcuda.so.1", "cuInit", "cuDriverGetVersion", "cuGetExportTable", "cudbgIpcFlag"))
	elf := imagetest.Entry{Data: string(imagetest.ELF{}.Bytes()), Mode: 0o755}
	const name = "usr/lib/libcuda.so.550.54.15"
	type files = map[string]imagetest.Entry
	for _, tc := range []struct {
		name   string
		layers []files
		want   []brief
	}{
		{"clean", []files{{"etc/passwd": {Data: "root"}}}, nil},
		{"plain", []files{{name: lib}}, []brief{{"driver-library", name, 0, -1}}},
		{"deleted later", []files{{name: lib}, {"usr/lib/.wh.libcuda.so.550.54.15": {}}}, []brief{{"driver-library", name, 0, 1}}},
		{"directory deleted later", []files{{name: lib}, {}, {"usr/.wh.lib": {}}}, []brief{{"driver-library", name, 0, 2}}},
		{"opaque later", []files{{name: lib}, {"usr/lib/.wh..wh..opq": {}}}, []brief{{"driver-library", name, 0, 1}}},
		{"opaque in the same layer", []files{{name: lib, "usr/lib/.wh..wh..opq": {}}}, []brief{{"driver-library", name, 0, -1}}},
		{"overlay whiteout", []files{{name: lib}, {name: {Device: &imagetest.Device{}}}}, []brief{{"driver-library", name, 0, 1}}},
		{"overwritten later", []files{{name: lib}, {name: {Data: ""}}}, []brief{{"driver-library", name, 0, 1}, {"mount-point", name, 1, -1}}},
		{"directory replaced by a link", []files{{name: lib}, {"usr": {Symlink: "opt"}}}, []brief{{"driver-library", name, 0, 1}}},
		{"auditwheel", []files{{"opt/x.libs/libcuda-1a2b3c4d.so.550": {Data: "x"}}}, []brief{{"driver-library", "opt/x.libs/libcuda-1a2b3c4d.so.550", 0, -1}}},
		{"SONAME only", []files{{"opt/helper.bin": imagetest.File(realLibrary("libcuda-1a2b3c4d.so.1"))}}, []brief{{"driver-library", "opt/helper.bin", 0, -1}}},
		{"hard link", []files{{"a.bin": lib, "b.bin": {Link: "a.bin"}}}, []brief{{"driver-library", "a.bin", 0, -1}, {"driver-library", "b.bin", 0, -1}}},
		{"hard link to a lower layer", []files{{"a.bin": lib}, {"b.bin": {Link: "a.bin"}}}, []brief{{"driver-library", "a.bin", 0, -1}, {"driver-library", "b.bin", 1, -1}}},
		{"link to a library", []files{{name: lib, "usr/lib/libcuda.so.1": {Symlink: "libcuda.so.550.54.15"}}}, []brief{{"driver-library", "usr/lib/libcuda.so.1", 0, -1}, {"driver-library", name, 0, -1}}},
		{"dangling link", []files{{"usr/lib/libcuda.so.1": {Symlink: "libcuda.so.550.54.15"}}}, []brief{{"mount-point", "usr/lib/libcuda.so.1", 0, -1}}},
		{"hard link to a lower layer's part of a finding", []files{{"usr/src/nvidia-550.54.15/nv.o_binary": {Data: "#"}}, {"b.bin": {Link: "usr/src/nvidia-550.54.15/nv.o_binary"}}}, []brief{{"kernel-module", "usr/src/nvidia-550.54.15", 0, -1}, {"kernel-module", "b.bin", 1, -1}}},
		{"link to a lower layer's library", []files{{name: lib}, {"usr/lib/libcuda.so.1": {Symlink: "libcuda.so.550.54.15"}}}, []brief{{"driver-library", name, 0, -1}, {"driver-library", "usr/lib/libcuda.so.1", 1, -1}}},
		{"link to a stub", []files{{"cuda/stubs/libcuda.so": imagetest.File(stubCUDA), "usr/lib/libcuda.so.1": {Symlink: "/cuda/stubs/libcuda.so"}}}, []brief{{"stub-loaded", "cuda/stubs/libcuda.so", 0, -1}, {"stub-misplaced", "usr/lib/libcuda.so.1", 0, -1}}},
		{"versioned link in stubs", []files{{"cuda/stubs/libcuda.so": imagetest.File(stubCUDA), "cuda/stubs/libcuda.so.1": {Symlink: "libcuda.so"}}}, []brief{{"stub-misplaced", "cuda/stubs/libcuda.so.1", 0, -1}}},
		{"real library in stubs", []files{{"cuda/stubs/libcuda.so": lib}}, []brief{{"driver-library", "cuda/stubs/libcuda.so", 0, -1}}},
		{"compat through a link to the toolkit", []files{{"usr/local/cuda": {Symlink: "cuda-12.4"}}, {"usr/local/cuda/compat/libcuda.so.1": lib}}, []brief{{"forward-compat", "usr/local/cuda/compat/libcuda.so.1", 1, -1}}},
		{"compat is a link elsewhere", []files{{"usr/local/cuda/compat": {Symlink: "../../lib"}}, {"usr/local/cuda/compat/libcuda.so.1": lib}}, []brief{{"driver-library", "usr/local/cuda/compat/libcuda.so.1", 1, -1}}},
		{"compat was a link elsewhere", []files{{"usr/local/cuda/compat": {Symlink: "/opt"}}, {"usr/local/cuda/compat/libcuda.so.1": lib}, {"usr/local/cuda/.wh.compat": {}}}, []brief{{"driver-library", "usr/local/cuda/compat/libcuda.so.1", 1, 2}}},
		{"whiteouts with content", []files{{"opt/.wh.a": lib, "opt/.wh..wh..opq": lib, "opt/.wh..wh.x": lib, "b": {Link: "opt/.wh.a"}}}, []brief{{"driver-library", "b", 0, -1}, {"driver-library", "opt/.wh..wh..opq", 0, -1}, {"driver-library", "opt/.wh..wh.x", 0, -1}, {"driver-library", "opt/.wh.a", 0, -1}}},
		{"compat library elsewhere", []files{{"usr/local/compat/libcuda.so.1": lib}}, []brief{{"driver-library", "usr/local/compat/libcuda.so.1", 0, -1}}},
		{"not of the compat package", []files{{"usr/local/cuda/compat/libnvidia-ml.so.1": {Data: "x"}}}, []brief{{"driver-library", "usr/local/cuda/compat/libnvidia-ml.so.1", 0, -1}}},
		{"odd names", []files{{"./../usr//lib/x/../libnvidia-ml.so.1": {Data: "x"}}}, []brief{{"driver-library", "usr/lib/libnvidia-ml.so.1", 0, -1}}},
		{"device by number", []files{{"opt/d": {Device: &imagetest.Device{Major: 195, Minor: 3}}}}, []brief{{"device-node", "opt/d", 0, -1}}},
		{"socket as mount point", []files{{"run/nvidia-persistenced/socket": {}}}, []brief{{"mount-point", "run/nvidia-persistenced/socket", 0, -1}}},
		{"program", []files{{"usr/lib/x/nvidia-smi": elf}}, []brief{{"driver-program", "usr/lib/x/nvidia-smi", 0, -1}}},
		{"link to a program", []files{{"usr/bin/nvidia-smi": {Symlink: "/lib/nvidia/nvidia-smi"}}, {"usr/lib/nvidia/nvidia-smi": elf}}, []brief{{"driver-program", "usr/bin/nvidia-smi", 0, -1}, {"driver-program", "usr/lib/nvidia/nvidia-smi", 1, -1}}},
		{"links to a program", []files{{"usr/bin/nvidia-smi": {Symlink: "../lib/nvidia-smi"}, "usr/lib/nvidia-smi": {Symlink: "x/nvidia-smi"}, "usr/lib/x/nvidia-smi": elf}}, []brief{{"driver-program", "usr/bin/nvidia-smi", 0, -1}, {"driver-program", "usr/lib/nvidia-smi", 0, -1}, {"driver-program", "usr/lib/x/nvidia-smi", 0, -1}}},
		{"dangling link of a program", []files{{"usr/bin/nvidia-smi": {Symlink: "/opt/gone"}}}, []brief{{"mount-point", "usr/bin/nvidia-smi", 0, -1}}},
		{"programs as mount points", []files{{"usr/sbin/nvidia-smi": {}, "usr/lib/nvidia/current/nvidia-debugdump": {}}}, []brief{{"mount-point", "usr/lib/nvidia/current/nvidia-debugdump", 0, -1}, {"mount-point", "usr/sbin/nvidia-smi", 0, -1}}},
		{"firmware as mount point", []files{{"lib/firmware/6.1/nvidia/gsp_tu10x.bin": {}}}, []brief{{"mount-point", "lib/firmware/6.1/nvidia/gsp_tu10x.bin", 0, -1}}},
		{"a program that is a script", []files{{"opt/nvidia-bug-report.sh": {Data: "#!/bin/sh\n"}}}, []brief{{"driver-program", "opt/nvidia-bug-report.sh", 0, -1}}},
		{"a program in a zip, by its name", []files{{"x.zip": imagetest.File(zipFile(false, map[string][]byte{"a/nvidia-smi": make([]byte, 5000)}))}}, []brief{{"driver-program", "x.zip!/a/nvidia-smi", 0, -1}}},
		{"volume of nvidia-docker", []files{{"usr/local/nvidia/bin/tool": {Data: "x"}}}, []brief{{"driver-data", "usr/local/nvidia/bin/tool", 0, -1}}},
		{"driver sources are one finding", []files{{"usr/src/nvidia-550.54.15/a.c": {Data: "x"}, "usr/src/nvidia-550.54.15/b.c": {Data: "x"}}}, []brief{{"kernel-module", "usr/src/nvidia-550.54.15", 0, -1}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var layers []*imagetest.Blob
			for _, f := range tc.layers {
				layers = append(layers, layer(f))
			}
			report := judge(t, imagetest.New(layers...))
			if diff := cmp.Diff(tc.want, briefly(report.Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%+v", diff, report.Findings)
			}
		})
	}
}

func TestFindingNamesLayerAndPackage(t *testing.T) {
	t.Parallel()
	img := imagetest.New(
		layer(map[string]imagetest.Entry{"etc/os-release": {Data: "x"}}),
		layer(map[string]imagetest.Entry{
			"usr/lib/libcuda.so.550.54.15":          imagetest.File(realLibrary("libcuda.so.1")),
			"var/lib/dpkg/info/libcuda1:amd64.list": {Data: "/.\n/usr\n/usr/lib\n/usr/lib/libcuda.so.550.54.15\n"},
			"var/lib/dpkg/status":                   {Data: "Package: libcuda1\nStatus: install ok installed\nVersion: 550.54.15-1\n\nPackage: guard\nStatus: install ok installed\nProvides: libcuda1\n"},
		}))
	report := judge(t, img)
	if len(report.Findings) != 2 {
		t.Fatalf("findings %+v, want two", report.Findings)
	}
	f := report.Findings[0]
	if want := "libcuda of driver 550.54.15 (by file name, SONAME), package libcuda1 550.54.15-1"; f.Detail != want {
		t.Errorf("detail %q, want %q", f.Detail, want)
	}
	if f.Layer.CreatedBy != "RUN step 1" || f.Layer.Index != 1 {
		t.Errorf("layer %+v, want index 1 made by RUN step 1", f.Layer)
	}
	if report.Platform != "linux/amd64" || report.Rules != verify.RulesVersion() {
		t.Errorf("platform %q, rules %q", report.Platform, report.Rules)
	}
}

func TestPackages(t *testing.T) {
	t.Parallel()
	const installed = "Package: nvidia-smi\nStatus: install ok installed\nVersion: 1\n\n"
	const removed = "Package: nvidia-smi\nStatus: deinstall ok config-files\nVersion: 1\n\n"
	status := func(s string) *imagetest.Blob {
		return layer(map[string]imagetest.Entry{"var/lib/dpkg/status": {Data: s}})
	}
	for _, tc := range []struct {
		name   string
		layers []*imagetest.Blob
		want   []brief
	}{
		{"reported once", []*imagetest.Blob{status(installed), status(installed)}, []brief{{"driver-package", "var/lib/dpkg/status", 0, -1}}},
		{"purged later", []*imagetest.Blob{status(installed), status(removed)}, []brief{{"driver-package", "var/lib/dpkg/status", 0, 1}}},
		{"removed before", []*imagetest.Blob{status(removed)}, nil},
		{"distroless", []*imagetest.Blob{layer(map[string]imagetest.Entry{"var/lib/dpkg/status.d/x": {Data: "Package: libcuda1\nVersion: 2\n"}})}, []brief{{"driver-package", "var/lib/dpkg/status.d/x", 0, -1}}},
		{"a name that is provided only", []*imagetest.Blob{status("Package: cudabuild-driver-guard\nStatus: install ok installed\nProvides: libcuda1, nvidia-smi\nConflicts: libcuda1\n")}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, briefly(judge(t, imagetest.New(tc.layers...)).Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHostileLayers(t *testing.T) {
	t.Parallel()
	clean := imagetest.Files(map[string]imagetest.Entry{"a": {Data: strings.Repeat("x", 1000)}})
	second := imagetest.Files(map[string]imagetest.Entry{"usr/lib/libcuda.so.1": {Data: "x"}})
	gz := imagetest.Encode(imagetest.Gzip, clean)
	blob := func(data, raw []byte) *imagetest.Blob {
		return &imagetest.Blob{Data: data, Want: imagetest.Digest(data), Diff: imagetest.Digest(raw), Type: "application/vnd.oci.image.layer.v1.tar+gzip"}
	}
	lying := func(change func(*imagetest.Blob)) *imagetest.Blob {
		b := blob(gz, clean)
		change(b)
		return b
	}
	long := append(bytes.Clone(clean), second...)
	for name, b := range map[string]*imagetest.Blob{
		"wrong digest":              lying(func(b *imagetest.Blob) { b.Want = imagetest.Digest(nil) }),
		"wrong diff ID":             lying(func(b *imagetest.Blob) { b.Diff = imagetest.Digest(nil) }),
		"second archive behind end": blob(imagetest.Encode(imagetest.Zstd, long), long),
		"truncated gzip":            blob(gz[:len(gz)-12], clean),
		"garbage behind gzip":       blob(append(bytes.Clone(gz), "garbage"...), clean),
		"truncated zstd":            blob(imagetest.Encode(imagetest.Zstd, clean)[:30], clean),
		"truncated archive":         blob(clean[:700], clean[:700]),
		"not an archive":            blob([]byte(strings.Repeat("hello", 1000)), nil),
		"endless name":              layer(map[string]imagetest.Entry{strings.Repeat("a/", 10_000) + "x": {Data: "x"}}),
		"claims 2^62 bytes":         blob(hugeClaim(), hugeClaim()),
		"broken ELF":                layer(map[string]imagetest.Entry{"x.so": imagetest.File(brokenELF)}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, imagetest.New(b))
			unreadable := func(f verify.Finding) bool { return f.Rule == "unreadable" }
			if report.Verdict != verify.Unknown || !slices.ContainsFunc(report.Findings, unreadable) {
				t.Errorf("verdict %s, findings %+v, want unknown because unreadable", report.Verdict, report.Findings)
			}
		})
	}
}

func hugeClaim() []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	_ = w.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: 1 << 62, Format: tar.FormatGNU})
	return buf.Bytes()
}

// sparseFile is an archive of a sparse file (the old GNU format) of 4 TB, of which it
// holds nothing.
func sparseFile() []byte {
	var b [3 * 512]byte
	copy(b[:], "big")
	copy(b[124:], "00000000000") // bytes in the archive
	copy(b[148:], "        ")    // the checksum counts as spaces
	b[156] = 'S'
	copy(b[257:], "ustar  ")
	copy(b[386:], "000000000000")                                // the first piece: where,
	copy(b[398:], "000000000000")                                // and how long
	copy(b[483:], []byte{0x80, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0}) // its size
	var sum int
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b[:]
}

// Zeros that no archive holds would be read for hours.
func TestSparseFile(t *testing.T) {
	t.Parallel()
	report := judge(t, imagetest.New(imagetest.Layer(imagetest.Gzip, sparseFile())))
	if report.Verdict != verify.Unknown || len(report.Findings) != 1 || !strings.Contains(report.Findings[0].Detail, "sparse files") {
		t.Errorf("verdict %s, findings %+v, want unknown for its size", report.Verdict, report.Findings)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	img := imagetest.New(layer(map[string]imagetest.Entry{"a": {Data: strings.Repeat("x", 4<<20)}, "b": {}}))
	for name, opts := range map[string]verify.Options{
		"bytes":   {MaxLayerBytes: 1 << 20},
		"entries": {MaxEntries: 1},
		"ratio":   {MaxRatioAfter: 1, MaxRatio: 2},
	} {
		report, err := verify.New(opts).Image(t.Context(), "x", img)
		if err != nil || report.Verdict != verify.Unknown {
			t.Errorf("%s: verdict %s, error %v, want unknown", name, report.Verdict, err)
		}
	}
}

// TestLargestLayer is as large as may be, whatever its blob has: what cannot be made smaller grows.
func TestLargestLayer(t *testing.T) {
	t.Parallel()
	data := make([]byte, 2<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	archive := imagetest.Files(entries{"a": {Data: string(data)}})
	for _, enc := range []imagetest.Encoding{imagetest.Gzip, imagetest.Zstd, imagetest.Plain} {
		for over, want := range map[int64]verify.Verdict{0: verify.Pass, 1: verify.Unknown} {
			v := verify.New(verify.Options{MaxLayerBytes: int64(len(archive)) - over})
			if r, err := v.Image(t.Context(), "x", imagetest.New(imagetest.Layer(enc, archive))); err != nil || r.Verdict != want {
				t.Errorf("%v, %d bytes over: %s, %v, want %s", enc, over, r.Verdict, err, want)
			}
		}
	}
}

func TestUnreadableSourceIsAnError(t *testing.T) {
	t.Parallel()
	b := layer(map[string]imagetest.Entry{"a": {Data: "x"}})
	broken := errors.New("connection reset")
	b.Reader = func(data []byte) io.ReadCloser {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[:20]), readerFunc(func([]byte) (int, error) { return 0, broken })))
	}
	report, err := verify.New(verify.Options{}).Image(t.Context(), "x", imagetest.New(b))
	if !errors.Is(err, broken) || report.Verdict != "" {
		t.Errorf("Image = %+v, %v, want only the error %v", report, err, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.New(verify.Options{}).Image(ctx, "x", imagetest.New(layer(nil))); !errors.Is(err, context.Canceled) {
		t.Errorf("Image with a cancelled context: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestSharedLayersAreReadOnce(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	shared := layer(map[string]imagetest.Entry{"usr/lib/libcuda.so.1": {Data: "x"}})
	shared.Opened = func() { opened.Add(1) }
	dir := ownDir(t)
	v := verify.New(verify.Options{CacheDir: dir})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if r, err := v.Image(t.Context(), "x", imagetest.New(shared)); err != nil || r.Verdict != verify.Fail {
				t.Errorf("Image = %s, %v", r.Verdict, err)
			}
		})
	}
	wg.Wait()
	again, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", imagetest.New(shared))
	if err != nil || again.Verdict != verify.Fail || again.Stats.BytesRead != 0 || again.Stats.BytesCached == 0 {
		t.Errorf("from the cache: %+v, %v", again, err)
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("the layer was opened %d times, want once", n)
	}
}
