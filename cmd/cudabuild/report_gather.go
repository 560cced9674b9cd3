// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/support"
)

// gather reads the rest that a report is made of. The error means that it could not go on.
func (f *reportFlags) gather(cmd *cobra.Command, s *reportSources) (report.Input, error) {
	ctx := cmd.Context()
	in := report.Input{Today: today(ctx), Sources: slices.Clone(s.list), Run: s.run.Run, Ledgers: s.ledgers}
	in.Program, _ = buildVersion()
	catalog, err := recipes.Load(f.recipes...)
	if err != nil {
		return in, tell(cmd, err, false)
	}
	if err := readBuilt(ctx, s.run, verifierOfOurs(f.stateDir), f.show(cmd), &in); err != nil {
		return in, err
	}
	in.Ends = endsOfCells(catalog, in)
	if err := s.readPublished(ctx, attest.Options{Registry: f.registry(), Key: s.key}, f.show(cmd), &in); err != nil || s.since == nil {
		return in, err
	}
	in.Before = s.since.Run
	where := askedAt(catalog)
	in.Changes, err = diff.Runs(ctx, s.since.side(where), s.run.side(where))
	return in, err
}

// side is a run as it is compared; where says which lines ask for the steps of a cell.
func (r *runFiles) side(where func(cell string) map[string]string) diff.Run {
	return diff.Run{Name: r.name, Record: r.Run, Where: where, Open: func(_ context.Context, digest string) (v1.Image, error) {
		img, _, err := r.built.find(digest)
		if errors.Is(err, fs.ErrNotExist) {
			err = cmp.Or(r.built.problem, fmt.Errorf("%s is not beside %s", digest, r.name))
		}
		return img, err
	}}
}

// endsOfCells are when cells end, as the recipes have it, or else as their images say.
func endsOfCells(catalog *recipes.Catalog, in report.Input) map[string]*support.End {
	all := map[string]*support.End{}
	for _, cell := range in.Run.Cells {
		os, cuda := builtFor(cell)
		if recipe, known := catalog.Recipe(os, cuda); known {
			all[cell.ID] = recipe.Ends()
			continue
		}
		for _, img := range cell.Images {
			if day, is := support.Day(in.Contents[img.Digest].Config.Labels[plan.EndsLabel]); is {
				all[cell.ID] = support.First(all[cell.ID], &support.End{Date: day, What: "its CUDA release or OS", Source: "label " + plan.EndsLabel + " of the image"})
			}
		}
	}
	return all
}

// builtFor is the OS and the CUDA release of a cell: its ID is CUDA-KIND-OS.
func builtFor(cell record.Cell) (os, cuda string) {
	cuda, _, _ = strings.Cut(cell.ID, "-")
	return cell.ID[strings.LastIndexByte(cell.ID, '-')+1:], cuda
}
