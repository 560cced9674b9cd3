// SPDX-License-Identifier: Apache-2.0

package summary_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/internal/reporttest"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/report/summary"
)

func markdown(t testing.TB, d *report.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := summary.Markdown(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func badge(t testing.TB, d *report.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := summary.Badge(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	golden.Check(t, "testdata/example.md", markdown(t, reporttest.Document()))
}

func TestBadge(t *testing.T) {
	t.Parallel()
	golden.Check(t, "testdata/example.svg", badge(t, reporttest.Document()))
}

// TestMarkdownSaysWhatItLeavesOut: GitHub takes no more than 1 MiB.
func TestMarkdownSaysWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	d := reporttest.Big(2196, 19, 8)
	got := markdown(t, d)
	if len(got) > 1<<20 || !strings.Contains(got, fmt.Sprintf("Left out here: %d more images", len(d.Images)-250)) {
		t.Errorf("%d bytes of Markdown for %d images, want less than 1 MiB that say what is left out", len(got), len(d.Images))
	}
	last := d.Images[len(d.Images)-1].ID
	d.Images[len(d.Images)-1].State = report.Bad
	if got := markdown(t, d); !strings.Contains(got, "| "+last+" | ✗ failed") {
		t.Errorf("the failed image %s is left out, want the worst first", last)
	}
}

// TestOneOfAKind: of one thing no sentence speaks as of many.
func TestOneOfAKind(t *testing.T) {
	t.Parallel()
	d := reporttest.Document()
	d.Ends[0].Days, d.GPUs, d.Changes.Images = 1, d.GPUs[:1], d.Changes.Images[:1]
	for i := range d.Images {
		for j := range d.Images[i].Platforms {
			d.Images[i].Platforms[j].Grid = nil
		}
	}
	got := markdown(t, d)
	if many := regexp.MustCompile(`\b1 (more )?(images|days|columns|GPUs)\b`).FindString(got); many != "" || !strings.Contains(got, ", in 1 day |") {
		t.Errorf("the Markdown says %q:\n%s", many, got)
	}
}

// TestColumns stand in the order of the page, also where a host has had a branch and has it no more.
func TestColumns(t *testing.T) {
	t.Parallel()
	d := reporttest.Document()
	for i := range d.Drivers {
		if d.Drivers[i].Branch == "535" {
			d.Drivers[i].Hosts = nil
		}
	}
	if want := "| images | R620 | R595 | R580 (here) | R470 (ended) (here) | R610 (ended) | R590 (ended) | R570 (ended) | R550 (ended) | R535 (ended) |"; !strings.Contains(markdown(t, d), want) {
		t.Errorf("the columns are not %s:\n%s", want, markdown(t, d))
	}
}

// TestForeignWords: what others wrote is text, in Markdown and in SVG.
func TestForeignWords(t *testing.T) {
	t.Parallel()
	const evil = "a|b\n# c <script>alert(1)</script> [x](javascript:1) `code` *b* @all https://evil.example www.evil.example $x$ &lt; \x1b[31m\u202e\xff\" onload=\"1"
	d := reporttest.Document()
	d.Title, d.Verdict.Sentence, d.Changes.Causes[0].What, d.Sources[0].Name = evil, evil, evil, evil
	d.Images[0].ID, d.Images[0].Why, d.Images[0].Digest, d.Todo[0].Text, d.Todo[0].Do, d.Ends[0].End.What = evil, evil, "sha256:"+evil, evil, evil, evil
	md := markdown(t, d)
	for _, bad := range []string{"<script", "[x](", "https://evil", "www.evil", "@all", "\x1b", "\u202e", "\xff", "\n# c", "a|b", " `code", " *b*"} {
		if strings.Contains(md, bad) {
			t.Errorf("the Markdown has %q of others' words, want it escaped", bad)
		}
	}
	svg := badge(t, d)
	dec := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the badge is no XML: %v\n%s", err, svg)
		}
		if start, ok := token.(xml.StartElement); ok {
			if start.Name.Local == "script" {
				t.Errorf("the badge has a script:\n%s", svg)
			}
			for _, a := range start.Attr {
				if strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("the badge has the attribute %s:\n%s", a.Name.Local, svg)
				}
			}
		}
	}
}

// TestBadgeStates: each state has its word, and a colour that can be read under white.
func TestBadgeStates(t *testing.T) {
	t.Parallel()
	fill := regexp.MustCompile(`z" fill="#([0-9a-f]{6})"`)
	for state, word := range map[report.State]string{
		report.Good: "good", report.Warned: "warned", report.NotKnown: "unknown", report.Skipped: "skipped", report.Cancelled: "cancelled", report.Bad: "failed",
		"brilliant": "unknown",
	} {
		svg := badge(t, &report.Document{Title: "cuda", Verdict: report.Verdict{State: state}})
		colour := fill.FindStringSubmatch(svg)
		if !strings.Contains(svg, " "+word+", 0 of 0 passed</title>") || colour == nil {
			t.Errorf("%s: no word or colour:\n%s", state, svg)
			continue
		}
		if c := 1.05 / (luminance(t, colour[1]) + 0.05); c < 4.5 {
			t.Errorf("%s: white on #%s has a contrast of %.2f, want 4.5", state, colour[1], c)
		}
	}
}

// luminance is that of WCAG 2.2.
func luminance(t *testing.T, colour string) (sum float64) {
	t.Helper()
	for i, share := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			sum += share * c / 12.92
		} else {
			sum += share * math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return sum
}
