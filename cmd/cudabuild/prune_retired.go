// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/record"
)

// forgotten is a cell that the matrix no longer has.
type forgotten struct {
	ID   string   `json:"id"`
	Tags []string `json:"tags"` // full names that the image folder forgets; never null
}

// wantedCells are the IDs and the full tags of the cells that the matrix has, in any group.
type wantedCells struct{ ids, tags map[string]bool }

func (f *pruneFlags) wanted(cmd *cobra.Command) (wantedCells, error) {
	cells, err := f.loadWhole(cmd)
	w := wantedCells{map[string]bool{}, map[string]bool{}}
	for _, c := range cells {
		w.ids[c.ID] = true
		for _, tag := range c.Tags {
			w.tags[tag] = true
		}
	}
	return w, err
}

// retire returns the cells of the record that the matrix does not have, and their tags in the image
// folder: those of a cell that passed only if they name its image, for otherwise somebody else moved them.
func (f *pruneFlags) retire(store *image.Store, wanted wantedCells) (cells []forgotten, tags []string, err error) {
	cells = []forgotten{}
	run, err := record.Read(f.runFile())
	if err != nil || run == nil {
		return cells, nil, err
	}
	for _, c := range run.Cells {
		if wanted.ids[c.ID] {
			continue
		}
		cell := forgotten{c.ID, []string{}}
		for _, tag := range c.Tags {
			desc, there := store.Lookup(tag)
			if there && !wanted.tags[tag] && (c.Status != record.Passed || desc.Digest.String() == c.Digest) {
				cell.Tags = append(cell.Tags, tag)
			}
		}
		cells, tags = append(cells, cell), append(tags, cell.Tags...)
	}
	return cells, tags, nil
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
	return record.Forget(ctx, f.runFile(), store, ids)
}

func (f *pruneFlags) runFile() string { return filepath.Join(f.out, "run.json") }
