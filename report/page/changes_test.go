// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/internal/reporttest"
	"github.com/cudabuild/cudabuild/report/page"
)

// TestDifference: few causes stand before the images, and an image says in a sentence what became of it.
func TestDifference(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	r := reporttest.Difference()
	for i := range 1000 { // more than are shown
		r.Images[len(r.Images)-1].Files = append(r.Images[len(r.Images)-1].Files, diff.FileChange{Path: fmt.Sprint(i), How: "added"})
	}
	if err := page.WriteDiff(&b, r); err != nil {
		t.Fatal(err)
	}
	rest := html.UnescapeString(b.String())
	for _, want := range []string{ // in this order
		"example-2 1.0-1 -> 1.0-2</p>", fmt.Sprintf("<summary>%d more causes</summary>", len(r.Causes)-8), `id="changed"`,
		"12.8-base-ubuntu22.04", "added; tags: 1 came, 0 went; build and verification: none → failed at build",
		"12.4-example-debian13", "changed; size 27.9 MB, +1 MB; 60 packages, 1002 files, 1 GPU result; build and verification: passed", "; and 57 more", "502 more lines are left out here",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("there is no %q behind what was wanted before it", want)
		}
		rest = after
	}
}
