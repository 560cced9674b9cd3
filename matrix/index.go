// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// index is every cell of a file, for what names cells by globs on their IDs.
type index struct {
	cells []Cell         // each once, in the order of the file
	byID  map[string]int // place in cells
}

func (m *Matrix) index() index {
	x := index{byID: map[string]int{}}
	for _, group := range m.groups {
		for _, cell := range m.cells[group] {
			if _, known := x.byID[cell.ID]; !known {
				x.byID[cell.ID] = len(x.cells)
				x.cells = append(x.cells, cell)
			}
		}
	}
	return x
}

// matching returns the cells that a glob names.
func (x index) matching(glob spec.Word) []Cell {
	if i, ok := x.byID[glob.Text]; ok {
		return x.cells[i : i+1]
	}
	var cells []Cell
	for _, cell := range x.cells {
		if matches(glob.Text, cell.ID) {
			cells = append(cells, cell)
		}
	}
	return cells
}

// nothing reports a glob that names no cell.
func (x index) nothing(f *spec.File, what string, glob spec.Word) {
	ids := make([]string, len(x.cells))
	for i, cell := range x.cells {
		ids[i] = cell.ID
	}
	hint := "cells: " + suggest.List(ids)
	if near := suggest.Nearest(glob.Text, ids, 3); len(near) > 0 {
		hint = "near: " + suggest.List(near)
	}
	f.At(glob.Place, hint, "%s: no cell of any group matches %q", what, glob.Text)
}
