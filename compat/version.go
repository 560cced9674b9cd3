// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

var versionForm = regexp.MustCompile(`^[0-9]{1,6}(\.[0-9]{1,6}){0,4}$`)

// IsVersion reports whether s is dot-separated numbers, such as "12.4" or "550.54.14".
func IsVersion(s string) bool { return versionForm.MatchString(s) }

// Compare orders two versions number by number and returns -1, 0 or 1. A missing
// part counts as zero, so "12" equals "12.0". What is no version (see [IsVersion])
// is below every version and equal to its like.
func Compare(a, b string) int {
	as, bs := numbers(a), numbers(b)
	if as == nil || bs == nil {
		return cmp.Compare(len(as), len(bs))
	}
	for i := range max(len(as), len(bs)) {
		if c := cmp.Compare(part(as, i), part(bs, i)); c != 0 {
			return c
		}
	}
	return 0
}

// Major returns the first number of a version: 12 of "12.4", 0 of what is none.
func Major(version string) int { return part(numbers(version), 0) }

// numbers returns the parts of a version, nil if s is none.
func numbers(s string) []int {
	if !IsVersion(s) {
		return nil
	}
	var parts []int
	for p := range strings.SplitSeq(s, ".") {
		n, _ := strconv.Atoi(p)
		parts = append(parts, n)
	}
	return parts
}

func part(parts []int, i int) int {
	if i >= len(parts) {
		return 0
	}
	return parts[i]
}

// minor cuts a version to its first two numbers: "12.4" of "12.4.127".
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}
