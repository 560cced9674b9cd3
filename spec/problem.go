// SPDX-License-Identifier: Apache-2.0

// Package spec is what the files that people write, recipes and matrix.yaml, have in common.
// What is wrong with one is a [Problem] with its place and, where one is known, the next
// step; a reader reports all [Problems] of a file at once.
package spec

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with a recipe or a matrix file, and where.
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
// position. It is never empty when returned as an error.
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
