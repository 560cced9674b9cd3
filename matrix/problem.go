// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// One report is bounded: nobody reads further, and a hostile file must not make it
// grow without end.
const (
	maxProblems = 100
	maxText     = 400 // bytes of a message, and of a hint
)

// Problem is one thing wrong with a matrix file, and where.
type Problem struct { //nolint:errname // callers read it as a result, one line of a report
	File string `json:"file"`
	// Line and Column count from 1, columns in characters. Both are 0 where the
	// problem is the file as a whole or the selection made from it.
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint"` // what to do next, "" if unknown
}

// Error returns "file:line:column: message", without the position if there is none.
func (p Problem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Problems is everything wrong with a matrix file, sorted by position. It is never
// empty when returned as an error, and holds 101 elements at most: the last then
// counts those left out.
type Problems []Problem //nolint:errname // as Problem

// Error returns one line for each problem, without the hints.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems one by one.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i, problem := range p {
		errs[i] = problem
	}
	return errs
}

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
	r.problems = append(r.problems, Problem{r.file, line, column, short(fmt.Sprintf(format, args...)), short(hint)})
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
		last.Message, last.Hint = fmt.Sprintf("%d more problems are not shown", r.dropped), "mend those above and look again"
		sorted = append(sorted, last)
	}
	return sorted
}
