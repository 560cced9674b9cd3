// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/gpu"
)

// alike are things of which the same is to be said.
type alike struct {
	what, why string
	names     []string
}

// group puts a name beside those of which the same is said already.
func group(all []alike, what, why, name string) []alike {
	i := slices.IndexFunc(all, func(a alike) bool { return a.what == what && a.why == why })
	if i < 0 {
		return append(all, alike{what, why, []string{name}})
	}
	if !slices.Contains(all[i].names, name) {
		all[i].names = append(all[i].names, name)
	}
	return all
}

// few are the names, or three of them and the number of the others.
func (a alike) few() string {
	const shown = 3
	if len(a.names) <= shown+1 {
		return strings.Join(a.names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(a.names[:shown], ", "), len(a.names)-shown)
}

// maxLines is how many lines are printed about what is not there; --json has all.
const maxLines = 20

func printLines(w io.Writer, mark string, lines []string) {
	for i, line := range lines {
		if i == maxLines {
			fmt.Fprintf(w, "%s: %d more lines like these: --json has all\n", mark, len(lines)-maxLines)
			return
		}
		fmt.Fprintf(w, "%s: %s\n", mark, line)
	}
}

// printLeft says what is left out of a plan.
func printLeft(w io.Writer, plan fleet.Plan) {
	var all []alike
	for _, l := range plan.Left {
		all = group(all, strings.TrimSpace(cmp.Or(l.Cell, l.Image)+" "+l.Test), ends(l.Why), asked(l.On))
	}
	var lines []string
	for _, a := range all {
		lines = append(lines, fmt.Sprintf("%s on %s: %s", a.what, a.few(), a.why))
	}
	printLines(w, "left out", append(lines, leftNodes(plan.Nodes)...))
}

// leftNodes are lines about nodes that take no row.
func leftNodes(nodes []fleet.LeftNode) (lines []string) {
	var all []alike
	for _, n := range nodes {
		all = group(all, "", ends(n.Why), oneLine(n.Name))
	}
	for _, a := range all {
		lines = append(lines, fmt.Sprintf("node %s: %s", a.few(), a.why))
	}
	return lines
}

// printProblems says which rows there are not: by the words of the table above, and the names of their Jobs.
func printProblems(w io.Writer, problems []fleetProblem) {
	var all []alike
	for _, p := range problems {
		_, digest, _ := strings.Cut(p.Image, "@")
		what := fmt.Sprintf("%s %s on %s", oneLine(cmp.Or(p.Cell, shortDigest(digest))), p.Test, asked(p.Asked))
		all = group(all, what, ends(p.Why), p.Job)
	}
	var lines []string
	for _, a := range all {
		lines = append(lines, fmt.Sprintf("%s (%s): %s", a.what, a.few(), a.why))
	}
	printLines(w, "no row", lines)
}

// asked are the nodes of a row in words.
func asked(on gpu.Asked) string {
	words := strings.Fields(on.GPU + " " + on.Driver)
	switch {
	case len(words) > 0:
		return strings.Join(words, " ")
	case on.GPUs == 0:
		return "any node"
	}
	return "any GPU"
}
