// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"path"
	"slices"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// step makes a flavor out of the one below it.
type step struct {
	Flavor recipes.Flavor
	Below  string
	// Scripts are those for each architecture, one if all have the same.
	Scripts []stepScript
}

// stepScript is how a step is made on one architecture.
type stepScript struct {
	Suffix string // of the stage; "" if all architectures have the same
	Text   string
}

// addSteps adds what has to be installed for the cells.
func (p *page) addSteps(catalog *recipes.Catalog, cells []matrix.Cell) error {
	needed := map[recipes.Flavor]bool{}
	for _, c := range cells {
		top := c.Flavor
		if c.Sample != "" { // devel stands on what the sample is placed on
			top = recipes.Devel
		}
		for _, flavor := range p.Release.Chain(top) {
			needed[flavor] = true
		}
	}
	for _, flavor := range p.Release.Flavors() {
		if !needed[flavor] {
			continue
		}
		below := "root"
		if chain := p.Release.Chain(flavor); len(chain) > 1 {
			below = string(chain[len(chain)-2])
		}
		scripts, err := p.scripts(catalog, flavor, platforms(cells))
		if err != nil {
			return err
		}
		p.Steps = append(p.Steps, step{Flavor: flavor, Below: below, Scripts: scripts})
	}
	return nil
}

// scripts make a flavor on the platforms out of the one below it.
func (p *page) scripts(catalog *recipes.Catalog, flavor recipes.Flavor, platforms []string) ([]stepScript, error) {
	const install = "EPOCH=$(date +%s) sh -eu " + scriptPath + "\n" // cudabuild gives files the date of the repositories
	var all []stepScript
	for _, platform := range platforms {
		r := p.Release.On(platform)
		values, err := catalog.Variables(p.OS, r, flavor)
		if err != nil {
			return nil, err
		}
		all = append(all, stepScript{"-" + arch(platform), script(variables(values), install+r.Layers[flavor].Place())})
	}
	if !slices.ContainsFunc(all, func(s stepScript) bool { return s.Text != all[0].Text }) {
		return []stepScript{{"", all[0].Text}}, nil
	}
	return all, nil
}

// platforms returns those of any of the cells, sorted.
func platforms(cells []matrix.Cell) []string {
	var all []string
	for _, c := range cells {
		all = append(all, c.Platforms...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// scriptPath is where an installation sees the manager's script.
const scriptPath = "/run/cudabuild/install"

// mounts are the flags of RUN that give an installation what the manager wants, as in
// package llb.
func mounts(o recipes.OS, m recipes.Manager) []string {
	flags := []string{
		"--mount=type=tmpfs,target=/run",
		"--mount=type=bind,from=manager,source=/install,target=" + scriptPath,
	}
	for _, mount := range m.Mounts {
		switch mount.Kind {
		case recipes.IndexMount:
			flags = append(flags, "--mount=type=bind,from=index,source=/index,target="+mount.Path)
		case recipes.CacheMount:
			id := path.Join("cudabuild", o.Name, "${TARGETPLATFORM}", mount.Path)
			flags = append(flags, "--mount=type=cache,sharing=locked,id="+id+",target="+mount.Path)
		default:
			flags = append(flags, "--mount=type=tmpfs,target="+mount.Path)
		}
	}
	return flags
}
