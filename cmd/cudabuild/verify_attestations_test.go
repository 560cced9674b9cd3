// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/evidence"
)

// TestAttestationsPage: who reads a copy sees what its evidence is about, and what nobody has looked at.
func TestAttestationsPage(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&stdout)
	err := attestationsPage(cmd, []attest.Report{{
		Ref: "r.example/prod/cuda:a", Repository: "r.example/prod/cuda", State: attest.Incomplete, Key: "KEY", Policy: "sha256:55",
		Images: []attest.Image{{
			Digest: "sha256:11", Platform: "index", Missing: []evidence.Kind{evidence.Report}, Others: 2,
			Documents: []attest.Attached{
				{Kind: evidence.VSA, Digest: "sha256:" + strings.Repeat("2", 64), State: attest.Valid, Signer: "KEY", Verified: true, Repository: "r.example/dev/cuda", Summary: []string{"PASSED"}},
				{Kind: evidence.SBOM, Digest: "sha256:" + strings.Repeat("3", 64), State: attest.Failed, Repository: "r.example/prod/cuda", Why: "it leaves out x"},
				{Digest: "sha256:" + strings.Repeat("4", 64), State: attest.Damaged, Why: "blob sha256:" + strings.Repeat("5", 64) + " is gone"},
				{Digest: "sha256:" + strings.Repeat("6", 64), State: attest.Damaged, Why: "blob sha256:" + strings.Repeat("7", 64) + " is gone"},
				{Kind: evidence.VSA, Digest: "sha256:" + strings.Repeat("8", 64), State: attest.Damaged, Why: "gone"},
			},
			Bad: []string{"1 of its entries have no digest"},
		}},
		Skipped: []attest.Skipped{{Digest: "sha256:44", Is: "an index in the index", Hides: true}},
	}})
	want := `INCOMPLETE  r.example/prod/cuda:a
  signatures by KEY
  by policy sha256:55

  index  sha256:11
    valid      vsa         222222222222  signature verified, about r.example/dev/cuda
               PASSED
    failed     sbom        333333333333  not signed: it leaves out x
    damaged    -           444444444444  blob sha256:5555555555555555555555555555555555555555555555555555555555555555 is gone
               and 1 more like it
    damaged    vsa         888888888888  gone
    missing    report
    and 2 artifacts of other kinds
    not looked at: in the list of what is attached, 1 of its entries have no digest

  not looked at  sha256:44  an index in the index
`
	if diff := cmp.Diff(want, stdout.String()); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
