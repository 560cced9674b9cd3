// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"slices"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// Find returns the cell of that ID: of the group if it has one, else of the first group
// that does. The error is a [spec.Problems]: no such group or no such cell.
func (m *Matrix) Find(group, id string) (Cell, error) {
	f := new(spec.Report).File(m.file)
	if _, ok := m.cells[group]; !ok {
		f.At(spec.Place{}, suggest.Hint(group, m.groups), "no group %q", group)
		return Cell{}, f.Err()
	}
	var ids []string
	for _, name := range append([]string{group}, m.groups...) {
		for _, c := range m.cells[name] {
			if c.ID == id {
				return c.clone(), nil
			}
			ids = append(ids, c.ID)
		}
	}
	if why := impossibleID(m.catalog, id); why != "" {
		f.At(spec.Place{}, "", "no cell %q: %s", id, why)
		return Cell{}, f.Err()
	}
	slices.Sort(ids)
	f.At(spec.Place{}, suggest.Hint(id, slices.Compact(ids)), "no cell %q", id)
	return Cell{}, f.Err()
}
