// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/verify"
)

// Row is what a GPU host showed of an image.
type Row struct {
	gpu.Row

	Host gpu.Host `json:"host"`
}

// Observe adds what a host showed to the record in a file, which must be there, and
// returns the rows that are of no image of it. The file changes whole or not at all.
func Observe(path string, host gpu.Host, rows []gpu.Row) (strange []gpu.Row, err error) {
	err = change(path, func(earlier *Run) (*Run, error) {
		if earlier == nil {
			return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		strange = earlier.observe(host, rows)
		return earlier, nil
	})
	return strange, err
}

// observe adds rows to the cells whose image they are of and returns the others.
func (r *Run) observe(host gpu.Host, rows []gpu.Row) (strange []gpu.Row) {
	for _, row := range rows {
		i := slices.IndexFunc(r.Cells, func(c Cell) bool {
			return c.Digest == row.Digest || slices.ContainsFunc(c.Images, func(v verify.Report) bool {
				return v.Digest == row.Digest || v.Config != "" && v.Config == row.Config
			})
		})
		if i < 0 {
			strange = append(strange, row)
			continue
		}
		c := &r.Cells[i]
		c.Rows = append(c.Rows, Row{row, host})
		c.Rows = gpu.Newest(c.Rows, func(r Row) gpu.Row { return r.Row })
	}
	return strange
}

// withRows returns cells with the rows that earlier ones have of the same images, and for those
// that a run found unchanged the builders that they are by.
func withRows(cells, earlier []Cell) []Cell {
	cells = slices.Clone(cells)
	for i, c := range cells {
		for _, e := range earlier {
			if e.ID == c.ID && e.Digest == c.Digest && c.Digest != "" {
				cells[i].Rows = append(slices.Clone(e.Rows), c.Rows...)
				if c.Cached {
					cells[i].Builders = e.Builders
				}
			}
		}
	}
	return cells
}
