// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
)

// askedAt returns a function that says where recipes ask for the steps of a cell, by what the history of its image says of
// them. Of what is no cell of these recipes it knows nothing.
func askedAt(catalog *recipes.Catalog) func(cell string) map[string]string {
	return func(id string) map[string]string {
		lines := map[string]string{}
		for _, c := range cellNamed(catalog, id) {
			for _, platform := range c.Platforms {
				img, err := plan.New(c, platform)
				if err != nil {
					continue
				}
				for _, step := range img.Layers() {
					lines[step.History] = fileLine(step.File, step.Line)
				}
			}
		}
		return lines
	}
}

// cellNamed returns the cell of an ID such as 12.4-base-debian13, which need be in nobody's matrix.
func cellNamed(catalog *recipes.Catalog, id string) []matrix.Cell {
	words := strings.Split(id, "-")
	if len(words) < 3 {
		return nil
	}
	cuda, kind, os := words[0], strings.Join(words[1:len(words)-1], "-"), words[len(words)-1]
	flavors, programs := []string{kind}, []string{}
	if _, ok := samples.Lookup(kind); ok {
		flavors, programs = programs, flavors
	}
	m, err := matrix.Parse("", fmt.Appendf(nil, "version: 1\nimage: x\ngroups: {default: [{os: [%q], cuda: [%q], flavors: %q, samples: %q}]}\n",
		os, cuda, flavors, programs), catalog)
	if err != nil {
		return nil
	}
	cells, err := m.Expand("default", nil)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(cells, func(c matrix.Cell) bool { return c.ID != id })
}
