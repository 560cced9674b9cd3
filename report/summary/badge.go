// SPDX-License-Identifier: Apache-2.0

package summary

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/report"
)

// colours are behind white text; each has a contrast of 4.5 and more with it.
var colours = map[report.State]string{
	report.Good: "#1a7f37", report.Warned: "#8a5a00", report.NotKnown: "#57606a", report.Skipped: "#57606a", report.Cancelled: "#57606a", report.Bad: "#cf222e",
}

// Badge draws the verdict as an SVG that stands alone.
func Badge(w io.Writer, d *report.Document) error {
	state, well := d.Verdict.State, 0
	if colours[state] == "" {
		state = report.NotKnown
	}
	for _, img := range d.Images {
		if img.State == report.Good || img.State == report.Warned {
			well++
		}
	}
	left, right := label(d.Title), fmt.Sprintf("%s %s, %d of %d passed", symbols[state], state, well, len(d.Images))
	l, r := width(left), width(right)
	const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="20" role="img" aria-label="%[4]s: %[5]s">
<title>%[4]s: %[5]s</title>
<rect width="%[1]d" height="20" rx="3" fill="#24292f"/>
<path d="M%[2]d 0h%[6]da3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-%[6]dz" fill="%[3]s"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-rendering="geometricPrecision">
<text x="6" y="14" textLength="%[7]d">%[4]s</text>
<text x="%[8]d" y="14" textLength="%[9]d">%[5]s</text>
</g>
</svg>
`
	_, err := fmt.Fprintf(w, svg, l+r+24, l+12, colours[state], escape(left), escape(right), r+9, l, l+18, r)
	return err
}

// label is a title that fits into a badge.
func label(title string) string {
	const most = 40
	if utf8.RuneCountInString(title) > most {
		title = string([]rune(title)[:most-1]) + "…"
	}
	return plain.Text(title)
}

// width is about how many pixels a text has, to which it is then drawn.
func width(text string) int {
	tenths := 0
	for _, r := range text {
		switch {
		case r == 'i' || r == 'l' || r == 'j' || r == '.' || r == ',' || r == ' ' || r == ':' || r == '/' || r == '!':
			tenths += 39
		case r == 'm' || r == 'w' || r == 'M' || r == 'W':
			tenths += 95
		case r >= 0x1100: // of languages whose letters are as wide as high
			tenths += 110
		default:
			tenths += 68
		}
	}
	return (tenths + 9) / 10
}

func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}
