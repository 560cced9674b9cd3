// SPDX-License-Identifier: Apache-2.0

package recipes

import "sync"

// Recipe is what the images of a CUDA release on one OS are made from. A catalog has one
// for each pair, so equal pointers mean equal recipes. It is read-only.
type Recipe struct {
	OS      OS
	Manager Manager
	Source  Source
	Release Release

	files      []File
	withCompat func() *Recipe
}

// Recipe returns what a CUDA release on an OS is made from; false if it was never
// packaged for that.
func (c *Catalog) Recipe(os, cuda string) (*Recipe, bool) {
	r, ok := c.recipes[pair{os, cuda}]
	return r, ok
}

// WithCompat returns the recipe with cuda-compat, as [Release.WithCompat] has it.
func (r *Recipe) WithCompat() *Recipe { return r.withCompat() }

// Addresses are the repositories of the vendor that images of a platform install from,
// with their keys; none for a distribution's own packages.
func (r *Recipe) Addresses(platform string) []Address { return r.Source.addresses(r.OS, platform) }

func (c *Catalog) recipe(o OS, release Release) *Recipe {
	r := &Recipe{OS: o, Manager: c.Manager(o), Source: c.sources[o.Source], Release: release, files: c.files(o, release)}
	r.withCompat = sync.OnceValue(func() *Recipe {
		if !release.HasCompat() {
			return r
		}
		with := *r
		with.Release = release.WithCompat()
		with.withCompat = func() *Recipe { return &with }
		return &with
	})
	return r
}
