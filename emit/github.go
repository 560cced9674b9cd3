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
	Release     string   // "" or a release whose tags the images get too
	Only        []string // globs on the IDs of cells; none is all of the group
	To          string   // repository that images go to; "" if only their tags say so
	Commit      string   // of cudabuild; "" if that is not known, and the workflow takes the newest
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

// OnlyFlags selects the same cells of it.
func (o Origin) OnlyFlags() (flags string) {
	for _, glob := range o.Only {
		flags += " --only " + plan.Quote(glob)
	}
	return flags
}

// check reports a name that a workflow would take for more than a name: GitHub fills in
// ${{ }} before a shell sees any quotes, and the end of a line ends a comment or a script.
func (o Origin) check() error {
	for _, name := range slices.Concat([]string{o.File, o.Group, o.Release, o.To}, o.Recipes, o.Only) {
		if strings.Contains(name, "${{") || strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) {
			return fmt.Errorf("a workflow cannot name %q: rename it, without ${{ and control characters", name)
		}
	}
	return nil
}

// job is a job of the workflow that builds, with an entry for each OS and CUDA release.
type job struct {
	Name    string
	Entries []entry
}

type entry struct {
	Family, Cells string
	Emulated      bool // some of it is for another processor than the machine's
}

// GitHub returns a workflow for GitHub Actions that builds, verifies and publishes the
// cells: each OS and CUDA release in a job of its own, with `cudabuild matrix` and
// `cudabuild push --stage`, and a last one that promotes what all of them staged.
func GitHub(cells []matrix.Cell, from Origin) ([]File, error) {
	if err := from.check(); err != nil {
		return nil, err
	}
	registry, repository := destination(cells, from.To)
	var text strings.Builder
	err := workflow.Execute(&text, map[string]any{"From": from, "Jobs": jobs(cells), "Registry": registry, "Repository": repository})
	return []File{{"cuda-images.yml", text.String()}}, err
}

// destination is the registry and the repository there that images go to: to, or else
// what the tags of the cells begin with. A repository without an owner is one of the
// owner of the workflow.
func destination(cells []matrix.Cell, to string) (registry, repository string) {
	if to == "" && len(cells) > 0 {
		to = cells[0].Tags[0]
		to = to[:strings.LastIndex(to, ":")]
	}
	first, rest, owned := strings.Cut(to, "/")
	switch {
	case !owned:
		return "ghcr.io", "${{ github.repository_owner }}/" + to
	case strings.ContainsAny(first, ".:") || first == "localhost":
		return first, rest
	}
	return "docker.io", to
}

// jobs has an entry for each family of the cells. One job takes maxJobs of them.
func jobs(cells []matrix.Cell) []job {
	var all []job
	for part := range slices.Chunk(entries(cells), maxJobs) {
		name := "family"
		if len(all) > 0 {
			name = fmt.Sprintf("family-%d", len(all)+1)
		}
		all = append(all, job{name, part})
	}
	return all
}

func entries(cells []matrix.Cell) []entry {
	var list []entry
	order, of := families(cells)
	for _, f := range order {
		e := entry{Family: f.String()}
		var ids []string
		for _, c := range of[f] {
			ids = append(ids, c.ID)
			e.Emulated = e.Emulated || slices.ContainsFunc(c.Platforms, func(p string) bool { return p != "linux/amd64" })
		}
		e.Cells = strings.Join(ids, " ")
		list = append(list, e)
	}
	return list
}
