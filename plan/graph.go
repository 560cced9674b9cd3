// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/matrix"
)

// maxDrawn is how many cells are drawn one by one. Renderers refuse more than 500
// edges or 50,000 characters (Mermaid's maxEdges and maxTextSize, which a diagram
// cannot raise), and nobody reads them.
const maxDrawn = 100

// Graph returns a Mermaid flowchart of the layers that the cells share, each once:
// from an OS over its flavors to the samples, with a dotted arrow from the image that
// compiles a sample. A dashed box is a cell that is built but was not selected. Of
// more than 100 cells, the CUDA releases of an OS that have the same layers are one box.
func Graph(cells []matrix.Cell) string {
	g := &graph{drawn: map[string]bool{}, shapes: map[string]string{}}
	if len(cells) > maxDrawn {
		g.releases(cells)
	} else {
		g.cells(cells)
	}
	return "flowchart LR\n" + g.text.String()
}

type graph struct {
	text   strings.Builder
	drawn  map[string]bool   // by ID
	shapes map[string]string // of the selected cells, by ID
}

func (g *graph) line(format string, args ...any) { fmt.Fprintf(&g.text, "  "+format+"\n", args...) }

// box returns a box for an arrow to end at: the first time with its label.
func (g *graph) box(id, shape, label string) string {
	if g.drawn[id] {
		return name(id)
	}
	g.drawn[id] = true
	return name(id) + fmt.Sprintf(shape, label)
}

const (
	rootShape   = `(["%s"])`
	layerShape  = `["%s"]`
	sampleShape = `("%s")`
	dashedShape = `["%s"]:::dashed`
)

func (g *graph) cells(cells []matrix.Cell) {
	for _, c := range cells {
		g.shapes[c.ID] = layerShape
		if c.Sample != "" {
			g.shapes[c.ID] = sampleShape
		}
	}
	for _, c := range cells {
		if c.Parent == "" {
			g.line("%s --> %s", g.root(c), g.cell(c, c.ID))
		} else {
			g.line("%s --> %s", g.cell(c, c.Parent), g.cell(c, c.ID))
		}
		if c.Builder != "" {
			g.line("%s -. compiles .-> %s", g.cell(c, c.Builder), name(c.ID))
		}
	}
	if strings.Contains(g.text.String(), dashedShape[len(layerShape):]) {
		g.line("classDef dashed stroke-dasharray: 4 4")
	}
}

// root is the OS of a cell.
func (g *graph) root(c matrix.Cell) string { return g.box(c.OS, rootShape, c.OS) }

// cell is c, or one below it. If that is not selected, nothing is known of the layers
// under it but the OS.
func (g *graph) cell(c matrix.Cell, id string) string {
	shape, selected := g.shapes[id]
	if !selected && !g.drawn[id] {
		g.line("%s -.-> %s", g.root(c), g.box(id, dashedShape, id))
	}
	return g.box(id, shape, id)
}

// releases draws a box for the CUDA releases of an OS that have the same layers, those
// of each major release by themselves.
func (g *graph) releases(cells []matrix.Cell) {
	type stack struct{ os, major, kinds string }
	first := map[stack]matrix.Cell{}
	cuda := map[stack][]string{}
	var order []stack
	for _, release := range byRelease(cells) {
		c := release[0]
		major, _, _ := strings.Cut(c.CUDA, ".")
		s := stack{c.OS, major, kinds(release)}
		if len(cuda[s]) == 0 {
			first[s], order = c, append(order, s)
		}
		cuda[s] = append(cuda[s], c.CUDA)
	}
	for _, s := range order {
		c := first[s]
		var lines []string
		for some := range slices.Chunk(cuda[s], perLine) {
			lines = append(lines, "<b>"+strings.Join(some, " ")+"</b>")
		}
		label := strings.Join(append(lines, s.kinds), "<br>")
		g.line("%s --> %s", g.root(c), g.box(c.CUDA+"-"+c.OS, layerShape, label))
	}
}

// perLine is how many releases stand side by side in a box.
const perLine = 6

// byRelease returns the cells of each OS and CUDA release together, in their order.
func byRelease(cells []matrix.Cell) [][]matrix.Cell {
	type release struct{ os, cuda string }
	place := map[release]int{}
	var all [][]matrix.Cell
	for _, c := range cells {
		r := release{c.OS, c.CUDA}
		i, known := place[r]
		if !known {
			i = len(all)
			place[r] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], c)
	}
	return all
}

// kinds lists the flavors of a release, and in a second line its samples.
func kinds(release []matrix.Cell) string {
	var flavors, samples []string
	for _, c := range release {
		if c.Sample != "" {
			samples = append(samples, c.Sample)
		} else {
			flavors = append(flavors, string(c.Flavor))
		}
	}
	lines := []string{strings.Join(flavors, ", "), strings.Join(samples, ", ")}
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), "<br>")
}

// name returns the name of a box: letters, digits and underscores, and no word of
// the language. IDs have no two separators in a row, so no two become one.
func name(id string) string {
	return "c_" + strings.NewReplacer(".", "_", "-", "__", "_", "___").Replace(id)
}
