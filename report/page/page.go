// SPDX-License-Identifier: Apache-2.0

// Package page prints a report as one HTML file that needs no network: [Write] the whole of it, [WriteDiff] a difference alone.
//
// Without script it shows the verdict, what to do, the matrix, the grid with the worst GPU of each driver branch, ends, and trends;
// what is in each image, and the answers for each GPU, lie in it compressed and are unpacked when somebody asks for them.
// It promises that each state has a shape and a word of its own, that what names, paths and reasons say is never markup, and that the
// page loads nothing. It decides nothing: what a report says is package report's.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/report"
)

var (
	//go:embed *.html
	templates embed.FS
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"size": size, "delta": delta, "day": day, "short": short, "list": list, "number": number, "numbers": numbers, "many": many, "agreement": agreement,
	"symbol": symbol, "states": imageStates, "ended": ended, "counts": counts, "spans": spans, "legend": legend, "scriptHash": scriptHash,
	"at":     func(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) },
	"inc":    func(i int) int { return i + 1 },
	"marks":  func() []mark { return marks },
	"per":    func() int { return perBundle },
	"style":  func() template.CSS { return template.CSS(style + rules()) }, //nolint:gosec // ours
	"script": func() template.JS { return template.JS(script) },            //nolint:gosec // ours
}).ParseFS(templates, "*.html"))

// scriptHash is the one script that the policy of the page lets run: what slips through as markup does nothing.
func scriptHash() string {
	sum := sha256.Sum256([]byte(script))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// ended says whether something of the images gets no updates.
func ended(images []report.Image) bool {
	return slices.ContainsFunc(images, func(i report.Image) bool { return i.Ended })
}

// Write prints the page of a report. Errors are w's.
func Write(w io.Writer, d *report.Document) error {
	d = inOrder(d)
	view := struct {
		*report.Document
		Todo    []line // at once, and
		Further []line // when asked for
		Matrix  []system
		Grid    grid
		Plots   []plot
		More    int // trends that stand with their images alone
		Changes *changes
		Data    []bundle
	}{Document: d, Matrix: matrix(d), Grid: summarize(d)}
	view.Todo, view.Further = lines(d.Todo)
	view.Plots, view.More = plots(d)
	if d.Changes != nil {
		view.Changes = changesOf(d.Changes, false)
		view.Changes.link(d)
	}
	var err error
	if view.Data, err = bundles(d); err != nil {
		return err
	}
	return render(w, "page", view)
}

// WriteDiff prints the page of a difference alone. Errors are w's.
func WriteDiff(w io.Writer, r *diff.Result) error { return render(w, "diff", changesOf(r, true)) }

// render prints a template with what cannot be seen as escapes.
func render(w io.Writer, name string, view any) error {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, view); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	_, err := plain.To(w).Write(b.Bytes())
	return err
}

// size is a number of bytes in words: "1.2 GB".
func size(n int64) string {
	f := float64(n)
	for _, unit := range []string{"B", "kB", "MB"} {
		if f < 1000 {
			return number(f) + " " + unit
		}
		f /= 1000
	}
	return number(f) + " GB"
}

// delta is how much something grew, with its sign: "+1.2 MB", "the same".
func delta(old, now int64) string {
	switch {
	case now > old:
		return "+" + size(now-old)
	case now < old:
		return "−" + size(old-now)
	}
	return "the same"
}

// number has three digits that say something, or all before the point, thousands apart.
func number(f float64) string {
	if f > -1000 && f < 1000 {
		return strconv.FormatFloat(f, 'g', 3, 64)
	}
	text := strconv.FormatFloat(f, 'f', 0, 64)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func day(t time.Time) string {
	if t.IsZero() {
		return "no date"
	}
	return t.UTC().Format(time.DateOnly)
}

// short is the beginning of a digest, enough to tell it from others.
func short(digest string) string {
	kind, hex, ok := strings.Cut(digest, ":")
	if !ok || len(hex) <= 12 {
		return digest
	}
	return kind + ":" + hex[:12]
}

// many is a number of things: "1 image", "2 images".
func many(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// numbers are some with blanks between them, as the script splits them.
func numbers(n []int) string { return strings.Trim(fmt.Sprint(n), "[]") }

func list(s []string) string { return strings.Join(s, ", ") }

// agreement says how a row stands to what was predicted, "" if nothing was.
func agreement(agrees *bool) string {
	switch {
	case agrees == nil:
		return ""
	case *agrees:
		return "agrees"
	}
	return "disagrees"
}
