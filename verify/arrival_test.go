// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// pieces gives at most so many bytes at once, by turns. A size of 0 is a read that gives
// nothing and no error, which an io.Reader may do.
type pieces struct {
	r     io.Reader
	sizes []int
	next  int
}

func (p *pieces) Read(b []byte) (int, error) {
	size := p.sizes[p.next%len(p.sizes)]
	if p.next++; size == 0 {
		return 0, nil
	}
	return p.r.Read(b[:min(len(b), size)])
}

// arrivals are the ways in which the same bytes may come.
var arrivals = map[string]func(io.Reader) io.Reader{
	"byte by byte":      iotest.OneByteReader,
	"half":              iotest.HalfReader,
	"the end with data": iotest.DataErrReader,
	"both":              func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
	"first byte alone":  func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 1), r) },
	"three bytes first": func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 3), r) },
	"nothing at times":  func(r io.Reader) io.Reader { return &pieces{r: r, sizes: []int{0, 0, 1, 0, 600, 0, 0, 70_000}} },
	"odd pieces":        func(r io.Reader) io.Reader { return &pieces{r: r, sizes: []int{511, 1, 513, 7, 4093, 2, 65_537}} },
}

// TestArrival holds that the report on a layer is the same however its bytes come.
func TestArrival(t *testing.T) {
	t.Parallel()
	small := imagetest.Files(entries{
		"usr/lib/libcuda.so.1": imagetest.File(stubCUDA), "var/lib/dpkg/status": {Data: "Package: libcuda1\nStatus: install ok installed\n"},
		"x.deb": imagetest.File(debFile("Package: libcuda1\nVersion: 1\n", nil)), "opt/k.fatbin": imagetest.File(imagetest.Fatbin(imagetest.PTX(8, 4, 90))),
	})
	gz := func(b []byte) []byte { return imagetest.Encode(imagetest.Gzip, b) }
	zst := imagetest.Encode(imagetest.Zstd, small)
	for name, tc := range map[string]struct {
		data []byte
		typ  imagetest.Encoding
	}{
		"plain":                 {small, imagetest.Plain},
		"gzip":                  {gz(small), imagetest.Gzip},
		"gzip, two members":     {slices.Concat(gz(small[:1000]), gz(small[1000:])), imagetest.Gzip},
		"gzip, empty members":   {slices.Concat(bytes.Repeat(gz(nil), 150), gz(small)), imagetest.Gzip},
		"zstd":                  {zst, imagetest.Zstd},
		"zstd, skippable first": {append([]byte("\x50\x2a\x4d\x18\x04\x00\x00\x00skip"), zst...), imagetest.Zstd},
	} {
		for _, trust := range []bool{false, true} {
			opts := verify.Options{TrustDigests: trust, Nested: true}
			b := imagetest.Layer(tc.typ, small)
			b.Data, b.Want = tc.data, imagetest.Digest(tc.data)
			want, err := verify.New(opts).Image(t.Context(), "x", imagetest.New(b))
			if err != nil || want.Verdict != verify.Fail {
				t.Fatalf("%s: Image = %s %+v, %v, want fail", name, want.Verdict, want.Findings, err)
			}
			for way, arrive := range arrivals {
				late := *b
				late.Reader = func(data []byte) io.ReadCloser { return io.NopCloser(arrive(bytes.NewReader(data))) }
				got, err := verify.New(opts).Image(t.Context(), "x", imagetest.New(&late))
				if !cmp.Equal(want, got, cmpopts.IgnoreFields(verify.Stats{}, "Seconds")) || err != nil {
					t.Errorf("%s, %s: %s, %v, want what it is at once: %s\n%+v", name, way, got.Verdict, err, want.Verdict, got.Findings)
				}
			}
		}
	}
}

// TestArrivalInside does the same with the decoded bytes and everything that is parsed.
func TestArrivalInside(t *testing.T) {
	t.Parallel()
	archive := imagetest.Files(corpus(t))
	for _, nested := range []bool{false, true} {
		want, err := verify.ScanFacts(bytes.NewReader(archive), verify.Options{Nested: nested})
		if err != nil {
			t.Fatal(err)
		}
		for way, arrive := range arrivals {
			t.Run(way, func(t *testing.T) {
				t.Parallel()
				got, err := verify.ScanFacts(arrive(bytes.NewReader(archive)), verify.Options{Nested: nested})
				if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); err != nil || diff != "" {
					t.Errorf("nested %t: %v (-at once +so):\n%s", nested, err, diff)
				}
			})
		}
	}
}

// TestCorpus holds that nothing of the corpus is passed over in silence, whatever reads it:
// a corpus that no parser knows would come well in any pieces.
func TestCorpus(t *testing.T) {
	t.Parallel()
	silent := []string{"opt/conda/conda-meta/history.json", "opt/py/evil-2.dist-info/RECORD", "var/lib/dpkg/info/libcuda1.list", "etc/os-release", "usr/lib/.wh.gone", "opt/.wh..wh..opq", "srv"}
	files := corpus(t)
	facts, err := verify.ScanFacts(bytes.NewReader(imagetest.Files(files)), verify.Options{Nested: true})
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		if !strings.Contains(facts, `"`+name) && !slices.Contains(silent, name) {
			t.Errorf("%s is in the corpus, and nothing is known of it", name)
		}
	}
}
