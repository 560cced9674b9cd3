// SPDX-License-Identifier: Apache-2.0

package page

import (
	"slices"

	"github.com/cudabuild/cudabuild/report"
)

// system is the part of the matrix of one operating system: a row for each CUDA release, a column for each flavor and sample.
type system struct {
	OS    string
	Kinds []string
	Rows  []release
}

// release is one row; of a kind that it lacks there are no images.
type release struct {
	CUDA  string
	Cells [][]report.Image
}

// matrix is the images as a table for each operating system, all in the order of the report.
func matrix(d *report.Document) []system {
	var all []system
	for _, image := range d.Images {
		s := slices.IndexFunc(all, func(s system) bool { return s.OS == image.OS })
		if s < 0 {
			s, all = len(all), append(all, system{OS: image.OS})
		}
		system := &all[s]
		k := slices.Index(system.Kinds, image.Kind)
		if k < 0 {
			k, system.Kinds = len(system.Kinds), append(system.Kinds, image.Kind)
		}
		r := slices.IndexFunc(system.Rows, func(r release) bool { return r.CUDA == image.CUDA })
		if r < 0 {
			r, system.Rows = len(system.Rows), append(system.Rows, release{CUDA: image.CUDA})
		}
		row := &system.Rows[r]
		for len(row.Cells) <= k {
			row.Cells = append(row.Cells, nil)
		}
		row.Cells[k] = append(row.Cells[k], image)
	}
	for _, system := range all {
		for r := range system.Rows {
			row := &system.Rows[r]
			row.Cells = append(row.Cells, make([][]report.Image, len(system.Kinds)-len(row.Cells))...)
		}
	}
	return all
}
