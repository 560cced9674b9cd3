// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
)

const twoPlatforms = `version: 1
image: cuda
defaults: {platforms: [linux/amd64, linux/arm64], flavors: [base]}
groups:
  default:
    - {os: [testos], cuda: ["12.4"]}
`

func TestPlatforms(t *testing.T) {
	t.Parallel()
	c, err := recipes.Load("testdata/recipes")
	if err != nil {
		t.Fatal(err)
	}
	m, err := matrix.Parse("f", []byte(twoPlatforms+`    - {os: [debian13], cuda: ["12.4"], platforms: [linux/amd64]}`), c)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := m.Expand("default", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := [][]string{cells[0].Platforms, cells[1].Platforms, {cells[0].Source, cells[1].Source}}
	want := [][]string{{"linux/amd64", "linux/arm64"}, {"linux/amd64"}, {"test", "debian"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("platforms and sources (-want +got):\n%s", diff)
	}

	_, err = matrix.Parse("f", []byte(twoPlatforms+`    - {os: [debian12], cuda: ["11.8"]}`), c)
	wantErr := spec.Problems{{
		File: "f", Line: 7, Column: 31,
		Message: "CUDA 11.8 for debian12 was never packaged for linux/arm64",
		Hint:    "give the entry its own platforms: [linux/amd64]",
	}}
	if diff := cmp.Diff(error(wantErr), err); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}

	_, err = matrix.Parse("f", []byte(strings.Replace(twoPlatforms, "arm64", "s390x", 1)), c)
	var problems spec.Problems
	if !errors.As(err, &problems) || problems[0].Message != `unknown platform "linux/s390x"` {
		t.Errorf("Parse of a platform that no release has = %v, want it unknown", err)
	}
}
