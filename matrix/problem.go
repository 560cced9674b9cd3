// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/recipes"
)

// One report is bounded: nobody reads further, and a hostile file must not make it
// grow without end.
const (
	maxProblems = 100
	maxText     = 400 // bytes of a message, and of a hint
)

// Problem is one thing wrong with a matrix file, and where.
type Problem = recipes.Problem //nolint:errname // callers read it as a result

// Problems is everything wrong with a matrix file, sorted by position. It is never
// empty when returned as an error, and holds 101 elements at most: the last then
// counts those left out.
type Problems = recipes.Problems //nolint:errname // as Problem

// report collects the problems of one file.
type report struct {
	file     string
	problems Problems
	dropped  int
}

// at adds a problem at a position of the file; line 0 means the file as a whole.
func (r *report) at(line, column int, hint, format string, args ...any) {
	if len(r.problems) >= maxProblems {
		r.dropped++
		return
	}
	r.problems = append(r.problems, Problem{
		File: r.file, Line: line, Column: column, Message: short(fmt.Sprintf(format, args...)), Hint: short(hint),
	})
}

// short cuts text that quotes a long value of the file.
func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "..."
}

// err returns the sorted problems, or nil if there are none.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	sorted := slices.Clone(r.problems)
	slices.SortStableFunc(sorted, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if r.dropped > 0 {
		last := sorted[len(sorted)-1]
		last.Message, last.Hint = fmt.Sprintf("%d more problems are not shown", r.dropped), "correct those above and look again"
		sorted = append(sorted, last)
	}
	return sorted
}
