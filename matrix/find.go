// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"slices"

	"github.com/cudabuild/cudabuild/internal/suggest"
)

// Find returns the cell of that ID: of the group if it has one, else of the first group
// that does. The error is a [Problems]: no such group or no such cell.
func (m *Matrix) Find(group, id string) (Cell, error) {
	r := &report{file: m.file}
	if _, ok := m.cells[group]; !ok {
		r.at(0, 0, suggest.Hint(group, m.groups), "no group %q", group)
		return Cell{}, r.err()
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
		r.at(0, 0, "", "no cell %q: %s", id, why)
		return Cell{}, r.err()
	}
	slices.Sort(ids)
	r.at(0, 0, suggest.Hint(id, slices.Compact(ids)), "no cell %q", id)
	return Cell{}, r.err()
}
