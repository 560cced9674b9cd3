// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// TestTablePlatforms: the platforms have a column where a cell has several.
func TestTablePlatforms(t *testing.T) {
	t.Parallel()
	amd64, arm64 := verify.Report{Platform: "linux/amd64"}, verify.Report{Platform: "linux/arm64"}
	one := record.Cell{ID: "one", Status: record.Passed, Images: []verify.Report{amd64}}
	two := record.Cell{ID: "two", Status: record.Passed, Images: []verify.Report{amd64, arm64}}
	none := record.Cell{ID: "none", Status: record.Failed, Stage: record.StageBuild, Reason: "linux/arm64: it broke"}
	cases := map[string]struct {
		cells []record.Cell
		want  string
	}{
		"one each": {[]record.Cell{one}, `CELL  STATUS  SIZE  BUILD  DIGEST
one   passed  -     0 s    -
1 of 1 passed, 0 unchanged, - of distinct blobs, 0.0 s
`},
		"two": {[]record.Cell{one, two, none}, `CELL  STATUS          PLATFORMS                SIZE  BUILD  DIGEST
one   passed          linux/amd64              -     0 s    -
two   passed          linux/amd64,linux/arm64  -     0 s    -
none  failed (build)  -                        -     0 s    -
none failed: linux/arm64: it broke
2 of 3 passed, 0 unchanged, - of distinct blobs, 0.0 s
`},
	}
	for name, test := range cases {
		var out bytes.Buffer
		r := &record.Run{Cells: test.cells}
		r.Sum()
		if err := runTable(&out, r); err != nil || out.String() != test.want {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", name, err, strings.TrimSpace(out.String()), test.want)
		}
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 150) + strings.Repeat("b", 150)
	for reason, want := range map[string]string{
		"":         "",
		"one line": "one line",
		"exit code 1: Traceback\n  File\nout of memory\n": "exit code 1: Traceback ... out of memory",
		"tab\there\nand \x1b[31mthere":                    `tab\there ... and \x1b[31mthere`,
		long:                                              long[:100] + " ... " + long[140:],
	} {
		if got := ends(reason); got != want {
			t.Errorf("ends(%q) = %q, want %q", reason, got, want)
		}
	}
}
