// SPDX-License-Identifier: Apache-2.0

// Package plan is how each image is made, and a plan as others see it.
//
// [New] returns the [Image] of a cell on a platform: the steps that make it, in order,
// with their scripts, variables, mounts and the line of the recipe that asks for each, and
// its configuration. Package llb prints it as a BuildKit graph, package emit as a
// Dockerfile, and `cudabuild explain` in words; none of them derives anything of it again.
//
// [Read] reads a document that an earlier `cudabuild plan --json` printed, [Compare] says
// field by field how a plan differs from it, and [Graph] draws the layers that cells share
// as a Mermaid flowchart. All are pure: same cells, same bytes.
package plan

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/spec"
)

// Document is what plan --json prints. Cells and problems are never null; one of them
// is empty.
type Document struct {
	Version  int           `json:"version"` // 1
	Cells    []matrix.Cell `json:"cells"`   // in the order in which they are built
	Problems spec.Problems `json:"problems"`
}

// Old is a plan that was printed earlier, with whatever fields its cells had then.
type Old struct {
	cells []fields // in the order of the document, IDs are unique
}

// fields are those of one cell, as encoding/json decodes them into an any.
type fields map[string]any

func (f fields) id() string { return f["id"].(string) }

// Read reads the document of a plan. Fields that it does not know are kept.
func Read(data []byte) (Old, error) {
	var doc struct {
		Version  int               `json:"version"`
		Cells    *[]fields         `json:"cells"`
		Problems []json.RawMessage `json:"problems"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return Old{}, err
	}
	switch {
	case doc.Version != 1:
		return Old{}, fmt.Errorf("version %d, want 1", doc.Version)
	case doc.Cells == nil:
		return Old{}, errors.New("it has no cells")
	case len(doc.Problems) > 0:
		return Old{}, errors.New("it is that of an invalid matrix")
	}
	seen := map[string]bool{}
	for i, cell := range *doc.Cells {
		for _, field := range []string{"id", "os", "cuda"} { // the record of a run has no os
			if _, ok := cell[field].(string); !ok {
				return Old{}, fmt.Errorf("cell %d has no %s", i, field)
			}
		}
		if seen[cell.id()] {
			return Old{}, fmt.Errorf("cell %q is there twice", cell.id())
		}
		seen[cell.id()] = true
	}
	return Old{*doc.Cells}, nil
}
