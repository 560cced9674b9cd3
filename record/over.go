// SPDX-License-Identifier: Apache-2.0

package record

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify"
)

// Over returns the record of a folder that had the record earlier, nil if it had none,
// after the run r: cells and inputs of r in place of their own entries, all others as
// and where they were, but without the tags that moved to a cell of r. A cell whose image
// is the same keeps its rows. Totals are those of all cells, but SizeBytes and Seconds are
// r's, as Lock and Builders are. Neither run is changed.
func (r *Run) Over(earlier *Run) *Run {
	result := &Run{Version: r.Version, Inputs: slices.Clone(r.Inputs), Cells: slices.Clone(r.Cells), Lock: r.Lock, Builders: slices.Clone(r.Builders)}
	if earlier != nil {
		result.Pushes = append(slices.Clone(earlier.Pushes), r.Pushes...)
		result.Inputs = over(r.Inputs, earlier.Inputs, func(i Input) string { return i.OS + " " + i.Platform })
		result.Cells = over(withRows(r.Cells, earlier.Cells), withoutTags(earlier.Cells, r), func(c Cell) string { return c.ID })
	}
	slices.SortStableFunc(result.Inputs, func(a, b Input) int {
		return cmp.Or(cmp.Compare(a.OS, b.OS), cmp.Compare(a.Platform, b.Platform))
	})
	result.Totals = Totals{
		SizeBytes: r.Totals.SizeBytes, Seconds: r.Totals.Seconds,
		CacheFetchedBytes: r.Totals.CacheFetchedBytes, CacheSentBytes: r.Totals.CacheSentBytes,
	}
	result.Sum()
	return result
}

// Forget takes the entries of cells out of the record in a file, and the inputs that no other cell was made from. The
// file changes whole or not at all.
func Forget(ctx context.Context, path string, images *image.Store, ids []string) error {
	return change(path, func(earlier *Run) (*Run, error) {
		if earlier == nil {
			return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		left := *earlier
		left.Cells = slices.DeleteFunc(slices.Clone(earlier.Cells), func(c Cell) bool { return slices.Contains(ids, c.ID) })
		left.Inputs = slices.DeleteFunc(slices.Clone(earlier.Inputs), func(i Input) bool {
			return !slices.ContainsFunc(left.Cells, func(c Cell) bool { return c.madeFrom(i) })
		})
		left.Totals = Totals{
			Seconds: earlier.Totals.Seconds, CacheFetchedBytes: earlier.Totals.CacheFetchedBytes, CacheSentBytes: earlier.Totals.CacheSentBytes,
		}
		left.Sum()
		left.Totals.SizeBytes = left.Size(ctx, images)
		return &left, nil
	})
}

// madeFrom reports whether a cell, whose ID ends in its OS, has an image from an input; of one without any nobody knows.
func (c Cell) madeFrom(i Input) bool {
	return strings.HasSuffix(c.ID, "-"+i.OS) &&
		(len(c.Images) == 0 || slices.ContainsFunc(c.Images, func(r verify.Report) bool { return r.Platform == i.Platform }))
}

// withoutTags returns cells without the tags that passed cells of r have now.
func withoutTags(cells []Cell, r *Run) []Cell {
	owner := map[string]string{}
	for _, c := range r.Cells {
		for _, tag := range c.Tags {
			if c.Status == Passed {
				owner[tag] = c.ID
			}
		}
	}
	cells = slices.Clone(cells)
	for i, c := range cells {
		cells[i].Tags = slices.DeleteFunc(slices.Clone(c.Tags), func(tag string) bool {
			id, moved := owner[tag]
			return moved && id != c.ID
		})
	}
	return cells
}

// over puts fresh elements in the places of stale ones with the same key, and those
// that have no place at the end.
func over[T any](fresh, stale []T, key func(T) string) []T {
	result := slices.Clone(stale)
	for _, f := range fresh {
		if i := slices.IndexFunc(result, func(s T) bool { return key(s) == key(f) }); i >= 0 {
			result[i] = f
		} else {
			result = append(result, f)
		}
	}
	return result
}
