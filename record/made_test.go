// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

func TestMadeOf(t *testing.T) {
	t.Parallel()
	amd64, arm64 := record.Made{Digest: "amd64", Cell: "base", Platform: "linux/amd64", Plan: "p"}, record.Made{Digest: "arm64", Cell: "base", Platform: "linux/arm64"}
	cell := record.Cell{
		ID: "base", Digest: "index", Made: []record.Made{amd64},
		Images: []verify.Report{{Digest: "amd64", Platform: "linux/amd64"}, {Digest: "arm64", Platform: "linux/arm64"}},
	}
	for digest, want := range map[string][]record.Made{"index": {amd64, arm64}, "amd64": {amd64}, "arm64": {arm64}, "other": nil} {
		if diff := cmp.Diff(want, cell.MadeOf(digest)); diff != "" {
			t.Errorf("MadeOf(%s) (-want +got):\n%s", digest, diff)
		}
	}
}
