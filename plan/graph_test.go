// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
)

func TestGraph(t *testing.T) {
	t.Parallel()
	tests := map[string][]matrix.Cell{
		"default":   expand(t, file),
		"some":      expand(t, file, "12.4-devel-*", "12.4-nbody-*", "11.8-deviceQuery-*"),
		"many":      made(40, 5),
		"no cells":  nil,
		"100 cells": made(4, 5),
	}
	for name, cells := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := plan.Graph(cells)
			checkMermaid(t, got)
			if name != "no cells" && name != "100 cells" {
				golden.Check(t, "testdata/"+name+".mmd", got)
			}
		})
	}
}

// TestGraphOfAll holds that a renderer takes the picture of every group of our own matrix.
func TestGraphOfAll(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../matrix.yaml")
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	m, err := matrix.Parse("matrix.yaml", data, catalog)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range m.Groups() {
		cells, err := m.Expand(group, nil)
		if err != nil {
			t.Fatal(err)
		}
		checkMermaid(t, plan.Graph(cells))
	}
}

// made are cells of releases for systems, five for each pair.
func made(releases, systems int) []matrix.Cell {
	var cells []matrix.Cell
	for i := range systems {
		for j := range releases {
			c := matrix.Cell{OS: fmt.Sprintf("os%d.04", i), CUDA: fmt.Sprintf("%d.%d", 10+j/10, j%10)}
			for _, f := range []recipes.Flavor{recipes.Base, recipes.Runtime, recipes.Devel} {
				parent := c.ID
				c.ID = c.CUDA + "-" + string(f) + "-" + c.OS
				cells = append(cells, matrix.Cell{ID: c.ID, OS: c.OS, CUDA: c.CUDA, Flavor: f, Parent: parent})
			}
			for _, s := range []string{"deviceQuery", "nbody"} {
				cells = append(cells, matrix.Cell{
					ID: c.CUDA + "-" + s + "-" + c.OS, OS: c.OS, CUDA: c.CUDA, Sample: s,
					Parent: c.CUDA + "-base-" + c.OS, Builder: c.CUDA + "-devel-" + c.OS,
				})
			}
		}
	}
	return cells
}

// The part of Mermaid's flowchart language that Graph may use.
// Source: mermaid.js.org/syntax/flowchart.html.
var (
	arrowLine = regexp.MustCompile(`^  (.*?) (?:-->|-\.->|-\. [a-z]+ \.->) (.*)$`)
	boxForm   = regexp.MustCompile(`^(\w+)((?:\(\["([^"]+)"\]\)|\["([^"]+)"\]|\("([^"]+)"\))(?::::(\w+))?)?$`)
	classLine = regexp.MustCompile(`^  classDef (\w+) stroke-dasharray: \d+ \d+$`)
	reserved  = regexp.MustCompile(`^(?i:end|graph|flowchart|subgraph|class|classdef|style|click|default|linkstyle|direction)$`)
	labelText = regexp.MustCompile(`^(?:[A-Za-z0-9._, -]|<br>|</?b>)+$`)
)

// checkMermaid reports what no renderer would take: other syntax, arrows between boxes
// that are not drawn, boxes drawn twice, and more than the limits that a diagram cannot
// raise (500 edges, 50,000 characters).
func checkMermaid(t *testing.T, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != "flowchart LR" {
		t.Errorf("first line %q, want flowchart LR", lines[0])
	}
	boxes, styled, styles := map[string]bool{}, map[string]bool{}, map[string]bool{}
	edges := 0
	end := func(text string) {
		m := boxForm.FindStringSubmatch(text)
		switch {
		case m == nil || reserved.MatchString(m[1]):
			t.Errorf("%q is no box", text)
		case m[2] == "" && !boxes[m[1]]:
			t.Errorf("an arrow ends at %s, which is not drawn", m[1])
		case m[2] != "" && (boxes[m[1]] || !labelText.MatchString(m[3]+m[4]+m[5])):
			t.Errorf("%q is drawn twice, or has a label that needs quoting", text)
		default:
			boxes[m[1]], styled[m[6]] = true, true
		}
	}
	for _, line := range lines[1:] {
		if m := arrowLine.FindStringSubmatch(line); m != nil {
			end(m[1])
			end(m[2])
			edges++
		} else if m := classLine.FindStringSubmatch(line); m != nil {
			styles[m[1]] = true
		} else {
			t.Errorf("%q is no line of a flowchart", line)
		}
	}
	for style := range styled {
		if style != "" && !styles[style] {
			t.Errorf("style %s is not defined", style)
		}
	}
	if edges > 500 || len(text) > 50_000 {
		t.Errorf("%d edges, %d characters, more than renderers take", edges, len(text))
	}
}
