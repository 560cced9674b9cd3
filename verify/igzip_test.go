// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/verify"
)

// TestIgzipOfISAL has the program itself decode, of blobs that come in every way: the report
// is that of our own decoder, and an error in the middle is an error.
func TestIgzipOfISAL(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("igzip")
	if err != nil {
		require.Missing(t, "igzip", err)
	}
	files := imagetest.Files(entries{"usr/lib/libcuda.so.1": imagetest.File(stubCUDA), "a": {Data: noise(5000)}})
	gz := func(b []byte) []byte { return imagetest.Encode(imagetest.Gzip, b) }
	for name, data := range map[string][]byte{
		"good": gz(files), "two members": slices.Concat(gz(files[:2000]), gz(files[2000:])), "cut off": gz(files)[:1000], "garbage behind": append(gz(files), "garbage"...),
	} {
		b := imagetest.Layer(imagetest.Gzip, files)
		b.Data, b.Want = data, imagetest.Digest(data)
		want := judge(t, imagetest.New(b))
		fast := func() *verify.Verifier { // one that knows no layer
			v := verify.New(verify.Options{})
			v.UseIgzip(program, 0)
			return v
		}
		for way, arrive := range arrivals {
			b.Reader = func(data []byte) io.ReadCloser { return io.NopCloser(arrive(bytes.NewReader(data))) }
			got, err := fast().Image(t.Context(), "test", imagetest.New(b))
			if err != nil || !cmp.Equal(want, got, cmpopts.IgnoreFields(verify.Stats{}, "Seconds")) {
				t.Errorf("%s, %s: %s, %v, want what our decoder says: %s\n%+v", name, way, got.Verdict, err, want.Verdict, got.Findings)
			}
		}
		if name != "good" { // there are pauses before a blob is read again
			continue
		}
		b.Reader = func(data []byte) io.ReadCloser { return io.NopCloser(&faulty{data: data[:len(data)/2], with: true}) }
		if report, err := fast().Image(t.Context(), "test", imagetest.New(b)); !errors.Is(err, errReset) {
			t.Errorf("%s, breaking off: %s, %v, want %v", name, report.Verdict, err, errReset)
		}
	}
}
