// SPDX-License-Identifier: Apache-2.0

package update

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
)

// rehearse returns an error if the recipes with these files would not be what was found: if a pin had
// another value, or if the source of any other pin, of all releases, were another.
func (f *Found) rehearse(dirs []string, texts map[string][]byte) error {
	stage, err := os.MkdirTemp("", "cudabuild-recipes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	if _, err := put(stage, texts); err != nil {
		return err
	}
	c, err := recipes.Load(append(Existing(dirs), stage)...)
	if problems, ok := errors.AsType[spec.Problems](err); ok {
		last := dirs[len(dirs)-1] // where the reader would look
		for i, p := range problems {
			problems[i].File = strings.Replace(p.File, stage, last, 1)
			problems[i].Message = "as it would be written: " + strings.ReplaceAll(p.Message, stage, last)
		}
		return problems
	}
	if err != nil {
		return err
	}
	for _, one := range f.Filled {
		if err := says(c, one.CUDA, one.File, one.System, map[string]string{one.Pin: one.Version}); err != nil {
			return err
		}
	}
	for _, r := range f.Releases {
		for _, system := range r.Systems {
			if err := says(c, r.CUDA, r.File, system, r.values.of(system)); err != nil {
				return err
			}
		}
	}
	for _, g := range f.Grown {
		for _, system := range g.Systems {
			if err := says(c, g.CUDA, g.File, system, g.values.of(system)); err != nil {
				return err
			}
		}
	}
	return f.sameSources(c)
}

// says returns an error if a toolkit has other versions for a system.
func says(c *recipes.Catalog, cuda, file string, system System, pins map[string]string) error {
	for _, component := range c.Components(cuda, system.OS, system.Platform) {
		if want, ok := pins[component.Pin]; ok && component.Value != want {
			return fmt.Errorf("%s: pin %s would be %s for %s %s, not %s", file, component.Pin, component.Value, system.OS, system.Platform, want)
		}
	}
	return nil
}

// pinned is what is said of a package, and by whom.
type pinned struct{ version, source string }

func find(pins []recipes.Pin, name string) pinned {
	for _, p := range pins {
		if p.Package == name {
			return pinned{p.Version, p.Source + ", " + p.Date}
		}
	}
	return pinned{}
}

// sameSources returns an error if a pin that is not filled in would have another version or source,
// or none.
func (f *Found) sameSources(after *recipes.Catalog) error {
	type answer struct {
		cuda, pin string
		System
	}
	filled := map[answer]bool{}
	for _, one := range f.Filled {
		filled[answer{one.CUDA, one.Pin, one.System}] = true
	}
	for _, os := range f.catalog.OSNames() {
		for _, cuda := range f.catalog.CUDAFor(os) {
			was, _ := f.catalog.Find(os, cuda)
			is, _ := after.Find(os, cuda)
			for _, platform := range was.Platforms {
				system, of := System{os, platform}, map[string]string{} // pin by package
				for _, c := range f.catalog.Components(cuda, os, platform) {
					of[c.Package] = c.Pin
				}
				before, now := was.On(platform).Pins, is.On(platform).Pins
				for _, p := range slices.Concat(before, now) {
					said, says := find(before, p.Package), find(now, p.Package)
					if said != says && !filled[answer{cuda, of[p.Package], system}] && !f.moved(system, said, says) {
						return fmt.Errorf("CUDA %s for %s on %s: %s is %q by %q, and would be %q by %q: write that toolkit by hand",
							cuda, os, platform, p.Package, said.version, said.source, says.version, says.source)
					}
				}
			}
		}
	}
	return nil
}

// moved reports whether what was read in an earlier state of a repository is said to be from today's.
// That has it, else nothing would be filled in.
func (f *Found) moved(system System, said, says pinned) bool {
	return said.version == says.version && slices.ContainsFunc(f.available.systems[system], func(r *Repository) bool {
		return strings.Contains(said.source, "repository "+r.Place+", index ") && strings.Contains(says.source, "index sha256 "+r.SHA256)
	})
}
