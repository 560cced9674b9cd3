// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/build"
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

// collect is the lock of the systems of cells, all of which must have been built.
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
	bases, err := base.Open(filepath.Join(held.Dir, "bases"))
	if err != nil {
		return nil, err
	}
	left := build.Left{
		Run: run, Images: images, Bases: bases,
		Lister: verify.New(verify.Options{CacheDir: filepath.Join(held.Dir, "facts"), TempDir: held.Dir, TrustDigests: true}),
	}
	if err := left.Built(cells); err != nil {
		var unbuilt *build.UnbuiltError
		if errors.As(err, &unbuilt) {
			err = &exitError{code: exitUnknown, err: err, hint: "run '" + f.matrixCommand(unbuilt.Cell) + "' first, or select what is to be locked with --only"}
		}
		return nil, err
	}
	return left.Lock(cmd.Context(), systemsOf(cells))
}

// matrixCommand is what builds a cell, of the matrix and into the folders that were named.
func (f *lockUpdate) matrixCommand(cell string) string {
	words := []string{"cudabuild matrix"}
	add := func(flag, value, usual string) {
		if value != usual {
			words = append(words, flag+" "+value)
		}
	}
	add("-f", f.file, "matrix.yaml")
	for _, dir := range f.recipes {
		add("--recipes", dir, "")
	}
	add("--group", f.group, "default")
	add("--out", f.out, "out")
	add("--state-dir", f.stateDir, defaultState())
	add("--only", cell, "")
	return strings.Join(words, " ")
}
