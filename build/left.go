// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/record"
)

// Left is what runs have left, of which a lock can be made.
type Left struct {
	Run    *record.Run
	Images *image.Layout
	Bases  *base.Store
	Lister Lister
}

// UnbuiltError means that there is no image of a cell, or one of another root than the newest.
type UnbuiltError struct{ Cell, Why string }

func (e *UnbuiltError) Error() string { return e.Cell + " " + e.Why }

// Built returns an [*UnbuiltError] of the first cell that has to be built before it can be locked.
func (l Left) Built(cells []matrix.Cell) error {
	for _, cell := range cells {
		why := "is not built"
		if i := slices.IndexFunc(l.Run.Cells, func(c record.Cell) bool { return c.ID == cell.ID }); i >= 0 {
			switch c := l.Run.Cells[i]; {
			case c.Status != record.Passed:
				why = "has not passed"
			case !l.standing(c):
				why = "is not in " + l.Images.Dir()
			case !l.fromInputs(c, cell.Platforms):
				why = "was built from other package lists than the last image of " + cell.OS
			default:
				continue
			}
		}
		return &UnbuiltError{cell.ID, why}
	}
	return nil
}

// standing reports whether the image of a cell is in the layout.
func (l Left) standing(c record.Cell) bool {
	if len(c.Tags) == 0 {
		return false
	}
	desc, ok := l.Images.Lookup(c.Tags[0])
	return ok && desc.Digest.String() == c.Digest
}

// fromInputs reports whether the images of a cell for some platforms were made from the inputs of the record.
func (l Left) fromInputs(c record.Cell, platforms []string) bool {
	for _, platform := range platforms {
		i := slices.IndexFunc(c.Made, func(m record.Made) bool { return m.Platform == platform })
		if i < 0 || !from(c.Made[i], l.input(lock.System{OS: c.Made[i].OS, Platform: platform})) {
			return false
		}
	}
	return true
}

func from(m record.Made, in record.Input) bool {
	has := func(kind, digest string) bool {
		return slices.ContainsFunc(m.Parts, func(p record.Part) bool { return p.Kind == kind && p.Digest == digest })
	}
	return has(record.RootPart, in.Root) && has(record.ListsPart, in.Lists)
}

func (l Left) input(s lock.System) record.Input {
	i := slices.IndexFunc(l.Run.Inputs, func(in record.Input) bool { return in.OS == s.OS && in.Platform == s.Platform })
	if i < 0 {
		return record.Input{}
	}
	return l.Run.Inputs[i]
}

// Lock is the lock of systems. It has the packages of all images that were made from the same roots
// and lists, whichever group they are of.
func (l Left) Lock(ctx context.Context, systems []lock.System) (*lock.Lock, error) {
	result := &lock.Lock{Tools: map[string]string{}}
	for _, s := range systems {
		if err := l.system(ctx, s, result); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// system adds what is known of one.
func (l Left) system(ctx context.Context, s lock.System, to *lock.Lock) error {
	in := l.input(s)
	of, ok := l.Bases.Find(ctx, s, in.Root, in.Lists)
	if !ok {
		return hint.New(fmt.Sprintf("the root of %s that the images were made from is not in the state directory", s), "name the --state-dir of the run, or run 'cudabuild matrix' again")
	}
	root, lists, index, err := l.Bases.State(ctx, of)
	if err != nil {
		return err
	}
	to.Roots, to.Lists = append(to.Roots, root), append(to.Lists, lists...)
	seen := map[lock.Package]bool{}
	for _, cell := range l.Run.Cells {
		for _, made := range cell.Made {
			if (lock.System{OS: made.OS, Platform: made.Platform}) != s || cell.Status != record.Passed || !from(made, in) || !l.standing(cell) {
				continue
			}
			packages, err := l.packages(ctx, cell, s)
			if err != nil {
				return err
			}
			addTools(to.Tools, made.Tools, root.Tools)
			for _, p := range packages {
				if p.SHA256 = index.Sum(p); !seen[p] {
					seen[p] = true
					to.Packages = append(to.Packages, p)
				}
			}
		}
	}
	return nil
}

// packages are those of one image of a cell.
func (l Left) packages(ctx context.Context, cell record.Cell, s lock.System) ([]lock.Package, error) {
	desc, _ := l.Images.Lookup(cell.Tags[0])
	desc, err := l.Images.ForPlatform(desc, s.Platform)
	if err != nil {
		return nil, err
	}
	img, err := l.Images.Image(desc)
	if err != nil {
		return nil, err
	}
	list, err := l.Lister.Inventory(ctx, cell.ID, img)
	return Packages(s, list), err
}

// addTools adds the tools of an image that are not those of its root. Images may have been built by several
// versions of one.
func addTools(all, made, root map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(made)) {
		if _, ofRoot := root[name]; ofRoot {
			continue
		}
		versions := strings.Split(all[name], lock.ToolSeparator)
		if all[name] == "" {
			versions = nil
		}
		if !slices.Contains(versions, made[name]) {
			versions = append(versions, made[name])
			slices.Sort(versions)
			all[name] = strings.Join(versions, lock.ToolSeparator)
		}
	}
}
