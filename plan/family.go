// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// Family is what the images of a CUDA release on one OS and platform have in common: the
// steps that make its flavors.
type Family struct {
	*recipes.Recipe

	Platform string          // "linux/amd64"
	Release  recipes.Release // as it is on the platform
	Flavors  []Step          // none before one that it stands on, each named like its flavor
}

// NewFamily returns the family of a cell on one of the platforms of its release. The
// error is a cell without a recipe, or a recipe whose guard cannot be made.
func NewFamily(cell matrix.Cell, platform string) (*Family, error) {
	if cell.Recipe == nil {
		return nil, fmt.Errorf("cell %s: no recipe for CUDA %s on %s", cell.ID, cell.CUDA, cell.OS)
	}
	f := &Family{Recipe: cell.Recipe, Platform: platform, Release: cell.Recipe.Release.On(platform)}
	for _, flavor := range f.Release.Flavors() {
		step, err := f.install(flavor)
		if err != nil {
			return nil, fmt.Errorf("cell %s: %w", cell.ID, err)
		}
		f.Flavors = append(f.Flavors, step)
	}
	return f, nil
}

// install is the step that makes a flavor.
func (f *Family) install(flavor recipes.Flavor) (Step, error) {
	env, err := f.variables(flavor)
	if err != nil {
		return Step{}, err
	}
	layer := f.Release.Layers[flavor]
	s := Step{
		Name: string(flavor), Title: fmt.Sprintf("install %s: %s", flavor, env["PACKAGES"]),
		Installer: f.Manager.Install, Script: place(layer), Env: env, Layer: layer,
		History: f.command(layer, env["GUARD"] != "") + fmt.Sprintf(" # CUDA %s %s", f.Release.CUDA, flavor),
	}
	if chain := f.Release.Chain(flavor); len(chain) > 1 {
		s.Below = string(chain[len(chain)-2])
	}
	s.File, s.Line = f.Release.Where(string(flavor))
	if len(layer.Packages) == 0 { // some flavors have files alone
		what := strings.Join(slices.Sorted(maps.Keys(layer.Files)), " ")
		s.Installer, s.Env = "", nil
		s.Title, s.History = fmt.Sprintf("place %s: %s", flavor, what), fmt.Sprintf("place %s # CUDA %s %s", what, f.Release.CUDA, flavor)
		return s, nil
	}
	for _, m := range f.Manager.Mounts {
		s.Mounts = append(s.Mounts, f.mount(m))
	}
	return s, nil
}

// command is the installation as a person would type it.
func (f *Family) command(layer recipes.Layer, guard bool) string {
	program, _, _ := strings.Cut(f.Manager.Name, "-") // apt-nvidia is apt
	packages := strings.Join(layer.Packages, " ")
	if guard && program == "apt" {
		packages = "./cudabuild-guard.deb " + packages
	}
	return program + " install " + packages
}

func (f *Family) mount(m recipes.Mount) Mount {
	mount := Mount{Mount: m}
	if m.Kind == recipes.CacheMount {
		mount.Cache = path.Join("cudabuild", f.OS.Name, f.Platform, f.Release.CUDA, m.Path)
	}
	return mount
}

// variables is what the install script finds in its environment, see recipes.Manager.
func (f *Family) variables(flavor recipes.Flavor) (map[string]string, error) {
	layer := f.Release.Layers[flavor]
	values := map[string]string{"PACKAGES": strings.Join(layer.Packages, " ")}
	set := func(name, value string) {
		if value != "" {
			values[name] = value
		}
	}
	set("HOLD", strings.Join(layer.Hold, " "))
	if flavor != f.Release.Lowest() {
		return values, nil
	}
	set("PREREQUISITES", strings.Join(f.OS.Repository.Prerequisites, " "))
	set("VAULT", f.OS.Vault)
	// Without anything to provide, a release of the distribution itself needs no guard.
	if len(f.Release.Guard.Provides) == 0 && f.OS.Image == "" {
		return values, nil
	}
	guard, err := f.Manager.Guard(f.Release)
	set("GUARD", guard)
	return values, err
}
