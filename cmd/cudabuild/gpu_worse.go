// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/cudabuild/cudabuild/gpu"
)

// regression is a [gpu.Regression] as gpu --json has it.
type regression struct {
	Cell   string    `json:"cell"`
	Digest string    `json:"digest"`
	Engine string    `json:"engine"`
	Why    string    `json:"why"`
	Test   string    `json:"test"` // name of the sample or test
	State  gpu.State `json:"state"`
	figure
}

// baseline is a figure of a row beside its baseline.
type baseline struct {
	Cell   string `json:"cell"`
	Digest string `json:"digest"`
	Engine string `json:"engine"`
	Test   string `json:"test"`
	State  string `json:"state"` // "baseline" or "no baseline"
	figure
}

// figure is empty in a regression that is not slower.
type figure struct {
	Figure string `json:"figure"`
	Now    int    `json:"now"` // starts of this run, of which the value is the median
	gpu.Measured
	gpu.Baseline
}

func figureOf(c gpu.Compared) figure { return figure{c.Figure, c.Now, c.Measured, c.Baseline} }

func regressions(worse []gpu.Regression) []regression {
	out := []regression{}
	for _, g := range worse {
		out = append(out, regression{g.Row.Cell, g.Row.Digest, g.Row.Engine, g.Why, g.Row.Sample, g.State, figureOf(g.Figure)})
	}
	return out
}

func baselines(figures []gpu.Compared) []baseline {
	out := []baseline{}
	for _, c := range figures {
		state := "baseline"
		if !c.Enough() {
			state = "no baseline"
		}
		out = append(out, baseline{c.Row.Cell, c.Row.Digest, c.Row.Engine, c.Row.Sample, state, figureOf(c)})
	}
	return out
}

// called is what is run by whom, in the lines below the table.
func called(r gpu.Row) string { return named(r) + " by " + r.Engine }

// comparison are the lines about what was left out, what has no baseline, and what is worse.
func comparison(worse []gpu.Regression, figures []gpu.Compared, left []skipped) []string {
	var lines []string
	for _, s := range left {
		lines = append(lines, fmt.Sprintf("skipped: %s: %s", called(s.row), s.Why))
	}
	lines = append(lines, unknownFigures(figures)...)
	for _, g := range worse {
		state := "worse than before"
		if g.State == gpu.Flaky {
			state = "flaky"
		}
		lines = append(lines, fmt.Sprintf("%s: %s: %s", state, called(g.Row), ends(g.Why)))
	}
	return lines
}

// unknownFigures names the figures without a baseline, in a line for each program.
func unknownFigures(figures []gpu.Compared) []string {
	var order []string
	names := map[string][]string{}
	for _, c := range figures {
		if c.Enough() {
			continue
		}
		of := fmt.Sprintf("no baseline (%d of 10 starts): %s: ", c.Starts, called(c.Row))
		if names[of] == nil {
			order = append(order, of)
		}
		names[of] = append(names[of], oneLine(c.Figure))
	}
	for i, of := range order {
		order[i] = of + strings.Join(names[of], ", ")
	}
	return order
}
