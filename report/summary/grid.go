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

const (
	// mostColumns of driver branches are shown, and all of which there are rows.
	mostColumns = 10
	// oldest is the branch before which those that get no updates are shown only if there are rows of them.
	oldest = "535"
)

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
		if len(driver.Hosts) > 0 {
			name += " (here)"
		}
		fmt.Fprintf(b, " %s |", text(name))
	}
	b.WriteString("\n| ---" + strings.Repeat(" | ---", len(columns)) + " |\n")
	shown := min(len(lines), mostRows)
	for i := range shown {
		fmt.Fprintf(b, "| %s | %s |\n", text(some(ids[i], 4)), lines[i])
	}
	leftOut(b, len(lines)-shown, "line", "those shown come first")
	leftOut(b, len(d.Drivers)-len(columns), "column", "those shown are of driver branches that rows here are of, or that are R535 and newer")
}

// watched are the columns that are shown, in the order of the page: first the branches that get updates or that a host here has,
// then the others, the newest first.
func watched(d *report.Document) []int {
	var kept, over []int
	for i, driver := range slices.Backward(d.Drivers) {
		if driver.Ended && len(driver.Hosts) == 0 {
			over = append(over, i)
		} else {
			kept = append(kept, i)
		}
	}
	room := mostColumns
	return slices.DeleteFunc(append(kept, over...), func(i int) bool {
		driver := d.Drivers[i]
		room--
		return len(driver.Seen) == 0 && (room < 0 || driver.Ended && compat.Compare(driver.Branch, oldest) < 0)
	})
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
	gpus, word := counted(all, "GPU"), "○ yes"
	switch {
	case all == 0:
		return "-"
	case n["no"] == all:
		word = "× no"
	case n["no"] > 0:
		word = fmt.Sprintf("× not on %d of %s", n["no"], gpus)
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
		word += fmt.Sprintf(", ● seen to run on %d of %s", seen, gpus)
	}
	return word
}
