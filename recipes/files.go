// SPDX-License-Identifier: Apache-2.0

package recipes

import "slices"

// File is one file of recipes, wherever it was read from.
type File struct {
	Name   string // path in a folder of recipes: "os/debian13.yaml"
	Digest string // "sha256:..."
}

// Files are those that say what the recipe is, by name: of its OS, package manager, source and
// release. Where a folder changes a file, both are there, in the order in which they count.
func (r *Recipe) Files() []File { return slices.Clone(r.files) }

func (c *Catalog) files(o OS, release Release) (files []File) {
	names := []string{
		"os/" + o.Name + ".yaml", "manager/" + o.Manager + ".yaml", "manager/" + c.managers[o.Manager].Like + ".yaml",
		"repository/" + o.Source + ".yaml", release.file,
	}
	names = append(names, release.eras...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for _, p := range c.parts[name] { // a distribution's own packages have no repository
			files = append(files, File{name, p.digest})
		}
	}
	return files
}

// Versions is in how many folders that the catalog was read from there is a file of that name.
func (c *Catalog) Versions(name string) int { return len(c.parts[name]) }
