// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cudabuild/cudabuild/record"
)

// TestOwn: a flavor of the user's is built and tagged like the others, its file is among what it
// alone was made of, and a label makes the images new that it is for, and no other.
func TestOwn(t *testing.T) {
	t.Parallel()
	needEngine(t)
	mine := t.TempDir()
	if err := os.Mkdir(filepath.Join(mine, "flavor"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mine, "flavor", "acme.yaml"), []byte("flavor: acme\non: [base]\npackages: {deb: [acme]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := furnish(t, t.TempDir(), t.TempDir(), mine)
	h.matrix = `
version: 1
image: cuda
groups:
  default:
    - {os: [tiny], cuda: ["12.1"], flavors: [base, acme-base]}
`
	first := h.done(t)
	wantStates(t, first, map[string]string{"12.1-base-tiny": "passed", "12.1-acme-base-tiny": "passed"})
	for id, want := range map[string]bool{"12.1-base-tiny": false, "12.1-acme-base-tiny": true} {
		is := slices.ContainsFunc(cell(t, first, id).Made[0].Parts, func(p record.Part) bool {
			return p.Kind == record.RecipePart && p.Name == "flavor/acme.yaml" && p.Digest != ""
		})
		if is != want {
			t.Errorf("%s is made of the flavor's file: %v, want %v", id, is, want)
		}
	}
	h.matrix += "cells: [{only: '*-acme-*', labels: {com.example.team: gpu}}]\n"
	labelled := h.done(t)
	wantRebuilt(t, labelled, "acme")
	if now, before := cell(t, labelled, "12.1-acme-base-tiny"), cell(t, first, "12.1-acme-base-tiny"); now.Digest == before.Digest {
		t.Error("the label changes no digest")
	}
	h.matrix += "labels: {com.example.owner: acme}\n"
	wantRebuilt(t, h.done(t), "acme", "base")
}
