// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
)

// page is what the template of a Dockerfile shows.
type page struct {
	OS  recipes.OS
	IDs []string
	// Unsourced are packages without a version, because no document gives one.
	Unsourced []string
	Image     string   // that root starts from
	Lists     []lists  // one for each architecture
	Install   string   // the manager's script
	Mounts    []string // of an installation, as flags of RUN
	Steps     []step   // lowest first
	Programs  []program
	Images    []finished
}

// program is a sample that is compiled.
type program struct {
	Name, Below string
	Sources     []source
	Script      string
}

// source is a file that a program is compiled from.
type source struct{ Path, Text string }

// finished is the stage of a cell.
type finished struct {
	Stage, From string
	Program     string // that is placed on From; "" for a flavor
	Envs        []variant[[]variable]
	Labels      []variable
	Cmd         string // in JSON form
}

type variable struct{ Name, Value string }

func newPage(cells []matrix.Cell) (*page, error) {
	platforms := platforms(cells)
	families := map[string]*plan.Family{}
	for _, platform := range platforms {
		f, err := plan.NewFamily(cells[0], platform)
		if err != nil {
			return nil, err
		}
		families[platform] = f
	}
	first := families[platforms[0]]
	o := first.OS
	p := &page{OS: o, Image: cmp.Or(o.Image, o.Bootstrap.Image), Install: first.Manager.Install, Mounts: mounts(first.Flavors[0], platforms[0])}
	if p.Image == "" {
		return nil, fmt.Errorf("cell %s: os %s names no public image to start from; add bootstrap: {image: ...} to os/%[2]s.yaml", cells[0].ID, o.Name)
	}
	p.Lists = listsOf(first.Recipe, platforms)
	needed := map[string]bool{}
	for _, c := range cells {
		if err := p.add(c, families, needed); err != nil {
			return nil, err
		}
	}
	slices.Sort(p.Unsourced)
	p.Unsourced = slices.Compact(p.Unsourced)
	for i, s := range first.Flavors {
		if needed[s.Name] {
			var steps []plan.Step
			for _, platform := range platforms {
				steps = append(steps, families[platform].Flavors[i])
			}
			p.Steps = append(p.Steps, newStep(platforms, steps))
		}
	}
	return p, p.check()
}

// check reports values that a Dockerfile has no way to say.
func (p *page) check() error {
	for _, image := range p.Images {
		for _, e := range image.Envs {
			for _, v := range e.What {
				if strings.ContainsAny(v.Value, "\n\r") {
					return fmt.Errorf("%s: variable %s has several lines, and ENV can only say one", image.Stage, v.Name)
				}
			}
		}
	}
	return nil
}

// add adds a cell's image and, for a sample, its program, and notes the steps that it needs.
func (p *page) add(c matrix.Cell, families map[string]*plan.Family, needed map[string]bool) error {
	var img *plan.Image
	var envs [][]variable
	for _, platform := range slices.Backward(c.Platforms) { // so that img is of the first
		var err error
		if img, err = families[platform].Image(c); err != nil {
			return err
		}
		envs = append(envs, variables(img.Env))
	}
	slices.Reverse(envs)
	for _, s := range img.Steps {
		needed[s.Name] = true
		if sources := sourcesOf(s); len(sources) > 0 {
			text := "mkdir -p " + plan.OutputDir + "\n" + s.Script
			p.Programs = append(p.Programs, program{c.Sample, s.Below, sources, script(variables(s.Env), text)})
		}
	}
	last := img.Steps[len(img.Steps)-1]
	f := finished{
		Stage: Stage(c), From: last.Name, Program: last.Program, Labels: variables(img.Labels), Cmd: words(img.Cmd),
		Envs: variants(c.Platforms, envs, slices.Equal),
	}
	if f.Program != "" {
		f.From = last.Below
	}
	p.IDs, p.Images = append(p.IDs, c.ID), append(p.Images, f)
	p.Unsourced = append(p.Unsourced, c.Unsourced...)
	return nil
}

func sourcesOf(s plan.Step) []source {
	var all []source
	for _, m := range s.Mounts {
		if m.Kind == plan.SourceMount {
			all = append(all, source{m.Path + "/" + m.Name, m.Text})
		}
	}
	return all
}

// words are a command in JSON form.
func words(command []string) string {
	data, _ := json.Marshal(command) // strings
	return string(data)
}

// platforms returns those of any of the cells, sorted.
func platforms(cells []matrix.Cell) []string {
	var all []string
	for _, c := range cells {
		all = append(all, c.Platforms...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// arch is what Dockerfiles call TARGETARCH.
func arch(platform string) string {
	_, name, _ := strings.Cut(platform, "/")
	return strings.ReplaceAll(name, "/", "")
}

func variables(values map[string]string) []variable {
	var list []variable
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, variable{name, values[name]})
	}
	return list
}
