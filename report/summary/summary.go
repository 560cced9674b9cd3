// SPDX-License-Identifier: Apache-2.0

// Package summary prints a report for places that draw no page: [Markdown] for the summary of a CI job, [Badge] for a README.
//
// Names, paths and reasons are words of others: they are escaped, cut, and never become a link, a mention or markup. Both say
// with words what colours and symbols say, and of what is left out how much it is.
package summary

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/report"
)

const (
	// mostRows of a table are printed, those first that are not well: GitHub takes 1 MiB for a summary, and people read less.
	mostRows = 250
	// mostOutside images are named of which rows are not counted.
	mostOutside = 12
	// mostText is how many characters of one text of others are printed. An escaped one may have eight bytes.
	mostText = 240
)

// symbols stand beside the words of states.
var symbols = map[report.State]string{
	report.Good: "✓", report.Noted: "•", report.Warned: "!", report.NotKnown: "?", report.Skipped: "–", report.Cancelled: "–", report.Bad: "✗",
}

// said is a state with its symbol; of a state that nobody knows it says so.
func said(s report.State) string {
	if symbols[s] == "" {
		s = report.NotKnown
	}
	return symbols[s] + " " + string(s)
}

// Markdown prints the report in GitHub's flavour, in less than 1 MiB.
func Markdown(w io.Writer, d *report.Document) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "## %s: %s\n\n%s\n", text(d.Title), said(d.Verdict.State), cut(d.Verdict.Sentence, 4*mostText))
	for _, line := range [][2]string{{"Predicted to fail", d.Verdict.FailsOn}, {"Predicted to run, newer functions fail", d.Verdict.LimitedOn}} {
		if line[1] != "" {
			fmt.Fprintf(&b, "\n%s: %s.\n", line[0], cut(line[1], 4*mostText))
		}
	}
	todo(&b, d)
	images(&b, d)
	grid(&b, d)
	changes(&b, d)
	ends(&b, d)
	looser(&b, d)
	fmt.Fprintf(&b, "\nMade on %s by cudabuild %s", d.Made.Format(time.DateOnly), text(d.Program))
	for _, s := range d.Sources {
		fmt.Fprintf(&b, "; %s %s", text(s.Kind), text(s.Name))
		if s.Says != "" {
			fmt.Fprintf(&b, " (%s)", text(s.Says))
		}
		if s.Problem != "" {
			fmt.Fprintf(&b, " **could not be read whole** (%s)", text(s.Problem))
		}
	}
	b.WriteString(".\n")
	outside(&b, d)
	_, err := w.Write(b.Bytes())
	return err
}

// outside says which rows are not counted, as they are of no image of the report.
func outside(b *bytes.Buffer, d *report.Document) {
	if len(d.Outside) == 0 {
		return
	}
	var words []string
	for _, c := range d.Outside[:min(len(d.Outside), mostOutside)] {
		words = append(words, text(c.Rows()))
	}
	fmt.Fprintf(b, "\nNot counted: %s.\n", strings.Join(words, "; "))
	leftOut(b, len(d.Outside)-len(words), "such image", "those shown have most rows")
}

func todo(b *bytes.Buffer, d *report.Document) {
	if len(d.Todo) == 0 {
		return
	}
	b.WriteString("\n### To do and to know\n\n")
	for _, i := range d.Todo {
		fmt.Fprintf(b, "- **%s** %s", said(i.State), text(i.Text))
		if i.Do != "" {
			fmt.Fprintf(b, " _%s_", text(i.Do))
		}
		if n := len(i.Images); n > 2 {
			fmt.Fprintf(b, " (%s)", text(some(i.Images, 12)))
		}
		b.WriteString("\n")
	}
}

func images(b *bytes.Buffer, d *report.Document) {
	if len(d.Images) == 0 {
		return
	}
	b.WriteString("\n### Images\n\n| image | state | size | digest | seen on GPUs | why |\n| --- | --- | ---: | --- | --- | --- |\n")
	list := d.Images
	if len(list) > mostRows {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(x, y report.Image) int {
			switch {
			case x.State.Worse(y.State):
				return -1
			case y.State.Worse(x.State):
				return 1
			}
			return 0
		})
		list = list[:mostRows]
	}
	for _, img := range list {
		size := "-"
		if img.SizeBytes > 0 {
			size = fmt.Sprintf("%.1f MB", float64(img.SizeBytes)/1e6)
			if img.Before != nil && img.Before.SizeBytes > 0 && img.Before.SizeBytes != img.SizeBytes {
				size += fmt.Sprintf(" (%+.1f)", float64(img.SizeBytes-img.Before.SizeBytes)/1e6)
			}
		}
		state := said(img.State)
		if img.Ended {
			state += ", ended"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", text(img.ID), state, size, text(short(img.Digest)), text(seen(d, img)), text(img.Why))
	}
	leftOut(b, len(d.Images)-len(list), "image", "those shown are the worst")
}

// seen says what rows of this very image showed.
func seen(d *report.Document, img report.Image) string {
	passed, not := 0, 0
	for _, r := range img.Rows {
		switch {
		case r.Discount != "":
		case r.Result == "pass":
			passed++
		default:
			not++
		}
	}
	otherwise := false
	for _, p := range img.Platforms {
		for _, at := range p.Grid {
			otherwise = otherwise || at >= 0 && d.Answers[at].How == report.Disagrees
		}
	}
	var words []string
	if passed > 0 {
		words = append(words, fmt.Sprintf("%d passed", passed))
	}
	if not > 0 {
		words = append(words, fmt.Sprintf("%d not passed", not))
	}
	if otherwise {
		words = append(words, "otherwise than predicted")
	}
	if rest := len(img.Rows) - passed - not; rest > 0 {
		words = append(words, fmt.Sprintf("%d not counted", rest))
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ", ")
}

