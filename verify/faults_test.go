// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// faulty gives data and then an error: with the last of it or after it, and from then on
// the same, or once and then an end as if all were well.
type faulty struct {
	data       []byte
	with, once bool
	failed     bool
}

func (f *faulty) Read(p []byte) (int, error) {
	n := copy(p, f.data)
	f.data = f.data[n:]
	switch {
	case len(f.data) > 0, n > 0 && !f.with:
		return n, nil
	case f.failed && f.once:
		return n, io.EOF
	}
	f.failed = true
	return n, errReset
}

// faults are the ways to fail.
var faults = map[string]faulty{"then": {}, "with the data": {with: true}, "once": {once: true}, "once, with the data": {with: true, once: true}}

// places are offsets in size bytes, both ends and the first and last few among them.
func places(size, most int) (list []int) {
	step := size/most + 1
	for at := 0; at <= size; at++ {
		if at < 8 || at > size-8 || at%step == 0 {
			list = append(list, at)
		}
	}
	return list
}

// TestFaultsInside breaks off every file of the corpus in many places: whatever parser was
// at work, the error must come out.
func TestFaultsInside(t *testing.T) {
	t.Parallel()
	for name, entry := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive := imagetest.Files(entries{name: entry})
			for _, nested := range []bool{false, true} {
				for _, at := range places(len(archive), 30) {
					for _, with := range []bool{false, true} { // what the stages of a stream pass on lasts
						_, err := verify.ScanFacts(&faulty{data: archive[:at], with: with}, verify.Options{Nested: nested})
						if !errors.Is(err, errReset) {
							t.Fatalf("nested %t, with data %t: after %d of %d bytes: error %v, want %v", nested, with, at, len(archive), err, errReset)
						}
					}
				}
			}
		})
	}
}

var faultyArchive = imagetest.Files(entries{"etc/os-release": {Data: strings.Repeat("ID=debian\n", 100)}, "usr/lib/last.so": imagetest.File(imagetest.ELF{SOName: "last.so", Exec: 2000}.Bytes())})

// TestFaults breaks off blobs in many places, for good, and wants an error and no report,
// also where digests are trusted.
func TestFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // there are pauses before a blob is read again
		for _, enc := range []imagetest.Encoding{imagetest.Plain, imagetest.Gzip, imagetest.Zstd} {
			for _, trust := range []bool{false, true} {
				b := imagetest.Layer(enc, faultyArchive)
				for _, at := range places(len(b.Data), 40) {
					for way, fault := range faults {
						b.Reader = func(data []byte) io.ReadCloser {
							broken := fault
							broken.data = data[:at]
							return io.NopCloser(&broken)
						}
						report, err := verify.New(verify.Options{TrustDigests: trust}).Image(t.Context(), "x", imagetest.New(b))
						if !errors.Is(err, errReset) || report.Verdict != "" {
							t.Fatalf("%s, trusted %t, %s: after %d of %d bytes: %q, error %v, want %v", enc, trust, way, at, len(b.Data), report.Verdict, err, errReset)
						}
					}
				}
			}
		}
	})
}

// TestFaultsHeal has each of the first readings break off, and wants the report of a blob
// that came at once.
func TestFaultsHeal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, enc := range []imagetest.Encoding{imagetest.Plain, imagetest.Gzip, imagetest.Zstd} {
			b := imagetest.Layer(enc, faultyArchive)
			want := judge(t, imagetest.New(b))
			for _, at := range places(len(b.Data)-1, 40) {
				for way, fault := range faults {
					var opened atomic.Int32
					b.Reader = func(data []byte) io.ReadCloser {
						broken := fault
						if broken.data = data[:at]; opened.Add(1) > 2 {
							return io.NopCloser(bytes.NewReader(data))
						}
						return io.NopCloser(&broken)
					}
					if got := judge(t, imagetest.New(b)); !cmp.Equal(want, got, cmpopts.IgnoreFields(verify.Stats{}, "Seconds")) || opened.Load() != 3 {
						t.Fatalf("%s, %s: after %d of %d bytes: %s after %d tries, want %s after 3: %+v", enc, way, at, len(b.Data), got.Verdict, opened.Load(), want.Verdict, got.Findings)
					}
				}
			}
		}
	})
}

// TestCuts ends blobs in many places as if that were all, and wants no pass, also where
// digests are trusted.
func TestCuts(t *testing.T) {
	t.Parallel()
	for _, enc := range []imagetest.Encoding{imagetest.Plain, imagetest.Gzip, imagetest.Zstd} {
		b := imagetest.Layer(enc, faultyArchive)
		for _, at := range places(len(b.Data)-1, 100) {
			b.Reader = func(data []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(data[:at])) }
			report, err := verify.New(verify.Options{TrustDigests: true}).Image(t.Context(), "x", imagetest.New(b))
			if err == nil && report.Verdict != verify.Unknown {
				t.Errorf("%s: %d of %d bytes: verdict %s, want unknown", enc, at, len(b.Data), report.Verdict)
			}
		}
	}
}
