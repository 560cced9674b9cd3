// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/plain"
)

// What is said of what others wrote is bounded, in lines and in bytes of each.
const mostLines, mostInLine = 20, 400

// Summary says in a few lines what the document says, for a terminal; never more than 20 of 400 bytes, and none is
// empty.
func (d Document) Summary() []string {
	var lines []string
	var err error
	switch d.Kind {
	case SBOM:
		lines, err = summarize(d, spdx.summary)
	case Provenance:
		lines, err = summarize(d, provenance.summary)
	case Report:
		lines, err = summarize(d, report.summary)
	case Rows:
		lines, err = summarize(d, rows.summary)
	case VSA:
		lines, err = summarize(d, vsa.summary)
	}
	if err != nil {
		lines = []string{"not as its type says: " + err.Error()}
	}
	for i := range lines {
		lines[i] = line(lines[i])
	}
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "" })
	if more := len(lines) - mostLines; more > 0 {
		lines = append(lines[:mostLines-1], fmt.Sprintf("and %d more", more+1))
	}
	return lines
}

// line is text in one line for a terminal.
func line(text string) string {
	text = plain.Text(strings.Join(strings.Fields(text), " "))
	if len(text) > mostInLine {
		text = strings.ToValidUTF8(text[:mostInLine-3], "") + "..."
	}
	return text
}

// summarize reads the predicate.
func summarize[T any](d Document, lines func(T) []string) ([]string, error) {
	var predicate T
	err := json.Unmarshal(d.Predicate, &predicate)
	return lines(predicate), err
}

func (s spdx) summary() []string {
	packages := 0
	for _, p := range s.Packages {
		if p.Purpose != imagePurpose && p.Purpose != layerPurpose {
			packages++
		}
	}
	return []string{fmt.Sprintf("%s, %d packages", s.Version, packages)}
}

func (p provenance) summary() []string {
	by, e := p.Run.Builder, p.Definition.External
	lines := []string{fmt.Sprintf("%s for %s", e.Cell, strings.Join(e.Platforms, ", "))}
	if e.Group != "" {
		lines[0] += ", group " + e.Group
	}
	var tools []string
	for _, name := range slices.Sorted(maps.Keys(by.Version)) {
		tools = append(tools, name+" "+by.Version[name])
	}
	if len(tools) > 0 {
		lines = append(lines, "by "+strings.Join(tools, ", "))
	}
	var files int
	for _, d := range p.Definition.Resolved {
		switch d.Annotations.Kind {
		case "matrix", "root", "lists":
			lines = append(lines, d.line())
		default:
			files++
		}
	}
	if files > 0 {
		lines = append(lines, fmt.Sprintf("and of %d other things: recipes, repositories, keys, sources", files))
	}
	return lines
}

func (d dependency) line() string {
	line := "of " + d.Annotations.Kind
	if d.Annotations.Platform != "" {
		line += " for " + d.Annotations.Platform
	}
	if sum := d.Digest["sha256"]; sum != "" {
		line += " sha256:" + sum
	}
	if !d.Annotations.Date.IsZero() {
		line += ", " + d.Annotations.Date.Format(time.DateOnly)
	}
	return line
}

func (r report) summary() (lines []string) {
	for _, i := range r.Images {
		line := fmt.Sprintf("%s: %s, %d findings, rules %s", i.Platform, i.Verdict, len(i.Findings), i.Rules)
		if driver := i.Portability.MinDriver; driver != "" {
			line += ", needs driver " + driver
		}
		lines = append(lines, line)
	}
	return lines
}

// summary has a line for each test on each kind of GPU with each driver: its newest row.
func (r rows) summary() (lines []string) {
	type where struct{ test, gpu, driver string }
	newest, count := map[where]gpu.Row{}, map[where]int{}
	for _, row := range r.Rows { // oldest first
		at := where{row.Sample, "", row.Host.Driver}
		for _, g := range row.Host.GPUs {
			at.gpu = cmp.Or(at.gpu, g.Name)
		}
		if row.Under != nil {
			at.gpu, at.driver = row.Under.GPU, row.Under.Driver
		}
		newest[at] = row.Row
		count[at]++
	}
	for at, row := range newest {
		lines = append(lines, fmt.Sprintf("%s: %s on %s, driver %s, %s (%d rows)", at.test, row.Result, cmp.Or(at.gpu, "no GPU"), at.driver, row.Started.UTC().Format(time.DateOnly), count[at]))
	}
	slices.Sort(lines)
	return lines
}

func (v vsa) summary() []string {
	lines := []string{fmt.Sprintf("%s: %s, by policy sha256:%s", v.Result, strings.Join(v.Levels, ", "), v.Policy.Digest["sha256"])}
	return append(lines, v.Extension.Met...)
}
