// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
)

// odd are the rows of NVIDIA's requirements that are not repeated, each with why.
func odd(row []string) string {
	cuda, platform, value := row[0], row[1], row[2]
	switch {
	case strings.HasPrefix(cuda, "12.3.") && platform == "linux/arm64":
		return "CUDA in capitals, which the hook does not know"
	case cuda == "11.6.1" && platform == "linux/arm64":
		return "not set at all"
	case strings.Contains(value, " driver>=450"):
		return "drivers of branch 450 before 450.80.02 cannot run it on a GeForce"
	}
	return ""
}

// TestRequireWithCompat compares what images with cuda-compat ask for with NVIDIA's
// strings, term for term.
func TestRequireWithCompat(t *testing.T) {
	t.Parallel()
	c := grown(t)
	oddRows := 0
	for _, row := range facts(t, "require.tsv", 5) {
		want, terms := expand(t, row[2])
		if row[2] != "-" && strconv.Itoa(terms) != row[3] {
			t.Errorf("%v expands to %d terms, want %s", row, terms, row[3])
		}
		if odd(row) != "" {
			oddRows++
		}
		for _, os := range strings.Fields(row[4]) {
			r := find(t, c, os, row[0])
			if !slices.Contains(r.Platforms, row[1]) {
				t.Errorf("CUDA %s for %s is not for %s", row[0], os, row[1])
			}
			got := r.WithCompat().RequireFor(row[1])
			if (got == want) == (odd(row) != "") {
				t.Errorf("CUDA %s for %s on %s: %q, NVIDIA's is %q (odd: %q)", row[0], os, row[1], got, want, odd(row))
			}
			if _, err := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", got); err != nil {
				t.Error(err)
			}
		}
	}
	if oddRows != 9 {
		t.Errorf("%d odd rows, want 9", oddRows)
	}
}

var brands = map[string]string{
	"A": "tesla unknown nvidia nvidiartx geforce geforcertx quadro quadrortx titan titanrtx",
	"B": "tesla unknown nvidia nvidiartx quadro quadrortx titan titanrtx geforce geforcertx",
	"C": "unknown grid tesla nvidia quadro quadrortx nvidiartx vapps vpc vcs vws cloudgaming",
}

func expand(t *testing.T, short string) (value string, terms int) {
	t.Helper()
	var all []string
	for word := range strings.FieldsSeq(short) {
		list, branch, ok := strings.Cut(word, "@")
		if !ok {
			all = append(all, word)
			continue
		}
		next, err := strconv.Atoi(branch)
		if err != nil {
			t.Fatal(err)
		}
		names := brands[list]
		if names == "" {
			names = list
		}
		for brand := range strings.FieldsSeq(names) {
			all = append(all, fmt.Sprintf("brand=%s,driver>=%s,driver<%d", brand, branch, next+1))
		}
	}
	return strings.Join(all, " "), len(all)
}
