// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"fmt"
	"path"
	"slices"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// Groups returns the names of the groups in the order of the file, never empty.
func (m *Matrix) Groups() []string { return slices.Clone(m.groups) }

// Expand returns the cells of a group whose IDs match one of the globs in only
// ([path.Match]), or all of them if there are no globs. The order is that of the
// entries, then os, then cuda, then base, runtime, devel and the samples; a pair
// that two entries share stands where the first one puts it. So a parent comes
// before what stands on it, and a builder before its samples. With globs, or an
// entry that lists some flavors only, a Parent or Builder may name a cell that is
// not in the result.
//
// The result shares no memory with m. The error is a [spec.Problems]: no such group, a
// malformed glob, or a glob that matches no cell of the group.
func (m *Matrix) Expand(group string, only []string) ([]Cell, error) {
	f := new(spec.Report).File(m.file)
	cells, ok := m.cells[group]
	if !ok {
		f.At(spec.Place{}, suggest.Hint(group, m.groups), "no group %q", group)
		return nil, f.Err()
	}
	for _, glob := range only {
		m.checkOnly(f, group, glob)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	selected := make([]Cell, 0, len(cells))
	for _, cell := range cells {
		if len(only) == 0 || slices.ContainsFunc(only, func(glob string) bool { return matches(glob, cell.ID) }) {
			selected = append(selected, cell.clone())
		}
	}
	return selected, nil
}

const globForm = `a glob has * ? and [a-z]; \ before one of these takes it as it is`

func (m *Matrix) checkOnly(f *spec.File, group, glob string) {
	if _, err := path.Match(glob, ""); err != nil {
		f.At(spec.Place{}, globForm, "--only %q: %v", glob, err)
		return
	}
	var ids []string
	for _, cell := range m.cells[group] {
		if matches(glob, cell.ID) {
			return
		}
		ids = append(ids, cell.ID)
	}
	f.At(spec.Place{}, m.globHint(glob, ids), "no cell of group %q matches %q", group, glob)
}

// globHint names a group in which the glob matches, else says that there is no such pair,
// else names IDs that look like it.
func (m *Matrix) globHint(glob string, ids []string) string {
	for _, name := range m.groups {
		for _, cell := range m.cells[name] {
			if matches(glob, cell.ID) {
				return fmt.Sprintf("%s is in group %q", cell.ID, name)
			}
		}
	}
	if why := impossibleID(m.catalog, glob); why != "" {
		return why
	}
	if near := suggest.Nearest(glob, ids, 3); len(near) > 0 {
		return "near: " + suggest.List(near)
	}
	return "cells: " + suggest.List(ids)
}

func matches(glob, id string) bool {
	ok, err := path.Match(glob, id)
	return ok && err == nil
}
