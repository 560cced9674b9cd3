// SPDX-License-Identifier: Apache-2.0

package emit

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
)

//go:embed github.tmpl
var workflowText string

var workflow = template.Must(template.New("workflow").Delims("[[", "]]").Parse(workflowText))

// maxJobs is how many jobs one matrix may make ("usage limits" of GitHub Actions).
const maxJobs = 256

// Origin is where cells are from, as a command line in the repository's root says it.
type Origin struct {
	File, Group string
	Recipes     []string
	Release     string // "" or a release whose tags the images get too
	Commit      string // of cudabuild; "" if that is not known, and the workflow takes the newest
}

// Flags selects the same matrix for another command.
func (o Origin) Flags() string {
	flags := "--file " + plan.Quote(o.File) + " --group " + plan.Quote(o.Group)
	for _, dir := range o.Recipes {
		flags += " --recipes " + plan.Quote(dir)
	}
	if o.Release != "" {
		flags += " --release " + plan.Quote(o.Release)
	}
	return flags
}

// check reports a name that a workflow would take for more than a name: GitHub fills in
// ${{ }} before a shell sees any quotes, and the end of a line ends a comment or a script.
func (o Origin) check() error {
	for _, name := range append([]string{o.File, o.Group, o.Release}, o.Recipes...) {
		if strings.Contains(name, "${{") || strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) {
			return fmt.Errorf("a workflow cannot name %q: rename it, without ${{ and control characters", name)
		}
	}
	return nil
}

// wave is a job whose matrix has an entry for each OS and CUDA release.
type wave struct {
	Name    string
	Needs   []string
	Entries []waveEntry
}

type waveEntry struct{ Family, Cells string }

// NeedsList is the list of jobs that have to pass before this one.
func (w wave) NeedsList() string { return "[" + strings.Join(w.Needs, ", ") + "]" }

// GitHub returns a workflow for GitHub Actions that builds and verifies the cells with
// `cudabuild matrix`: a wave of jobs for each flavor and one for the samples, in each a
// job for each OS and CUDA release. A wave needs those of the cells that its own stand
// on, as far as they are among the cells.
func GitHub(cells []matrix.Cell, from Origin) ([]File, error) {
	if err := from.check(); err != nil {
		return nil, err
	}
	var text strings.Builder
	err := workflow.Execute(&text, map[string]any{"From": from, "Waves": waves(cells)})
	return []File{{"cuda-images.yml", text.String()}}, err
}

// waves groups the cells by what they are, parents before children. A wave of more
// jobs than a matrix may have goes on in another job.
func waves(cells []matrix.Cell) []wave {
	kinds, of := byKind(cells)
	jobs := map[string][]string{} // by kind
	var all []wave
	for _, kind := range kinds {
		needs := []string{}
		for _, below := range kindsBelow(cells, kind) {
			needs = append(needs, jobs[below]...)
		}
		if len(needs) == 0 {
			needs = []string{"tools"}
		}
		for part := range slices.Chunk(entries(of[kind]), maxJobs) {
			name := kind
			if n := len(jobs[kind]); n > 0 {
				name = fmt.Sprintf("%s-%d", kind, n+1)
			}
			jobs[kind] = append(jobs[kind], name)
			all = append(all, wave{name, needs, part})
		}
	}
	return all
}

// kindOf is the wave of a cell.
func kindOf(c matrix.Cell) string {
	if c.Sample != "" {
		return "samples"
	}
	return string(c.Flavor)
}

// byKind returns the kinds of cells, those that others stand on first.
func byKind(cells []matrix.Cell) (kinds []string, of map[string][]matrix.Cell) {
	of = map[string][]matrix.Cell{}
	for _, c := range cells {
		of[kindOf(c)] = append(of[kindOf(c)], c)
	}
	var visit func(kind string)
	visit = func(kind string) {
		if of[kind] == nil || slices.Contains(kinds, kind) {
			return
		}
		for _, below := range kindsBelow(cells, kind) {
			visit(below)
		}
		kinds = append(kinds, kind)
	}
	for _, c := range cells {
		visit(kindOf(c))
	}
	return kinds, of
}

// kindsBelow returns the kinds of the cells that cells of a kind are made from.
func kindsBelow(cells []matrix.Cell, kind string) []string {
	byID := map[string]matrix.Cell{}
	for _, c := range cells {
		byID[c.ID] = c
	}
	var below []string
	for _, c := range cells {
		if kindOf(c) != kind {
			continue
		}
		for _, id := range []string{c.Parent, c.Builder} {
			if p, ok := byID[id]; ok && !slices.Contains(below, kindOf(p)) {
				below = append(below, kindOf(p))
			}
		}
	}
	return below
}

func entries(cells []matrix.Cell) []waveEntry {
	var list []waveEntry
	order, of := families(cells)
	for _, f := range order {
		var ids []string
		for _, c := range of[f] {
			ids = append(ids, c.ID)
		}
		list = append(list, waveEntry{f.String(), strings.Join(ids, " ")})
	}
	return list
}
