// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// TestDecodedInProportion: what archives of a layer decode to is bounded by the size of the
// layer, so that an archive of archives of zeros does not cost minutes for a few hundred
// bytes. The limits are those of a blob of some kilobytes, of which the archives here
// decode to 30 MB and 400 MB.
func TestDecodedInProportion(t *testing.T) {
	t.Parallel()
	zeros := imagetest.Encode(imagetest.Gzip, make([]byte, 10<<20))
	many := func(n int) map[string]imagetest.Entry {
		files := map[string]imagetest.Entry{}
		for i := range n {
			files["a"+strings.Repeat("b", i)+".gz"] = imagetest.Entry{Data: string(zeros)}
		}
		return files
	}
	packed := func(n int) *imagetest.Blob {
		inner := imagetest.Encode(imagetest.Zstd, imagetest.Files(many(n)))
		return imagetest.Layer(imagetest.Zstd, imagetest.Files(map[string]imagetest.Entry{"x.tar.zst": {Data: string(inner)}}))
	}
	for n, want := range map[int]verify.Verdict{3: verify.Pass, 40: verify.Unknown} {
		layer := packed(n)
		if len(layer.Data) > 64<<10 {
			t.Fatalf("the layer has %d bytes, want few", len(layer.Data))
		}
		r, err := verify.New(verify.Options{Nested: true}).Image(t.Context(), "x", imagetest.New(layer))
		if err != nil || r.Verdict != want {
			t.Errorf("%d archives of 10 MB, %d bytes: %s, %v, %v, want %s", n, len(layer.Data), r.Verdict, r.Findings, err, want)
		}
		if want == verify.Unknown && !strings.Contains(r.Findings[0].Detail, "times the size of the layer") {
			t.Errorf("%q", r.Findings[0].Detail)
		}
	}
}
