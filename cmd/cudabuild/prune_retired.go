// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/record"
)

// forgotten is a cell that the matrix no longer has.
type forgotten struct {
	ID   string   `json:"id"`
	Tags []string `json:"tags"` // full names that the image folder forgets; never null
	Left []string `json:"left"` // of its tags, those that name another image than its own, and stay; never null
}

// wantedCells are the IDs and the full tags of the cells that the matrix has, in any group, by these recipes.
type wantedCells struct {
	ids, tags map[string]bool
	recipes   *recipes.Catalog
}

func (f *pruneFlags) wanted(cmd *cobra.Command) (wantedCells, error) {
	w := wantedCells{ids: map[string]bool{}, tags: map[string]bool{}}
	for _, glob := range f.only {
		if _, err := path.Match(glob, ""); err != nil {
			return w, hint.Usage(fmt.Sprintf("--only %q: %v", glob, err), "write a glob on IDs of cells, such as '12.4-*'")
		}
	}
	_, cells, err := f.loadWhole(cmd)
	if err != nil {
		return w, err
	}
	for _, c := range cells {
		w.ids[c.ID] = true
		for _, tag := range c.Tags {
			w.tags[tag] = true
		}
	}
	w.recipes, err = recipes.Load(f.recipes...)
	return w, err
}

// retire returns the cells of the record that the matrix does not have, and their tags in the image folder.
func (f *pruneFlags) retire(store *image.Store, wanted wantedCells) (cells []forgotten, tags []string, err error) {
	cells = []forgotten{}
	run, err := record.Read(f.runFile())
	if err != nil {
		return cells, nil, hint.New(err.Error(), "move it away, or put back the one that 'cudabuild matrix' wrote: it says which images are whose")
	}
	if run == nil {
		return cells, nil, nil
	}
	known := func(c record.Cell) bool { return wanted.ids[c.ID] }
	if len(f.only) == 0 && len(run.Cells) > 0 && !slices.ContainsFunc(run.Cells, known) {
		return cells, nil, hint.Usage(fmt.Sprintf("%s has none of %s of %s: it may be the matrix of other images", f.file, counted(len(run.Cells), "cell"), f.runFile()),
			"name their matrix with -f; --only '*' forgets them all")
	}
	entries, err := store.Entries()
	if err != nil {
		return cells, nil, err
	}
	for _, c := range run.Cells {
		if known(c) || !f.selects(c.ID) {
			continue
		}
		if file := wanted.lacks(c); file != "" && len(f.only) == 0 {
			return cells, nil, hint.Usage(fmt.Sprintf("%s was built with %s, which is not among these recipes: the matrix may have it with them", c.ID, file),
				"give --recipes with the folder that has it; if it is gone for good, name the cell: --only "+word(c.ID))
		}
		cell := forgotten{c.ID, []string{}, []string{}}
		cell.sort(entries, c, wanted)
		cells, tags = append(cells, cell), append(tags, cell.Tags...)
	}
	return cells, tags, nil
}

// selects reports whether --only says nothing, or has a glob for that cell.
func (f *pruneFlags) selects(id string) bool {
	return len(f.only) == 0 || slices.ContainsFunc(f.only, func(glob string) bool {
		is, _ := path.Match(glob, id) // it was tried before
		return is
	})
}

// lacks is a file by which a cell was built, and which more folders had then than have it now; "" if there is none.
func (w wantedCells) lacks(c record.Cell) string {
	for _, made := range c.Made {
		then := map[string]int{}
		for _, p := range made.Parts {
			if p.Kind != record.RecipePart || !slices.Contains(recipes.Kinds(), path.Dir(p.Name)) || path.Ext(p.Name) != ".yaml" {
				continue // the source of a file that a flavor places
			}
			if then[p.Name]++; then[p.Name] > w.recipes.Versions(p.Name) {
				return p.Name
			}
		}
	}
	return ""
}

// sort tells the tags of a cell that name its image from those that somebody else has moved; those of a cell that stays
// are neither. Which image that is where the last run did not pass, the cell's first tag says, which is nobody else's.
func (f *forgotten) sort(entries []ocispec.Descriptor, c record.Cell, wanted wantedCells) {
	named := map[string][]string{}
	for _, e := range entries {
		named[e.Annotations[image.FullNameAnnotation]] = append(named[e.Annotations[image.FullNameAnnotation]], e.Digest.String())
	}
	own := []string{c.Digest}
	if c.Status != record.Passed && len(c.Tags) > 0 {
		own = named[c.Tags[0]]
	}
	for _, tag := range c.Tags {
		switch {
		case len(named[tag]) == 0 || wanted.tags[tag]:
		case len(own) == 1 && slices.Equal(named[tag], own):
			f.Tags = append(f.Tags, tag)
		default:
			f.Left = append(f.Left, tag)
		}
	}
}

// forget takes the cells out of the record.
func (f *pruneFlags) forget(ctx context.Context, store *image.Store, cells []forgotten) error {
	if len(cells) == 0 || f.dryRun {
		return nil
	}
	var ids []string
	for _, c := range cells {
		ids = append(ids, c.ID)
	}
	if err := record.Forget(ctx, f.runFile(), store, ids); err != nil {
		return fmt.Errorf("the images have forgotten them, %s has not: %w; the same command goes on", f.runFile(), err)
	}
	return nil
}

func (f *pruneFlags) runFile() string { return filepath.Join(f.out, "run.json") }
