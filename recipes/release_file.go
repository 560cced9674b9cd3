// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/spec"
)

// releaseFile is recipes/cuda/ANY.yaml: a CUDA release for some operating systems that says
// all in full.
type releaseFile struct {
	CUDA      string               `yaml:"cuda" form:"word"`
	Source    string               `yaml:"source"`
	OS        []string             `yaml:"os"`
	Platforms []string             `yaml:"platforms"`
	Version   string               `yaml:"version" form:"word"`
	Ends      ends                 `yaml:"ends,whole"`
	Layers    map[Flavor]layerFile `yaml:"layers" keys:"word"`
	Guard     struct {
		Provides []string `yaml:"provides" form:"provided"`
	} `yaml:"guard"`
	Samples struct {
		SASS []int `yaml:"sass"`
		PTX  int   `yaml:"ptx"`
	} `yaml:"samples"`
}

// layerFile is a [Layer] as files have it. In those of eras it has words in braces.
type layerFile struct {
	Packages []string          `yaml:"packages" form:"package"`
	Env      map[string]string `yaml:"env" keys:"variable"`
	Hold     []string          `yaml:"hold" form:"package"`
	Files    map[string]string `yaml:"files" keys:"path"`
	Modes    map[string]string // of flavors of the user's alone
	Links    map[string]string `yaml:"links" keys:"path" form:"target"`
	SizeMB   int               `yaml:"size_mb"`
}

// releases returns what the file says, for each of its operating systems.
func (r releaseFile) releases(from origin) []Release {
	layers := map[Flavor]Layer{}
	for flavor, t := range r.Layers {
		layers[flavor] = Layer(t)
	}
	all := make([]Release, len(r.OS))
	for i, os := range r.OS {
		all[i] = Release{
			CUDA: r.CUDA, Source: r.Source, OS: os, Platforms: r.Platforms, Version: r.Version,
			Layers: layers, Guard: Guard(r.Guard), Samples: Samples(r.Samples), origin: from,
			Ends: r.Ends.end("CUDA "+r.CUDA, Source{}),
		}
	}
	return all
}

// check reports what is wrong with the file by itself.
func (r releaseFile) check(f *spec.File) {
	if !compat.IsVersion(r.CUDA) || !compat.IsVersion(r.Version) {
		f.At(f.Find("version"), "", "cuda %q and version %q: want two version numbers", r.CUDA, r.Version)
	}
	r.Ends.check(f, Source{})
	if len(r.OS) == 0 || len(r.Platforms) == 0 {
		f.At(f.Find("os"), "", "needs at least one os and one platform")
	}
	for _, platform := range r.Platforms {
		checkPlatform(f, platform, "platforms", platform)
	}
	for _, flavor := range Flavors() {
		if len(r.Layers[flavor].Packages) == 0 {
			f.At(f.Find("layers"), "", "layer %q installs nothing", flavor)
		}
	}
	for _, flavor := range sortedKeys(r.Layers) {
		if !flavor.known() {
			f.At(f.Find("layers", string(flavor)), "", "unknown layer %q (want base, runtime, devel, or a variant such as cudnn8-runtime)", flavor)
		}
	}
	if len(r.Samples.SASS) == 0 || r.Samples.PTX == 0 {
		f.At(f.Find("samples"), "", "samples need sass and ptx targets")
	}
}

// partLines returns the place of each part of a release that becomes a build step: a
// flavor's packages, and samples.
func partLines(f *spec.File) map[string]spec.Place {
	lines := map[string]spec.Place{"samples": f.Exact("samples")}
	for _, flavor := range Flavors() {
		lines[string(flavor)] = f.Exact("layers", string(flavor), "packages")
	}
	return lines
}
