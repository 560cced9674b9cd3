// SPDX-License-Identifier: Apache-2.0

// Package compat holds what is known about which CUDA release runs on which
// driver: the order of versions, the driver floors, and the requirement strings
// made from them. It is pure: no I/O, no state.
//
// Most callers need [Compare], the one order of versions in cudabuild, and
// [RequireCUDA], the value of NVIDIA_REQUIRE_CUDA for an image.
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
// part counts as zero, so "12" equals "12.0", and a part that is not a number as
// zero too: check foreign input with [IsVersion] first.
func Compare(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if c := cmp.Compare(part(as, i), part(bs, i)); c != 0 {
			return c
		}
	}
	return 0
}

// Major returns the first number of a version: 12 of "12.4".
func Major(version string) int { return part(strings.Split(version, "."), 0) }

func part(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, _ := strconv.Atoi(parts[i])
	return n
}