func changes(b *bytes.Buffer, d *report.Document) {
	if d.Changes == nil {
		return
	}
	fmt.Fprintf(b, "\n### Changed since %s\n\n", text(d.Changes.Old.Name))
	if d.Changes.Same() {
		b.WriteString("Nothing has changed.\n")
		return
	}
	var counts []string
	for _, c := range d.Changes.Counts() {
		counts = append(counts, fmt.Sprintf("%d %s", c.N, c.What))
	}
	fmt.Fprintf(b, "Of %s: %s.\n\n", counted(len(d.Changes.Images), "image"), strings.Join(counts, ", "))
	judged(b, d.Changes)
	if len(d.Changes.Causes) == 0 {
		return
	}
	of := make([][]string, len(d.Changes.Causes)) // images by cause
	for _, i := range d.Changes.Images {
		for _, c := range i.Causes {
			if !slices.Contains(of[c], i.Cell) {
				of[c] = append(of[c], i.Cell)
			}
		}
	}
	b.WriteString("| cause | place | images | changes |\n| --- | --- | --- | ---: |\n")
	list := d.Changes.Causes[:min(len(d.Changes.Causes), mostRows)]
	for n, c := range list {
		fmt.Fprintf(b, "| %s: %s | %s | %s | %d |\n", text(string(c.Kind)), text(c.What), text(c.Place), text(some(of[n], 4)), c.Changes)
	}
	leftOut(b, len(d.Changes.Causes)-len(list), "cause", "those shown have most changes")
}

// judged lists the images of which tags, verdicts, predictions or rows changed, or that are there on one side alone.
func judged(b *bytes.Buffer, r *diff.Result) {
	list := slices.DeleteFunc(slices.Clone(r.Images), func(i diff.Image) bool {
		return i.Same() || i.State == diff.Changed && !i.Retagged() && !i.Rejudged()
	})
	if len(list) == 0 {
		return
	}
	b.WriteString("| image | is | built and verified | answers that changed | rows that changed |\n| --- | --- | --- | ---: | ---: |\n")
	for _, i := range list[:min(len(list), mostRows)] {
		is, verdict := string(i.State), text(i.NewVerdict)
		if i.Retagged() {
			is += ", other tags"
		}
		if i.OldVerdict != i.NewVerdict {
			verdict = fmt.Sprintf("%s → %s", text(cmp.Or(i.OldVerdict, "none")), text(cmp.Or(i.NewVerdict, "none")))
		}
		fmt.Fprintf(b, "| %s %s | %s | %s | %d | %d |\n", text(i.Cell), text(i.Platform), is, verdict, len(i.Predictions), len(i.Rows))
	}
	leftOut(b, len(list)-min(len(list), mostRows), "image", "those shown come first")
	b.WriteString("\n")
}

func ends(b *bytes.Buffer, d *report.Document) {
	if len(d.Ends) == 0 {
		return
	}
	b.WriteString("\n### Ends\n\n| what | ends | concerns |\n| --- | --- | --- |\n")
	list := d.Ends[:min(len(d.Ends), mostRows)]
	for _, e := range list {
		when := fmt.Sprintf("%s, in %s", e.End.Date, counted(e.Days, "day"))
		switch {
		case !e.Ended && e.Days == 0:
			when = e.End.Date + ", today"
		case e.Ended:
			when = strings.TrimSuffix("✗ ended "+e.End.Date, " ")
		}
		concerns := counted(len(e.Images), "image")
		if len(e.Images) == 0 {
			concerns = cmp.Or(some(e.Hosts, 4), "no host that is known here")
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", text(e.End.What), text(when), text(concerns))
	}
	leftOut(b, len(d.Ends)-len(list), "end", "those shown come first")
}

func looser(b *bytes.Buffer, d *report.Document) {
	if len(d.Looser) == 0 {
		return
	}
	b.WriteString("\n### Looser requirements\n\nThese refuse driver branches on which the image is predicted to run.\n\n| image | requires | could require | would admit |\n| --- | --- | --- | --- |\n")
	list := d.Looser[:min(len(d.Looser), mostRows)]
	for _, l := range list {
		admits := "R" + strings.Join(l.Drivers, ", R")
		if len(l.Seen) > 0 {
			admits += ", seen to run on R" + strings.Join(l.Seen, ", R")
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", text(l.Image), text(l.Requires), text(l.Could), text(admits))
	}
	leftOut(b, len(d.Looser)-len(list), "requirement", "those shown come first")
}

// leftOut says what a table does not show.
func leftOut(b *bytes.Buffer, n int, what, which string) {
	if n > 0 {
		fmt.Fprintf(b, "\n**Left out here: %s**; %s. The page has all.\n", counted(n, "more "+what), which)
	}
}

// counted is "1 image", "3 images".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// some are the first of a list, and how many more there are.
func some(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:n], ", "), len(list)-n)
}

func short(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	if hex == "" {
		return "no digest"
	}
	return hex[:min(len(hex), 12)]
}

var markup = strings.NewReplacer(
	"\n", " ", "\t", " ", `\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "~", `\~`, "#", `\#`,
	"<", "&lt;", ">", "&gt;", "&", "&amp;", "@", "&#64;", "$", "&#36;", "://", "&#58;//", "www.", "www&#46;",
)

// text is what others wrote, as it is to be read.
func text(s string) string { return cut(s, mostText) }

func cut(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return markup.Replace(plain.Text(s))
}
