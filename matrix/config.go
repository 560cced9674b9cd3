// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"cmp"
	"slices"

	"github.com/cudabuild/cudabuild/spec"
)

// config is what images have in their configuration beside what cudabuild sets: the file's
// own, and that of an entry of its cells.
type config struct {
	Labels map[spec.Word]spec.Word `yaml:"labels" keys:"label" form:"value" doc:"Labels of the images, such as org.opencontainers.image.source and vendor. Those that cudabuild sets itself are refused."`
	Env    map[spec.Word]spec.Word `yaml:"env" keys:"variable" form:"value" doc:"Variables of the images. Values are taken as they are: $ means nothing. What decides which driver and GPUs a container gets is refused."`
}

// some is what some cells have.
type some struct {
	At   spec.Place  `doc:"What some images have beside what all have."`
	Only []spec.Word `yaml:"only,required,one" form:"glob" doc:"Which: globs on cell IDs."`
	config
}

// maxSettings bounds what all cells are given.
const maxSettings = 100

// setting is a label or a variable, and the cells that have it.
type setting struct {
	kind        string // as the file calls it
	name, value spec.Word
	cells       []*Cell
}

// configure gives every cell the labels and variables that the file has for it, and reports
// those that a cell has by two places or by its recipe.
func (m *Matrix) configure(at *spec.File, f file) {
	type slot struct{ kind, name, cell string }
	by := map[slot]*setting{}
	labels, env := map[string]map[string]string{}, map[string]map[string]string{}
	of := map[string]map[string]map[string]string{"labels": labels, "env": env}
	for _, s := range m.settings(at, f) {
		for _, cell := range s.cells {
			here := slot{s.kind, s.name.Text, cell.ID}
			if other := by[here]; other != nil {
				at.At(s.name.Place, "keep one of the two", "%s: %s has %s by %s:%d:%d already", s.kind, cell.ID, s.name.Text, at.Path, other.name.Line, other.name.Column)
				break
			}
			if where := setBy(cell, s); where != "" {
				at.At(s.name.Place, "take it out, or give it to other cells with only", "%s: the recipe of %s sets %s (%s)", s.kind, cell.ID, s.name.Text, where)
				break
			}
			by[here] = &s
			if of[s.kind][cell.ID] == nil {
				of[s.kind][cell.ID] = map[string]string{}
			}
			of[s.kind][cell.ID][s.name.Text] = s.value.Text
		}
	}
	for _, cells := range m.cells {
		for i, cell := range cells {
			cells[i].Labels, cells[i].Env = labels[cell.ID], env[cell.ID]
		}
	}
}

// settings returns what the file says, in its order.
func (m *Matrix) settings(at *spec.File, f file) []setting {
	parts := append([]some{{config: f.config}}, f.Cells...) // the first is of all cells
	count, globs := 0, 0
	for _, p := range parts {
		count, globs = count+len(p.Labels)+len(p.Env), globs+len(p.Only)
	}
	if count > maxSettings || globs > maxGlobs {
		at.At(at.Find("cells"), "a glob such as '*-debian13' names many cells at once", "%d labels and variables, %d globs: more than %d or %d", count, globs, maxSettings, maxGlobs)
		return nil
	}
	var list []setting
	all := m.index()
	for i, p := range parts {
		cells := all.every()
		if i > 0 {
			cells = all.named(at, p)
		}
		for name, value := range p.Labels {
			list = append(list, setting{"labels", name, value, cells})
		}
		for name, value := range p.Env {
			list = append(list, setting{"env", name, value, cells})
		}
	}
	slices.SortFunc(list, func(a, b setting) int {
		return cmp.Or(cmp.Compare(a.name.Line, b.name.Line), cmp.Compare(a.name.Column, b.name.Column))
	})
	return list
}

func (x index) every() (all []*Cell) {
	for i := range x.cells {
		all = append(all, &x.cells[i])
	}
	return all
}

// named returns the cells of an entry, and reports one that changes nothing.
func (x index) named(at *spec.File, s some) (cells []*Cell) {
	if len(s.Labels)+len(s.Env) == 0 {
		at.At(s.At, "write {only: '*-devel-*', labels: {...}, env: {...}}", "cells: an entry has neither labels nor env")
	}
	named := map[string]bool{}
	for _, glob := range s.Only {
		found := x.matching(glob)
		if len(found) == 0 {
			x.nothing(at, "cells", glob)
		}
		for _, cell := range found {
			if !named[cell.ID] {
				named[cell.ID] = true
				cells = append(cells, &x.cells[x.byID[cell.ID]])
			}
		}
	}
	return cells
}

// setBy is where the recipe of a cell sets a variable of that name, "" if it does not.
func setBy(cell *Cell, s setting) string {
	if s.kind != "env" {
		return ""
	}
	top := cell.Flavor
	if cell.Sample != "" {
		top, _ = cell.Recipe.Release.SampleOn(cell.Sample) // checked
	}
	for _, platform := range cell.Platforms {
		release := cell.Recipe.Release.On(platform)
		for _, flavor := range release.Chain(top) {
			if _, set := release.Layers[flavor].Env[s.name.Text]; set {
				file, _ := release.Where(string(flavor))
				return file
			}
		}
	}
	return ""
}
