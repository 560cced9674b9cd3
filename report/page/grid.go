// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/cudabuild/cudabuild/report"
)

// grid is the portability grid in short: for each image and driver branch what its worst GPU has.
type grid struct {
	Drivers []report.Driver
	GPUs    []report.GPU
	Rows    []gridRow
}

// gridRow is one image. Of neighbours that are equal there is one cell.
type gridRow struct {
	Image report.Image
	None  string // why there is no answer at all, "" if there are
	Cells []gridCell
}

// gridCell is the same answer on some neighbouring driver branches.
type gridCell struct {
	mark
	Note  string // "sm_120", the worst GPU where others are better; "seen sm_90" where it is the best that is seen, and then
	Seen  string // the class of the worst mark of these, "" else
	Span  int
	Ended bool // the branch gets no updates
}

func summarize(d *report.Document) grid {
	g := grid{Drivers: d.Drivers, GPUs: d.GPUs}
	ranks := make([]int, len(d.Answers))
	for i, a := range d.Answers {
		ranks[i] = rank(a)
	}
	for _, image := range d.Images {
		row := gridRow{Image: image, None: nothingKnown(image)}
		merged := merge(d, image, ranks)
		if row.None == "" && merged == nil {
			row.None = "not known: its answers are of other drivers and GPUs"
		}
		for i, driver := range d.Drivers {
			if row.None != "" {
				break
			}
			cell := worst(d, merged[i*len(d.GPUs):(i+1)*len(d.GPUs)], ranks)
			cell.Ended = driver.Ended
			if n := len(row.Cells); n > 0 && row.Cells[n-1].same(cell) {
				row.Cells[n-1].Span++
				continue
			}
			row.Cells = append(row.Cells, cell)
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// spans tells page.css how many columns a cell spans: where each row is a grid of its own it has to be as wide, and it shows
// its symbol once in each.
func spans(g grid) template.CSS {
	var b strings.Builder
	for n := 2; n <= max(len(g.Drivers), len(g.GPUs)); n++ {
		fmt.Fprintf(&b, "#answers [colspan=\"%d\"]{--span:%d;grid-column-end:span %d}\n", n, n, n)
	}
	return template.CSS(b.String()) //nolint:gosec // numbers
}

func (c gridCell) same(next gridCell) bool {
	return c.Class == next.Class && c.Note == next.Note && c.Seen == next.Seen && c.Ended == next.Ended
}

// nothingKnown says why an image has no answers, "" if a platform of it has.
func nothingKnown(image report.Image) string {
	why := "not known: there is no image"
	for _, p := range image.Platforms {
		switch {
		case len(p.Grid) > 0:
			return ""
		case p.Verdict == "" || p.Verdict == "unknown":
			why = "not known: it was not verified"
		default:
			why = "it needs nothing of a driver"
		}
	}
	return why
}

// unread stands in a merged grid where a platform has no answers and others have.
const unread = -2

// merge is the worst answer of all platforms for each driver and GPU, as indexes into the answers; nil if there are none.
func merge(d *report.Document, image report.Image, ranks []int) []int {
	var all []int
	for _, p := range image.Platforms {
		if all == nil && len(p.Grid) > 0 {
			all = append(all, p.Grid...)
		}
	}
	if len(all) != len(d.Drivers)*len(d.GPUs) {
		return nil
	}
	for _, p := range image.Platforms {
		for i := range all {
			at := unread
			if i < len(p.Grid) {
				at = p.Grid[i]
			}
			if rankAt(ranks, at) < rankAt(ranks, all[i]) {
				all[i] = at
			}
		}
	}
	return all
}

func rankAt(ranks []int, at int) int {
	switch {
	case at == unread:
		return open
	case at < 0 || at >= len(ranks):
		return nothing
	}
	return ranks[at]
}

// worst is the cell of one driver branch.
func worst(d *report.Document, answers, ranks []int) gridCell {
	at, low, differ := nothing, nothing, false // the worst, and the worst that is seen
	var archs, shown []string
	for i, answer := range answers {
		r := rankAt(ranks, answer)
		if r == nothing {
			continue
		}
		if seen(r) {
			shown, low = append(shown, d.GPUs[i].Arch), min(low, r)
		}
		differ = differ || len(archs) > 0 && r != at
		if r < at {
			at, archs = r, nil
		}
		if r == at {
			archs = append(archs, d.GPUs[i].Arch)
		}
	}
	cell := gridCell{mark: marks[at], Span: 1}
	switch {
	case !differ:
	case at <= limited:
		cell.Note = archs[0]
		if len(archs) > 1 {
			cell.Note += " +" + number(float64(len(archs)-1))
		}
	case len(shown) > 0:
		cell.Note, cell.Seen = "seen "+strings.Join(shown, " "), marks[low].Class
	}
	return cell
}
