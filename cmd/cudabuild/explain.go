// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

func newExplain() *cobra.Command {
	var sel selection
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain CELL",
		Short: "Say why an image is as it is",
		Long: `Explain says of one image of the matrix, of whatever group, what each part of it comes
from: the root, repositories and their keys, every package with its version, source and
date, the guard, the requirement, and the recipe that says so. It builds nothing.`,
		Args: cobra.ExactArgs(1),
		Example: `  cudabuild explain 9.0-runtime-ubuntu16.04
  cudabuild explain 12.4-devel-debian13 --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			catalog, cell, err := sel.find(cmd, args[0], asJSON)
			if err != nil {
				return err
			}
			why, err := explainCell(catalog, cell)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), why)
			}
			_, err = plain{cmd.OutOrStdout()}.Write(why.page())
			return err
		},
	}
	sel.registerMatrix(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func explainCell(catalog *recipes.Catalog, cell matrix.Cell) (*cellReasons, error) {
	o, known := catalog.OS(cell.OS)
	r, packaged := cell.Release(catalog)
	if !known || !packaged {
		return nil, fmt.Errorf("cell %s: no recipe for CUDA %s on %s", cell.ID, cell.CUDA, cell.OS)
	}
	e := &cellReasons{
		Version: 1, Cell: cell, Root: explainRoot(o), Repositories: []repositoryReasons{}, Layers: []layerReasons{},
		Guard: guardReasons{Provides: append([]string{}, r.Guard.Provides...), Manager: o.Manager, Where: catalog.Manager(o).Where()},
	}
	if vars, err := catalog.Variables(o, r, r.Lowest()); err != nil {
		return nil, err
	} else if vars["GUARD"] != "" {
		e.Guard.Refuses = len(catalog.Manager(o).DriverPackages)
	}
	top := cell.Flavor
	if cell.Sample != "" {
		top = r.Lowest()
		file, line := r.Where("samples")
		e.Samples = &sampleReasons{cell.Builder, r.Samples.SASS, r.Samples.PTX, place(file, line)}
	}
	source, _ := catalog.Source(o.Source)
	for _, platform := range cell.Platforms {
		e.Requirements = append(e.Requirements, requirement{platform, r.RequireFor(platform), whyRequired(cell)})
		for _, a := range catalog.Addresses(o, platform) {
			e.Repositories = append(e.Repositories, repositoryReasons{platform, source.Where(), a.URL, a.Key.ID, a.Key.Fingerprint, a.Key.SHA256, a.Key.Since})
		}
	}
	for _, flavor := range r.Chain(top) {
		e.Layers = append(e.Layers, explainLayers(r, flavor, cell.Platforms)...)
	}
	return e, nil
}

func explainRoot(o recipes.OS) rootReasons {
	root := rootReasons{OS: o.Title, Image: o.Image, Where: o.Where(), Changes: []change{}}
	if o.Bootstrap.Suite != "" {
		root.Bootstrap = fmt.Sprintf("%s %v", o.Bootstrap.Suite, o.Bootstrap.Components)
	}
	for _, c := range o.Overrides {
		root.Changes = append(root.Changes, change{c.Since, c.Why})
	}
	return root
}

// whyRequired says what NVIDIA_REQUIRE_CUDA follows from.
func whyRequired(c matrix.Cell) string {
	if c.Compat {
		return "NVIDIA's own, with the older branches that the image's cuda-compat runs on"
	}
	if _, ok := compat.MinorFloor(c.CUDA); ok {
		return fmt.Sprintf("without cuda-compat: the first driver that runs every minor release of CUDA %d", compat.Major(c.CUDA))
	}
	return "without cuda-compat: a driver of that CUDA release; none older is promised to run it"
}

// explainLayers explains a layer once, or for each platform if any has another.
func explainLayers(r recipes.Release, flavor recipes.Flavor, platforms []string) []layerReasons {
	var all []layerReasons
	for _, platform := range platforms {
		all = append(all, explainLayer(r.On(platform), flavor))
	}
	if !slices.ContainsFunc(all, func(l layerReasons) bool { return !reflect.DeepEqual(l, all[0]) }) {
		return all[:1]
	}
	for i, platform := range platforms {
		all[i].Platform = platform
	}
	return all
}

func explainLayer(r recipes.Release, flavor recipes.Flavor) layerReasons {
	layer := r.Layers[flavor]
	file, line := r.Where(string(flavor))
	l := layerReasons{
		Flavor: flavor, Where: place(file, line), Packages: []packageReasons{}, Hold: append([]string{}, layer.Hold...),
		Env: map[string]string{}, Files: []string{}, Links: map[string]string{},
	}
	maps.Copy(l.Env, layer.Env)
	maps.Copy(l.Links, layer.Links)
	l.Files = append(l.Files, slices.Sorted(maps.Keys(layer.Files))...)
	for _, arg := range layer.Packages {
		p := packageReasons{Name: arg, Unsourced: slices.Contains(r.Unsourced, arg)}
		if pin, ok := r.Pin(arg); ok {
			p = packageReasons{Name: pin.Package, Version: pin.Version, Source: pin.Source, Date: pin.Date, Where: pin.Where}
		}
		l.Packages = append(l.Packages, p)
	}
	return l
}

func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}
