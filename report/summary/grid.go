// SPDX-License-Identifier: Apache-2.0

package summary

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/report"
)

// mostColumns are the newest driver branches, and those that hosts have.
const mostColumns = 8

// grid says where images run, by driver branch; images of which the same is known stand in one line.
func grid(b *bytes.Buffer, d *report.Document) {
	columns := watched(d)
	if len(columns) == 0 {
		return
	}
	at, lines, ids := map[string]int{}, []string{}, [][]string{}
	for _, img := range d.Images {
		for _, p := range img.Platforms {
			var words []string
			for _, c := range columns {
				words = append(words, column(d, p, c))
			}
			line, id := strings.Join(words, " | "), img.ID
			if len(img.Platforms) > 1 {
				id += " (" + p.Platform + ")"
			}
			i, known := at[line]
			if !known {
				i = len(lines)
				at[line] = i
				lines, ids = append(lines, line), append(ids, nil)
			}
			ids[i] = append(ids[i], id)
		}
	}
	if len(lines) == 0 {
		return
	}
	b.WriteString("\n### Where they run\n\n○ ◐ × are predicted, ● ✖ ▲ were seen on a GPU; of several GPUs the worst.\n\n| images |")
	for _, c := range columns {
		driver := d.Drivers[c]
		name := "R" + driver.Branch
		if driver.Ended {
			name += " (ended)"
		}
		if len(driver.Seen) > 0 {
			name += " (here)"
		}
		fmt.Fprintf(b, " %s |", text(name))
	}
	b.WriteString("\n| ---" + strings.Repeat(" | ---", len(columns)) + " |\n")
	shown := min(len(lines), mostRows)
	for i := range shown {
		fmt.Fprintf(b, "| %s | %s |\n", text(some(ids[i], 4)), lines[i])
	}
	leftOut(b, len(lines)-shown, "lines", "those shown come first")
	leftOut(b, len(d.Drivers)-len(columns), "driver branches", "those shown have hosts here, or are R535 and newer")
}

// watched are the columns that are shown, as on the page: newest first, and last what has ended and no host has.
func watched(d *report.Document) (columns []int) {
	room := mostColumns
	for i := len(d.Drivers) - 1; i >= 0; i-- {
		if len(d.Drivers[i].Seen) > 0 || room > 0 && (!d.Drivers[i].Ended || compat.Compare(d.Drivers[i].Branch, "535") >= 0) {
			columns = append(columns, i)
			room--
		}
	}
	over := func(i int) int {
		if d.Drivers[i].Ended && len(d.Drivers[i].Seen) == 0 {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(columns, func(a, b int) int { return over(a) - over(b) })
	return columns
}

// column sums up what is known of an image on a driver branch.
func column(d *report.Document, p report.Platform, driver int) string {
	width := len(d.GPUs)
	if len(p.Grid) < width*(driver+1) {
		if p.Verdict == "pass" || p.Verdict == "warn" {
			return "needs no driver"
		}
		return "? not known"
	}
	n, seen, failed := map[string]int{}, 0, 0
	otherwise := false
	for _, at := range p.Grid[width*driver : width*(driver+1)] {
		if at < 0 {
			continue
		}
		a := d.Answers[at]
		n[a.Runs]++
		if a.How == report.Seen || a.How == report.Disagrees {
			seen++
			if a.Runs == "no" {
				failed++
			}
		}
		otherwise = otherwise || a.How == report.Disagrees
	}
	all := n["yes"] + n["limited"] + n["no"] + n[""]
	word := "○ yes"
	switch {
	case all == 0:
		return "-"
	case n["no"] == all:
		word = "× no"
	case n["no"] > 0:
		word = fmt.Sprintf("× not on %d of %d GPUs", n["no"], all)
	case n[""] > 0:
		word = "? not known"
	case n["limited"] > 0:
		word = "◐ limited"
	}
	switch {
	case otherwise:
		word += ", ▲ seen otherwise than predicted"
	case failed > 0:
		word += fmt.Sprintf(", ✖ seen to fail on %d", failed)
	case seen > 0:
		word += fmt.Sprintf(", ● seen to run on %d of %d GPUs", seen, all)
	}
	return word
}
