// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/spec"
)

const released = `version: 1
image: cuda
groups:
  default:
    - {os: [debian13], cuda: ["12.4"], flavors: [base, devel]}
    - {os: [debian12], cuda: ["11.8"], flavors: [base]}
tags:
  latest: 12.4-devel-debian13
  "17.01-base": 11.8-base-debian12
  "{yy}.{mm}-{kind}": "*-debian13"
  "{yy}.{mm}": 12.4-devel-debian13
`

// TestStamped: the tags of a release are there if one is made, and only then.
func TestStamped(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		release string
		want    string // tags, or the problem and its hint
	}{
		"none":     {"", "cuda:12.4-base-debian13; cuda:12.4-devel-debian13 cuda:latest; cuda:11.8-base-debian12 cuda:17.01-base"},
		"26.11":    {"26.11", "cuda:12.4-base-debian13 cuda:26.11-base; cuda:12.4-devel-debian13 cuda:latest cuda:26.11-devel cuda:26.11; cuda:11.8-base-debian12 cuda:17.01-base"},
		"clash":    {"17.01", "f:10:23: duplicate tag cuda:17.01-base for 12.4-base-debian13: 11.8-base-debian12 has it by f:9:17; name one cell for it, or tell them apart with {cuda}, {kind} or {os}"},
		"year":     {"2026.11", `f: release "2026.11" is not a year and a month; write YY.MM, such as 26.11`},
		"month 13": {"26.13", `f: release "26.13" is not a year and a month; write YY.MM, such as 26.11`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := matrix.Parse("f", []byte(released), catalog(t))
			if err != nil {
				t.Fatal(err)
			}
			before := tagsOf(t, m)
			stamped := m
			if test.release != "" {
				stamped, err = m.Stamped(test.release)
			}
			if diff := cmp.Diff(test.want, said(t, stamped, err)); diff != "" {
				t.Errorf("Stamped(%s) (-want +got):\n%s", test.release, diff)
			}
			if diff := cmp.Diff(before, tagsOf(t, m)); diff != "" {
				t.Errorf("Stamped(%s) changed the matrix (-want +got):\n%s", test.release, diff)
			}
		})
	}
}

// TestStampedForNothing: a release of a file that has no tags for one.
func TestStampedForNothing(t *testing.T) {
	t.Parallel()
	m, err := matrix.Load("testdata/good/default.yaml", catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Stamped("26.11")
	want := `testdata/good/default.yaml: release 26.11: no tag has {yy} or {mm}; add one: tags: {"{cuda}-{kind}-{os}-{yy}.{mm}": "*"}`
	if diff := cmp.Diff(want, said(t, nil, err)); diff != "" {
		t.Errorf("Stamped (-want +got):\n%s", diff)
	}
}

func TestTooManyGlobs(t *testing.T) {
	t.Parallel()
	data := released
	for i := range 2001 {
		data += fmt.Sprintf("  t%d: '*-%d'\n", i, i)
	}
	_, err := matrix.Parse("f", []byte(data), catalog(t))
	want := "f:7:1: tags: 2005 globs, more than 2000; a glob such as '*-debian13' names many cells at once"
	if diff := cmp.Diff(want, said(t, nil, err)); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func said(t *testing.T, m *matrix.Matrix, err error) string {
	t.Helper()
	var problems spec.Problems
	if errors.As(err, &problems) {
		return problems[0].Error() + "; " + problems[0].Hint
	}
	return tagsOf(t, m)
}

func tagsOf(t *testing.T, m *matrix.Matrix) string {
	t.Helper()
	cells, err := m.Expand("default", nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range cells {
		all = append(all, strings.Join(c.Tags, " "))
	}
	return strings.Join(all, "; ")
}
