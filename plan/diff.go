// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/cudabuild/cudabuild/matrix"
)

// Diff is how a plan differs from an older one, what plan --diff --json prints. Lists
// are never null.
type Diff struct {
	Version   int      `json:"version"` // 1
	Added     []string `json:"added"`   // IDs, in the order of the plan
	Removed   []string `json:"removed"` // IDs, in the order of the older plan
	Changed   []Change `json:"changed"` // in the order of the plan
	Unchanged int      `json:"unchanged"`
}

// Change is how one cell differs.
type Change struct {
	ID     string  `json:"id"`
	Fields []Field `json:"fields"` // sorted by name, never empty
}

// Field is one field of a cell with its two values, nil where the cell has no such field.
type Field struct {
	Name string `json:"field"`
	Old  any    `json:"old"`
	New  any    `json:"new"`
}

// Compare returns how cells differ from an older plan.
func Compare(old Old, cells []matrix.Cell) (Diff, error) {
	d := Diff{Version: 1, Added: []string{}, Removed: []string{}, Changed: []Change{}}
	before := map[string]fields{}
	for _, cell := range old.cells {
		before[cell.id()] = cell
	}
	for _, cell := range cells {
		now, err := fieldsOf(cell)
		if err != nil {
			return Diff{}, err
		}
		was, known := before[cell.ID]
		delete(before, cell.ID)
		changed := compare(was, now)
		switch {
		case !known:
			d.Added = append(d.Added, cell.ID)
		case len(changed) > 0:
			d.Changed = append(d.Changed, Change{cell.ID, changed})
		default:
			d.Unchanged++
		}
	}
	for _, cell := range old.cells {
		if _, left := before[cell.id()]; left {
			d.Removed = append(d.Removed, cell.id())
		}
	}
	return d, nil
}

// fieldsOf returns a cell as Read would.
func fieldsOf(cell matrix.Cell) (f fields, err error) {
	data, err := json.Marshal(cell)
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	return f, err
}

func compare(was, now fields) []Field {
	names := slices.Collect(maps.Keys(was))
	for name := range now {
		if _, ok := was[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var changed []Field
	for _, name := range names {
		if !reflect.DeepEqual(was[name], now[name]) {
			changed = append(changed, Field{name, was[name], now[name]})
		}
	}
	return changed
}
