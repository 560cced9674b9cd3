// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Problem is one thing wrong with a file, and where.
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

// Problems is everything wrong with the files that were read, sorted by file and
// position. It is never empty when returned as an error, and holds 101 elements at most:
// the last then counts those left out.
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

// One report is bounded: nobody reads further, and a hostile file must not make it
// grow without end.
const (
	maxProblems = 100
	maxText     = 400 // bytes of a message, and of a hint
)

// Report collects the problems of files. Its zero value is empty.
type Report struct {
	problems Problems
	dropped  int
	mappings map[reflect.Type]*mapping // what its files were read into
}

// Add adds a problem.
func (r *Report) Add(p Problem) {
	if len(r.problems) >= maxProblems {
		r.dropped++
		return
	}
	p.Message, p.Hint = short(p.Message), short(p.Hint)
	r.problems = append(r.problems, p)
}

// Count is how many problems there are so far.
func (r *Report) Count() int { return len(r.problems) + r.dropped }

// Err returns the problems as a [Problems], or nil if there are none.
func (r *Report) Err() error {
	if len(r.problems) == 0 {
		return nil
	}
	sorted := slices.Clone(r.problems)
	slices.SortStableFunc(sorted, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	sorted = slices.Compact(sorted)
	if r.dropped > 0 {
		last := sorted[len(sorted)-1]
		last.Message, last.Hint = fmt.Sprintf("%d more problems are not shown", r.dropped), "correct those above and look again"
		sorted = append(sorted, last)
	}
	return sorted
}

// short cuts text that quotes a long value of the file.
func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "..."
}
