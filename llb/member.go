// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"fmt"

	bkllb "github.com/moby/buildkit/client/llb"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
)

// member is one cell of a family: a flavor, or a sample on the lowest one.
type member struct {
	*family
	cell   matrix.Cell
	sample samples.Sample // zero if the cell is a flavor
}

func (f *family) member(cell matrix.Cell) (*member, error) {
	m := &member{family: f, cell: cell}
	needs := cell.Flavor
	if cell.Sample != "" {
		var known bool
		if m.sample, known = samples.Lookup(cell.Sample); !known {
			return nil, fmt.Errorf("no sample %q", cell.Sample)
		}
		needs = recipes.Devel
	}
	if _, made := f.flavors[needs]; !made {
		return nil, fmt.Errorf("CUDA %s on %s has no %q", cell.CUDA, cell.OS, needs)
	}
	return m, nil
}

// state is the root file system of the cell.
func (m *member) state() bkllb.State {
	if m.cell.Sample != "" {
		return m.place(m.compile())
	}
	return m.flavors[m.cell.Flavor]
}

// top is the highest flavor that the cell's image holds.
func (m *member) top() recipes.Flavor {
	if m.cell.Sample != "" {
		return m.release.Lowest()
	}
	return m.cell.Flavor
}
