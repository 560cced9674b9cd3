// SPDX-License-Identifier: Apache-2.0

package page

import (
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/report"
)

// mark is a symbol of the grid, told apart from the others by its shape alone.
type mark struct {
	Class string
	Word  string
	Shape string // SVG in a view box of 24; what is black is drawn in the colour of the text
}

const (
	ring     = `<circle cx='12' cy='12' r='8' fill='none' stroke='black' stroke-width='2.6'/>`
	cutTick  = `M6.3 12.4L8.2 10.5 10.6 12.9 15.8 7.7 17.7 9.6 10.6 16.7Z`
	cutCross = `M7 8.6L8.6 7 12 10.4 15.4 7 17 8.6 13.6 12 17 15.4 15.4 17 12 13.6 8.6 17 7 15.4 10.4 12Z`
	asks     = `<path d='M9 9.8a3 3 0 1 1 4.4 2.6c-1 .5-1.4 1-1.4 2' fill='none' stroke='black' stroke-width='2'/><circle cx='12' cy='17' r='1.3'/>`
	dotted   = `<rect x='3.5' y='3.5' width='17' height='17' fill='none' stroke='black' stroke-width='2.2' stroke-dasharray='2.4 2.4'/>`
)

// marks are all symbols of the grid, the worst first: of several GPUs the grid shows the first of these. What nobody knows is
// worse than what runs, so that it never looks like it.
var marks = []mark{
	{"dd", "seen otherwise than predicted", `<path fill-rule='evenodd' d='M12 2L23 21H1ZM11 8.5V14.5H13V8.5ZM11 16.3V18.5H13V16.3Z'/>`},
	{"sn", "seen to fail", `<path fill-rule='evenodd' d='M3 3H21V21H3Z` + cutCross + `'/>`},
	{"pn", "predicted to fail", `<path d='M4 7L7 4 12 9 17 4 20 7 15 12 20 17 17 20 12 15 7 20 4 17 9 12Z' fill='none' stroke='black' stroke-width='2'/>`},
	{"oo", "not known", dotted + asks},
	{"pl", "predicted to run, newer functions fail", ring + `<path d='M12 4a8 8 0 0 0 0 16z'/>`},
	{"sl", "seen to run, newer functions fail", `<path fill-rule='evenodd' d='M12 .5L23.5 12 12 23.5 .5 12Z` + cutTick + `'/>`},
	{"py", "predicted to run", ring},
	{"sy", "seen to run", `<path fill-rule='evenodd' d='M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20Z` + cutTick + `'/>`},
	{"no", "no such pair", `<path d='M7 11H17V13H7Z'/>`},
}

const (
	open    = 3 // not known
	limited = 5 // the last of what does not simply run
	nothing = 8 // there is no answer
)

// rank is the index into marks of an answer.
func rank(a report.Answer) int {
	runs := map[string][2]int{"no": {2, 1}, "limited": {4, 5}, "yes": {6, 7}}
	at, known := runs[a.Runs]
	switch {
	case a.How == report.Disagrees:
		return 0
	case !known:
		return open
	case a.How == report.Predicted:
		return at[0]
	case a.How == report.Seen:
		return at[1]
	}
	return open
}

// key is marks that mean the same kind of thing, for the legend.
type key struct {
	Word  string
	Marks []mark
}

// legend has all marks, by what is known.
func legend() []key {
	of := func(word string, ranks ...int) key {
		k := key{Word: word}
		for _, r := range ranks {
			k.Marks = append(k.Marks, marks[r])
		}
		return k
	}
	return []key{
		of("Outlined: predicted by rules, nobody has tried", 6, 4, 2),
		of("Filled: seen on a GPU, with this very image", 7, 5, 1, 0),
		of("No answer", open, nothing),
	}
}

// seen says whether a mark is of what a GPU showed.
func seen(rank int) bool { return marks[rank].Class[0] == 's' }

// stateMark is a symbol of the state of an image or of something to do.
type stateMark struct {
	State report.State
	Word  string
	Shape string
}

var states = []stateMark{
	{report.Good, "good", `<path d='M3 12.5L6 9.5 10 13.5 18.5 5 21.5 8 10 19.5Z'/>`},
	{report.Noted, "to know", `<path fill-rule='evenodd' d='M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20ZM12 4a8 8 0 1 1 0 16a8 8 0 1 1 0-16Z'/><path d='M11 10.5H13V17H11ZM11 7H13V9H11Z'/>`},
	{report.Warned, "warned", `<path d='M12 4L21 20H3Z' fill='none' stroke='black' stroke-width='2'/><path d='M11 9H13V15H11ZM11 16.5H13V18.5H11Z'/>`},
	{report.NotKnown, "not known", dotted + asks},
	{report.Skipped, "skipped", `<path d='M4 5L11 12 4 19M12 5L19 12 12 19' fill='none' stroke='black' stroke-width='2.6'/>`},
	{report.Cancelled, "cancelled", `<path d='M5 5H19V19H5Z' fill='none' stroke='black' stroke-width='2.6'/>`},
	{report.Bad, "failed", `<path fill-rule='evenodd' d='M8 1.5H16L22.5 8V16L16 22.5H8L1.5 16V8Z` + cutCross + `'/>`},
}

// imageStates are those that an image can have.
func imageStates() []stateMark {
	return slices.DeleteFunc(slices.Clone(states), func(s stateMark) bool { return s.State == report.Noted })
}

// symbol is the mark of a state. A state that nobody told us of is not known.
func symbol(s report.State) stateMark {
	for _, m := range states {
		if m.State == s {
			return m
		}
	}
	return symbol(report.NotKnown)
}

// rules are the shapes as a style sheet: masks, so that a cell of the grid is one element and takes the colour of its text.
func rules() string {
	var b strings.Builder
	rule := func(class, shape string) {
		b.WriteString("." + class + `::before{--m:url("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'>` + shape + "</svg>\")}\n")
	}
	for _, m := range marks {
		rule(m.Class, m.Shape)
	}
	for _, m := range states {
		rule("s-"+string(m.State), m.Shape)
	}
	return b.String()
}
