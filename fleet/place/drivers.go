// SPDX-License-Identifier: Apache-2.0

package place

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// span is a range of one number of a version, from one to below another; no bound is 0.
type span struct{ from, below int }

func only(n int) span { return span{n, n + 1} }

func (s span) any() bool    { return s == span{} }
func (s span) single() bool { return s.below == s.from+1 }

// spans returns the drivers of a region as alternatives, each a span for every number of a
// version: labels have the numbers apart, so "525.60.13 or newer" is three of them.
func spans(r compat.Region) [][]span {
	if r.Below == "" {
		return split(numbers(r.From), nil)
	}
	return split(numbers(r.From), numbers(r.Below))
}

// numbers are the three of a driver's version.
func numbers(version string) []int {
	n := make([]int, 3)
	for i, part := range strings.SplitN(version, ".", 3) {
		n[i], _ = strconv.Atoi(part) // a bound of package compat, or "" for none
	}
	return n
}

// split divides versions from one to below another, or without end if that is nil.
func split(from, below []int) (all [][]span) {
	add := func(first span, rest [][]span) {
		for _, r := range rest {
			all = append(all, append([]span{first}, r...))
		}
	}
	open := func(numbers []int) bool { return !slices.ContainsFunc(numbers, func(n int) bool { return n > 0 }) }
	first, end, rest := from[0], 0, from[1:]
	if below != nil {
		end = below[0]
	}
	switch {
	case len(rest) == 0:
		return [][]span{{{first, end}}}
	case below != nil && first == end:
		add(only(first), split(rest, below[1:]))
		return all
	case !open(rest):
		add(only(first), split(rest, nil))
		first++
	}
	if below == nil || first < end {
		add(span{first, end}, [][]span{make([]span, len(rest))})
	}
	if below != nil && !open(below[1:]) {
		add(only(end), split(make([]int, len(rest)), below[1:]))
	}
	return all
}
