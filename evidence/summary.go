// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/internal/plain"
)

// What is said of what others wrote is bounded, in lines and in bytes of each.
const mostLines, mostInLine = 20, 400

// lines bounds what is said.
func lines(all []string) []string {
	for i := range all {
		all[i] = line(all[i])
	}
	all = slices.DeleteFunc(all, func(line string) bool { return line == "" })
	if more := len(all) - mostLines; more > 0 {
		all = append(all[:mostLines-1], fmt.Sprintf("and %d more", more+1))
	}
	return all
}

// line is text in one line for a terminal.
func line(text string) string {
	text = plain.Text(strings.Join(strings.Fields(text), " "))
	if len(text) > mostInLine {
		text = strings.ToValidUTF8(text[:mostInLine-3], "") + "..."
	}
	return text
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

func (r verdicts) summary() (lines []string) {
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
func (r runs) summary() (lines []string) {
	type where struct{ test, gpu, driver string }
	newest, count := map[where]run{}, map[where]int{}
	for _, row := range r.Rows { // oldest first
		at := where{row.Sample, "", row.Host.Driver}
		for _, g := range row.Host.GPUs {
			at.gpu = cmp.Or(at.gpu, g.Name)
		}
		if row.Under != nil {
			at.gpu, at.driver = row.Under.GPU, row.Under.Driver
		}
		newest[at] = row
		count[at]++
	}
	for at, row := range newest {
		line := fmt.Sprintf("%s: %s on %s, driver %s, %s", at.test, row.Result, cmp.Or(at.gpu, "no GPU"), at.driver, row.Started.UTC().Format(time.DateOnly))
		if n := count[at]; n > 1 {
			line += fmt.Sprintf(" (%d rows)", n)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func (v vsa) summary() []string {
	lines := []string{fmt.Sprintf("%s: %s, by policy sha256:%s", v.Result, strings.Join(v.Levels, ", "), v.Policy.Digest["sha256"])}
	return append(lines, v.Extension.Met...)
}
