// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
	"github.com/cudabuild/cudabuild/support"
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
			cell, err := sel.find(cmd, args[0], asJSON)
			if err != nil {
				return err
			}
			held, err := sel.lockIfAny()
			if err != nil {
				return err
			}
			why, err := explainCell(cell, held)
			if err != nil {
				return err
			}
			if asJSON {
				return plain.JSON(cmd.OutOrStdout(), why)
			}
			_, err = plain.To(cmd.OutOrStdout()).Write(why.page())
			return err
		},
	}
	sel.registerMatrix(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func explainCell(cell matrix.Cell, held *lock.Lock) (*cellReasons, error) {
	var images []*plan.Image
	for _, platform := range cell.Platforms {
		img, err := plan.New(cell, platform)
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	first := images[0]
	e := &cellReasons{
		Version: 1, Cell: cell, Root: explainRoot(first.OS), Repositories: []repositoryReasons{}, Layers: explainLayers(images, held),
		Guard: guardReasons{Provides: append([]string{}, first.Release.Guard.Provides...), Manager: first.OS.Manager, Where: first.Manager.Where()},
	}
	e.Ends = slices.DeleteFunc(cell.Recipe.EndsAll(), func(end *support.End) bool { return end == nil })
	for _, step := range first.Steps {
		switch {
		case step.Env["GUARD"] != "":
			e.Guard.Refuses = len(first.Manager.DriverPackages)
		case step.Program != "":
			file, line := first.Release.Where("samples")
			sample, _ := samples.Lookup(step.Program)
			e.Samples = &sampleReasons{Builder: cell.Builder, SASS: []int{}, Where: fileLine(file, line), Libraries: sample.Libraries}
			if sample.HasKernels() {
				e.Samples.SASS, e.Samples.PTX = first.Release.Samples.SASS, first.Release.Samples.PTX
			}
		}
	}
	for _, img := range images {
		e.Requirements = append(e.Requirements, requirement{img.Platform, img.Env["NVIDIA_REQUIRE_CUDA"], whyRequired(cell)})
		for _, a := range img.Addresses(img.Platform) {
			e.Repositories = append(e.Repositories, repositoryReasons{img.Platform, img.Source.Where(), a.URL, a.Key.ID, a.Key.Fingerprint, a.Key.SHA256, a.Key.Since})
		}
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

// explainLayers explains the layer of each flavor once, or for each platform if any has another.
func explainLayers(images []*plan.Image, held *lock.Lock) []layerReasons {
	all := []layerReasons{}
	for i, step := range images[0].Layers() {
		if step.Program != "" {
			continue
		}
		var each []layerReasons
		for _, img := range images {
			each = append(each, explainLayer(img, img.Layers()[i], held))
		}
		if !slices.ContainsFunc(each, func(l layerReasons) bool { return !reflect.DeepEqual(l, each[0]) }) {
			all = append(all, each[0])
			continue
		}
		for n, img := range images {
			each[n].Platform = img.Platform
		}
		all = append(all, each...)
	}
	return all
}

func explainLayer(img *plan.Image, step plan.Step, held *lock.Lock) layerReasons {
	layer, r := step.Layer, img.Release
	l := layerReasons{
		Flavor: recipes.Flavor(step.Name), Where: fileLine(step.File, step.Line), Packages: []packageReasons{}, Hold: append([]string{}, layer.Hold...),
		Env: map[string]string{}, Files: []string{}, Links: map[string]string{},
	}
	maps.Copy(l.Env, layer.Env)
	maps.Copy(l.Links, layer.Links)
	l.Files = append(l.Files, slices.Sorted(maps.Keys(layer.Files))...)
	for _, arg := range layer.Packages {
		p := packageReasons{Name: arg, Unsourced: slices.Contains(r.Unsourced, arg)}
		if w, ok := r.Witness(arg); ok {
			p.Witness = &witnessReasons{w.Version, w.Source, w.Date, w.Where, w.By}
		}
		if pin, ok := r.Pin(arg); ok {
			p = packageReasons{Name: pin.Package, Version: pin.Version, Source: pin.Source, Date: pin.Date, Where: pin.Where, By: pin.By}
		}
		p.Locked = held.Versions(lock.System{OS: img.OS.Name, Platform: img.Platform}, p.Name)
		l.Packages = append(l.Packages, p)
	}
	return l
}

func fileLine(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}
