// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

var fuzzArchive = imagetest.Files(map[string]imagetest.Entry{
	"usr/lib/libcuda.so.1": imagetest.File(stubCUDA), "usr/lib/.wh.x": {}, "a": {Symlink: "b"}, "c": {Link: "usr/lib/libcuda.so.1"},
	"var/lib/dpkg/status": {Data: "Package: libcuda1\nStatus: install ok installed\n\n"}, "dev/nvidia0": {Device: &imagetest.Device{Major: 195}},
	"var/lib/dpkg/info/x.list": {Data: "/usr/lib/libcuda.so.1\n"},
})

// FuzzArchive asserts that findings stay bounded by the entries an archive can hold.
func FuzzArchive(f *testing.F) {
	f.Add(fuzzArchive)
	f.Fuzz(func(t *testing.T, data []byte) {
		hits, _ := verify.ScanArchive(bytes.NewReader(data), verify.Options{MaxEntries: 10_000})
		if hits > len(data)/256+1 {
			t.Errorf("%d findings in %d bytes", hits, len(data))
		}
	})
}

// FuzzLayer asserts of any blob: no error (its bytes could be read), a verdict,
// and "pass" or "warn" only if the content is what the config promised. Coverage of
// its goroutines is unsteady: run it with -fuzzminimizetime=1x.
func FuzzLayer(f *testing.F) {
	for _, enc := range []imagetest.Encoding{imagetest.Plain, imagetest.Gzip, imagetest.Zstd} {
		f.Add(imagetest.Encode(enc, fuzzArchive), false)
		f.Add(imagetest.Encode(enc, fuzzArchive), true)
	}
	opts := verify.Options{MaxLayerBytes: 16 << 20, MaxEntries: 10_000}
	f.Fuzz(func(t *testing.T, data []byte, wrong bool) {
		b := &imagetest.Blob{Data: data, Want: imagetest.Digest(data), Diff: imagetest.Digest(data), Type: "application/vnd.oci.image.layer.v1.tar"}
		if wrong {
			b.Diff = imagetest.Digest(nil)
		}
		report, err := verify.New(opts).Image(t.Context(), "x", imagetest.New(b))
		if err != nil {
			t.Fatalf("Image: %v", err)
		}
		passed := report.Verdict == verify.Pass || report.Verdict == verify.Warn
		if passed && wrong && len(data) > 0 {
			t.Errorf("verdict %s with a wrong diff ID", report.Verdict)
		}
		if report.Verdict != verify.Pass && len(report.Findings) == 0 {
			t.Errorf("verdict %q without a finding", report.Verdict)
		}
	})
}
