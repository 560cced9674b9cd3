// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/cudabuild/cudabuild/compat"
)

// osForm is what tags and repository names both allow (distribution-spec, "Pulling
// manifests"): an OS's name is part of either. With CUDA version and flavor it
// stays below a tag's 128 characters.
var osForm = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)

const osMax = 64

// check reports recipes that do not fit together.
func (c *Catalog) check() error {
	var problems []error
	for _, name := range sortedKeys(c.managers) {
		problems = append(problems, in("manager/"+name+".yaml", c.managers[name].check()...)...)
	}
	for _, name := range c.OSNames() {
		problems = append(problems, in("os/"+name+".yaml", c.checkOS(c.os[name])...)...)
	}
	first := map[string]string{} // file of each OS and CUDA release
	for _, r := range c.releases {
		problems = append(problems, in(r.file, c.checkRelease(r)...)...)
		for _, os := range r.OS {
			pair := os + " " + r.CUDA
			if other, twice := first[pair]; twice {
				problems = append(problems, in(r.file, fmt.Errorf("CUDA %s for %s is in recipes/%s already", r.CUDA, os, other))...)
			}
			first[pair] = r.file
		}
	}
	return errors.Join(problems...)
}

func in(file string, problems ...error) []error {
	for i, err := range problems {
		problems[i] = fmt.Errorf("recipes/%s: %w", file, err)
	}
	return problems
}

func (c *Catalog) checkOS(o OS) (problems []error) {
	if !osForm.MatchString(o.Name) || len(o.Name) > osMax {
		problems = append(problems, fmt.Errorf("os %q cannot be part of a tag (lower case, digits, single '.', '_' and '-' inside, %d characters at most)", o.Name, osMax))
	}
	if _, ok := c.managers[o.Manager]; !ok {
		problems = append(problems, fmt.Errorf("unknown package manager %q", o.Manager))
	}
	if o.Bootstrap.Suite == "" {
		problems = append(problems, errors.New("no bootstrap suite"))
	}
	return problems
}

func (c *Catalog) checkRelease(r Release) (problems []error) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !compat.IsVersion(r.CUDA) || !compat.IsVersion(r.Version) {
		bad("cuda %q and version %q: want two version numbers", r.CUDA, r.Version)
	}
	if len(r.OS) == 0 || len(r.Platforms) == 0 {
		bad("needs at least one os and one platform")
	}
	for _, name := range r.OS {
		o, ok := c.os[name]
		if !ok || o.Source != r.Source {
			bad("os %q has no recipe with source %q", name, r.Source)
		} else if _, err := c.managers[o.Manager].Guard(r); err != nil {
			bad("%w", err)
		}
	}
	for _, f := range Flavors() {
		if len(r.Layers[f].Packages) == 0 {
			bad("layer %q installs nothing", f)
		}
	}
	for _, f := range sortedKeys(r.Layers) {
		if !slices.Contains(Flavors(), f) {
			bad("unknown layer %q (want base, runtime or devel)", f)
		}
	}
	if len(r.Samples.SASS) == 0 || r.Samples.PTX == 0 {
		bad("samples need sass and ptx targets")
	}
	return problems
}
