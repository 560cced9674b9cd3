// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/build"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// lockUpdate is the command: of what a run has left it makes a lock.
type lockUpdate struct {
	selection
	workspace

	asJSON bool
}

func newLockUpdate() *cobra.Command {
	var f lockUpdate
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Write matrix.lock of what the last run has built",
		Long: `Update writes matrix.lock beside matrix.yaml, or ours.lock for '-f ours.yaml': what the
images of one group were made from, roots, package lists, every package, tools. It reads OUT/run.json, the images and the roots in the
state directory, and asks nobody. What the lock has of other systems stays. It prints what
has changed.`,
		Args: cobra.NoArgs,
		Example: `  cudabuild lock update
  cudabuild lock update --only '12.4-*'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := f.lockFile()
			if err != nil {
				return err
			}
			_, cells, err := f.loadAll(cmd, false)
			if err != nil {
				return err
			}
			old, err := lock.Read(path)
			if err != nil && !errors.Is(err, lock.ErrNone) {
				return &exitError{code: exitUsage, err: err, hint: "take it as it was committed, or remove it"}
			}
			fresh, err := f.collect(cmd, cells)
			if err != nil {
				return f.unknown(err)
			}
			l := old.Update(fresh)
			if err := l.Write(path); err != nil {
				return f.unknown(err)
			}
			return f.print(cmd.OutOrStdout(), path, l, lock.Compare(old, l))
		},
	}
	f.selection.register(cmd)
	f.workspace.register(cmd)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	return cmd
}

func (f *lockUpdate) print(w io.Writer, path string, l *lock.Lock, d lock.Diff) error {
	if f.asJSON {
		return plain.JSON(w, d)
	}
	if err := lockDiff(w, d); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s: %s of %s, %s\n", path, counted(len(l.Packages), "package"), counted(len(l.Roots), "system"), counted(len(d.Changes), "change"))
	return err
}

func lockDiff(w io.Writer, d lock.Diff) error {
	for _, c := range d.Changes {
		if _, err := fmt.Fprintln(plain.To(w), c); err != nil {
			return err
		}
	}
	return nil
}

// collect is the lock of the systems of cells, all of which must have been built. Beside theirs
// it has the packages of all other images that were made from the same roots and lists.
func (f *lockUpdate) collect(cmd *cobra.Command, cells []matrix.Cell) (l *lock.Lock, err error) {
	held, err := f.own(cmd, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	images, err := f.readImages()
	if err != nil {
		return nil, err
	}
	run, err := record.Read(f.recordPath())
	if err != nil {
		return nil, err
	}
	if run == nil {
		run = &record.Run{}
	}
	if err := f.checkBuilt(run, images, cells); err != nil {
		return nil, err
	}
	bases, err := base.Open(filepath.Join(held.Dir, "bases"))
	if err != nil {
		return nil, err
	}
	c := collector{images: images, verifier: verify.New(verify.Options{CacheDir: filepath.Join(held.Dir, "facts"), TempDir: held.Dir, TrustDigests: true})}
	c.lock.Tools = map[string]string{}
	for _, s := range systemsOf(cells) {
		if err := c.system(cmd.Context(), bases, run, s); err != nil {
			return nil, err
		}
	}
	return &c.lock, nil
}

// checkBuilt returns an error that names the cells of which there is no image, or one of another
// root than the newest.
func (f *lockUpdate) checkBuilt(run *record.Run, images *image.Layout, cells []matrix.Cell) error {
	for _, cell := range cells {
		why := "is not built"
		if i := slices.IndexFunc(run.Cells, func(c record.Cell) bool { return c.ID == cell.ID }); i >= 0 {
			switch c := run.Cells[i]; {
			case c.Status != record.Passed:
				why = "has not passed"
			case !standing(images, c):
				why = "is not in " + images.Dir()
			case !fromInputs(run, c, cell.Platforms):
				why = "was built from other package lists than the last image of " + cell.OS
			default:
				continue
			}
		}
		hint := "cudabuild matrix"
		if f.group != "default" {
			hint += " --group " + f.group
		}
		return &exitError{code: exitUnknown, err: fmt.Errorf("%s %s", cell.ID, why), hint: "run '" + hint + " --only " + cell.ID + "' first, or select what is to be locked with --only"}
	}
	return nil
}

// standing reports whether the image of a cell is in the layout.
func standing(images *image.Layout, c record.Cell) bool {
	if len(c.Tags) == 0 {
		return false
	}
	desc, ok := images.Lookup(c.Tags[0])
	return ok && desc.Digest.String() == c.Digest
}

// fromInputs reports whether the images of a cell for some platforms were made from the inputs of a record.
func fromInputs(run *record.Run, c record.Cell, platforms []string) bool {
	for _, platform := range platforms {
		i := slices.IndexFunc(c.Made, func(m record.Made) bool { return m.Platform == platform })
		if i < 0 || !madeFrom(c.Made[i], inputOf(run, lock.System{OS: c.Made[i].OS, Platform: platform})) {
			return false
		}
	}
	return true
}

func madeFrom(m record.Made, in record.Input) bool {
	has := func(kind, digest string) bool {
		return slices.ContainsFunc(m.Parts, func(p record.Part) bool { return p.Kind == kind && p.Digest == digest })
	}
	return has(record.RootPart, in.Root) && has(record.ListsPart, in.Lists)
}

func inputOf(run *record.Run, s lock.System) record.Input {
	i := slices.IndexFunc(run.Inputs, func(in record.Input) bool { return in.OS == s.OS && in.Platform == s.Platform })
	if i < 0 {
		return record.Input{}
	}
	return run.Inputs[i]
}

// collector puts a lock together.
type collector struct {
	images   *image.Layout
	verifier *verify.Verifier
	lock     lock.Lock
}

// system adds what is known of one.
func (c *collector) system(ctx context.Context, bases *base.Store, run *record.Run, s lock.System) error {
	in := inputOf(run, s)
	from, ok := bases.Find(ctx, s, in.Root, in.Lists)
	if !ok {
		return &exitError{code: exitUnknown, err: fmt.Errorf("the root of %s that the images were made from is not in the state directory", s), hint: "name the --state-dir of the run, or run 'cudabuild matrix' again"}
	}
	root, lists, index, err := bases.State(ctx, from)
	if err != nil {
		return err
	}
	c.lock.Roots, c.lock.Lists = append(c.lock.Roots, root), append(c.lock.Lists, lists...)
	seen := map[lock.Package]bool{}
	for _, cell := range run.Cells {
		for _, made := range cell.Made {
			if (lock.System{OS: made.OS, Platform: made.Platform}) != s || cell.Status != record.Passed || !madeFrom(made, in) || !standing(c.images, cell) {
				continue
			}
			packages, err := c.packages(ctx, cell, s)
			if err != nil {
				return err
			}
			maps.Copy(c.lock.Tools, toolsOf(made, root))
			for _, p := range packages {
				if p.SHA256 = index.Sum(p); !seen[p] {
					seen[p] = true
					c.lock.Packages = append(c.lock.Packages, p)
				}
			}
		}
	}
	return nil
}

// packages are those of one image of a cell.
func (c *collector) packages(ctx context.Context, cell record.Cell, s lock.System) ([]lock.Package, error) {
	desc, _ := c.images.Lookup(cell.Tags[0])
	desc, err := c.images.ForPlatform(desc, s.Platform)
	if err != nil {
		return nil, err
	}
	img, err := c.images.Image(desc)
	if err != nil {
		return nil, err
	}
	list, err := c.verifier.Inventory(ctx, cell.ID, img)
	return build.Packages(s, list), err
}

// toolsOf are the tools of an image that are not those of its root.
func toolsOf(made record.Made, root lock.Root) map[string]string {
	tools := maps.Clone(made.Tools)
	maps.DeleteFunc(tools, func(name, _ string) bool { _, ok := root.Tools[name]; return ok })
	return tools
}
