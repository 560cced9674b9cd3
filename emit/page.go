// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
)

// page is what the template of a Dockerfile shows.
type page struct {
	OS      recipes.OS
	Release recipes.Release
	IDs     []string
	// Unsourced are packages without a version, because no document gives one.
	Unsourced []string
	Image     string   // that root starts from
	Indexes   []index  // one for each architecture
	Install   string   // the manager's script
	Mounts    []string // of an installation, as flags of RUN
	Steps     []step   // lowest first
	Programs  []program
	Images    []finished
}

// program is a sample that is compiled.
type program struct {
	samples.Sample

	Script string
}

// finished is the stage of a cell.
type finished struct {
	Stage, From string
	Program     string // that is placed on From; "" for a flavor
	Envs        []environment
	Labels      []variable
	Cmd         string // in JSON form
}

// environment is that of an image on one architecture.
type environment struct {
	Suffix string // of the stage; "" if all architectures have the same
	Vars   []variable
}

type variable struct{ Name, Value string }

func newPage(catalog *recipes.Catalog, cells []matrix.Cell) (*page, error) {
	c := cells[0]
	o, known := catalog.OS(c.OS)
	r, packaged := c.Release(catalog)
	if !known || !packaged {
		return nil, fmt.Errorf("cell %s: no recipe for CUDA %s on %s", c.ID, c.CUDA, c.OS)
	}
	m := catalog.Manager(o)
	p := &page{OS: o, Release: r, Image: cmp.Or(o.Image, o.Bootstrap.Image), Install: m.Install, Mounts: mounts(o, m)}
	if p.Image == "" {
		return nil, fmt.Errorf("cell %s: os %s names no public image to start from; add bootstrap: {image: ...} to os/%[2]s.yaml", c.ID, o.Name)
	}
	p.Indexes = indexes(catalog, o, cells)
	for _, c := range cells {
		p.add(c)
		p.Unsourced = append(p.Unsourced, c.Unsourced...)
	}
	slices.Sort(p.Unsourced)
	p.Unsourced = slices.Compact(p.Unsourced)
	return p, errors.Join(p.addSteps(catalog, cells), p.check())
}

// check reports values that a Dockerfile has no way to say.
func (p *page) check() error {
	for _, image := range p.Images {
		for _, e := range image.Envs {
			for _, v := range e.Vars {
				if strings.ContainsAny(v.Value, "\n\r") {
					return fmt.Errorf("%s: variable %s has several lines, and ENV can only say one", image.Stage, v.Name)
				}
			}
		}
	}
	return nil
}

// add adds a cell's image and, for a sample, its program.
func (p *page) add(c matrix.Cell) {
	p.IDs = append(p.IDs, c.ID)
	top := c.Flavor
	if c.Sample != "" {
		top = p.Release.Lowest()
	}
	f := finished{
		Stage: Stage(c), From: string(top), Envs: p.environments(c, top),
		Labels: variables(p.Release.Labels(c.ID)), Cmd: `["bash"]`,
	}
	if s, ok := samples.Lookup(c.Sample); ok {
		cmd, _ := json.Marshal(s.Cmd) // strings
		f.Program, f.Cmd = s.Name, string(cmd)
		nvcc := p.Release.Nvcc("/src/"+s.File, "/out/"+s.Name)
		p.Programs = append(p.Programs, program{s, script(variables(p.Release.LayerEnv(recipes.Devel)), "mkdir /out\n"+nvcc)})
	}
	p.Images = append(p.Images, f)
}

// environments are those of a cell, one if all its platforms have the same.
func (p *page) environments(c matrix.Cell, top recipes.Flavor) []environment {
	var all []environment
	for _, platform := range c.Platforms {
		all = append(all, environment{"-" + arch(platform), variables(p.Release.Environment(top, platform))})
	}
	same := func(e environment) bool { return slices.Equal(e.Vars, all[0].Vars) }
	if !slices.ContainsFunc(all, func(e environment) bool { return !same(e) }) {
		return []environment{{"", all[0].Vars}}
	}
	return all
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
