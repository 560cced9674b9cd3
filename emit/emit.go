// SPDX-License-Identifier: Apache-2.0

// Package emit says what a plan builds in the languages of other tools, so that nobody
// is tied to cudabuild.
//
// [Dockerfile] and [Bake] give the same images to `docker buildx`: the same packages,
// install scripts, guard, environment and sample sources, rendered from the same
// plan as the graph of package llb. [GitHub] gives the plan to GitHub Actions, in a job
// for each family that runs `cudabuild matrix`.
//
// What they print stands alone: a Dockerfile needs no build context and no file of
// cudabuild. It depends on the cells and recipes alone and is the same in every run.
// The package writes no file and starts nothing. docs/exports.md says in what such
// images differ from cudabuild's own.
package emit

import "github.com/cudabuild/cudabuild/matrix"

// File is one text to be written: its name, without a folder, and what is in it.
type File struct{ Name, Text string }

// family is an OS and a CUDA release: what one Dockerfile is about.
type family struct{ os, cuda string }

func familyOf(c matrix.Cell) family { return family{c.OS, c.CUDA} }

func (f family) String() string { return f.cuda + "-" + f.os }

// families returns the cells of each family together, in the order of the first of each.
func families(cells []matrix.Cell) (order []family, of map[family][]matrix.Cell) {
	of = map[family][]matrix.Cell{}
	for _, c := range cells {
		f := familyOf(c)
		if of[f] == nil {
			order = append(order, f)
		}
		of[f] = append(of[f], c)
	}
	return order, of
}
