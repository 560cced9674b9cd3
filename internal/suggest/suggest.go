// SPDX-License-Identifier: Apache-2.0

// Package suggest finds the word that was probably meant. [Hint] is what most
// callers need: "did you mean", or what there is. It is pure and bounded: a word of
// more than 100 bytes is like none.
package suggest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxListed is how many names a hint lists.
const maxListed = 12

// Hint returns a hint for a word that is none of known: those that go on where it
// ends (13.0 of 13.0.1), the one that was probably meant, else what there is.
func Hint(word string, known []string) string {
	var longer []string
	for _, name := range known {
		if strings.HasPrefix(name, word+".") {
			longer = append(longer, name)
		}
	}
	if len(longer) > 0 {
		return "known: " + List(longer)
	}
	if near := Nearest(word, known, 1); len(near) > 0 {
		return fmt.Sprintf("did you mean %q?", near[0])
	}
	if len(known) == 0 {
		return "none are known"
	}
	return "known: " + List(known)
}

// List joins names, the first maxListed of them.
func List(names []string) string {
	if more := len(names) - maxListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// Nearest returns up to n of known that look like word, the likeliest first.
func Nearest(word string, known []string, n int) []string {
	type candidate struct {
		name string
		far  int
	}
	word = strings.ToLower(word)
	if len(word) > 100 { // no name is that long, and Distance is quadratic
		return nil
	}
	var near []candidate
	for _, name := range known {
		far := Distance(word, strings.ToLower(name))
		if far <= max(1, len(name)/3) {
			near = append(near, candidate{name, far})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, c := range near[:min(n, len(near))] {
		names = append(names, c.name)
	}
	return names
}

// Distance counts the bytes to insert, delete, replace or swap with their
// neighbour to get from a to b (optimal string alignment).
func Distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(next[j]+1, row[j+1]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
