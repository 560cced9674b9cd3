// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"maps"
	"slices"

	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/support"
)

// Cell is one image of the matrix: an OS and a CUDA release with either a flavor
// or a sample. Its JSON form is that of an element of plan --json's "cells"; lists
// are never null.
type Cell struct {
	// ID is the canonical tag: "12.4-base-debian13", "12.4-nbody-debian13".
	ID   string `json:"id"`
	OS   string `json:"os"`   // "debian13"
	CUDA string `json:"cuda"` // "12.4"
	// Flavor is "" for a sample cell, and then Sample is its name.
	Flavor recipes.Flavor `json:"flavor"`
	Sample string         `json:"sample"`
	// Parent is the ID of the cell right below: a runtime's base, a devel's runtime,
	// the lowest flavor for a sample; "" for that one. The cell of that ID need not be selected, nor
	// listed in the file at all.
	Parent string `json:"parent"`
	// Builder is the ID of the devel cell whose nvcc compiles a sample, else "". Like
	// Parent it need not be selected.
	Builder string `json:"builder,omitempty"`
	// Source is the package source of the release: "debian".
	Source    string   `json:"source"`
	Platforms []string `json:"platforms"` // as in the file, each once: "linux/amd64"
	// Tags are full names, "cuda:12.4-base-debian13", the canonical one first.
	Tags []string `json:"tags"`
	// Groups is every group of the file that the cell belongs to, sorted.
	Groups []string `json:"groups"`
	// Compat says that the image has cuda-compat: the file allows it and the release has it.
	Compat bool `json:"compat,omitempty"`
	// Unsourced are packages that the cell installs without a version because no
	// document gives one.
	Unsourced []string `json:"unsourced,omitempty"`
	// Witnesses are those of them whose version somebody says who is not the vendor.
	Witnesses []Witness `json:"witnesses,omitempty"`
	// Labels and Env are what the file has for it, beside what the recipe and cudabuild set.
	Labels map[string]string `json:"labels,omitempty"`
	Env    map[string]string `json:"env,omitempty"`
	// Ends is when its CUDA release or its OS is maintained no more, whichever comes first; nil if
	// that is not known.
	Ends *support.End `json:"ends,omitempty"`
	// Recipe is what the cell is made from, with cuda-compat if it has that. A cell read
	// from a document has none.
	Recipe *recipes.Recipe `json:"-"`
}

// clone returns a copy that shares no memory with c.
func (c Cell) clone() Cell {
	c.Platforms = slices.Clone(c.Platforms)
	c.Tags = slices.Clone(c.Tags)
	c.Groups = slices.Clone(c.Groups)
	c.Unsourced = slices.Clone(c.Unsourced)
	c.Witnesses = slices.Clone(c.Witnesses)
	c.Labels, c.Env = maps.Clone(c.Labels), maps.Clone(c.Env)
	return c
}

// Witness is who says the version of a package that no document of the vendor gives.
type Witness struct {
	Package string `json:"package"`
	Version string `json:"version"`
	Source  string `json:"source"`
	Date    string `json:"date"`
}

// without gives the cell what an image of a flavor installs without a version, and who says one.
func (c *Cell) without(r recipes.Release, f recipes.Flavor) {
	c.Unsourced = r.UnsourcedOn(f, c.Platforms)
	for _, p := range r.WitnessedOn(f, c.Platforms) {
		c.Witnesses = append(c.Witnesses, Witness{p.Package, p.Version, p.Source, p.Date})
	}
}

// cellID returns the one name of a cell; kind is a flavor or a sample.
func cellID(cuda, kind, os string) string { return cuda + "-" + kind + "-" + os }
