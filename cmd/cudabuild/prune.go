// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/rootfs"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
)

// pruneFlags are the flags of `cudabuild prune`.
type pruneFlags struct {
	workspace
	selection

	all, retired, dryRun, asJSON bool
}

// pruned is what prune --json prints.
type pruned struct {
	Version int          `json:"version"`
	DryRun  bool         `json:"dry_run"`
	Retired []forgotten  `json:"retired"` // cells that run.json and the images forget; never null
	Pruned  image.Pruned `json:"pruned"`  // of the images' blobs
	Folders []folder     `json:"folders"` // removed as a whole; never null
	Left    []left       `json:"left"`    // what was not removed, and why; never null
}

func newPrune() *cobra.Command {
	var f pruneFlags
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Drop what no image needs",
		Long: `Prune removes the blobs of the image folder that no tag needs, and failed images. With
--all it also removes the engine's state, bootstrapped roots, unpacked images and all
caches, so that the next run of 'cudabuild matrix' builds everything anew. With --retired run.json and
the image folder forget the cells that no group of the matrix has any more; give the same --recipes as to
matrix. It names and leaves what it does not know, and what another run has in use.`,
		Args: cobra.NoArgs,
		Example: `  cudabuild prune --dry-run
  cudabuild prune --retired --dry-run
  cudabuild prune --all`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := f.run(cmd)
			if err != nil {
				return f.unknown(err)
			}
			return f.print(cmd.OutOrStdout(), done)
		},
	}
	f.workspace.register(cmd)
	f.registerWhole(cmd)
	cmd.Flags().BoolVar(&f.retired, "retired", false, "forget the cells that the matrix no longer has")
	cmd.Flags().StringArrayVar(&f.only, "only", nil, "with --retired: only the cells whose ID matches `GLOB`, also where their recipes are gone (repeatable)")
	onlyWith(cmd, "retired", "file", "recipes", "only")
	cmd.Flags().BoolVar(&f.all, "all", false, "remove build caches and the engine's state too")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be removed and remove nothing")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	return cmd
}

func (f *pruneFlags) run(cmd *cobra.Command) (done pruned, err error) {
	done = pruned{Version: 1, DryRun: f.dryRun, Retired: []forgotten{}, Folders: []folder{}, Left: []left{}}
	var wanted wantedCells
	if f.retired {
		if wanted, err = f.wanted(cmd); err != nil {
			return done, err
		}
	}
	if f.all { // before the lock: it writes into a folder that may not be ours
		if _, _, err := f.state(); err != nil {
			return done, err
		}
	}
	lock, err := f.keepOut(cmd.Context())
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	err = f.layouts(cmd, wanted, &done)
	if err != nil && (!f.all || hint.Code(err, 0) == exitUsage) {
		return done, err
	}
	if err != nil && !errors.Is(err, errNoImages) {
		done.Left = append(done.Left, left{f.images(), err.Error()})
	}
	if !f.all {
		return done, nil
	}
	folders, others, err := f.state()
	if err != nil {
		return done, err
	}
	done.Left = append(done.Left, others...)
	if err := f.drop(&done, folders); err != nil || f.dryRun || len(others) > 0 || lock.Lock == nil {
		return done, err
	}
	return done, errors.Join(os.RemoveAll(filepath.Join(f.stateDir, ownTag)), lock.Remove())
}

// drop removes folders.
func (f *pruneFlags) drop(done *pruned, folders []folder) (err error) {
	done.Folders = append(done.Folders, folders...)
	for _, folder := range folders {
		switch {
		case f.dryRun:
		case engine.Probe(filepath.Base(folder.Path)):
			err = errors.Join(err, engine.DropProbe(folder.Path))
		default:
			err = errors.Join(err, os.RemoveAll(folder.Path))
		}
	}
	return err
}

// keeper is who keeps runs out of the state directory.
type keeper struct {
	*engine.Lock // nil if no run was ever there

	quiet func() // lets GPU runs in again; may be nil
}

func (k keeper) release() error {
	if k.quiet != nil {
		k.quiet()
	}
	if k.Lock == nil {
		return nil
	}
	return k.Release()
}

// keepOut owns the state directory, if a run was ever there.
func (f *pruneFlags) keepOut(ctx context.Context) (k keeper, err error) {
	if _, err := os.Stat(filepath.Join(f.stateDir, lockFile)); errors.Is(err, fs.ErrNotExist) && !owned(f.stateDir) {
		return k, nil
	}
	dir, err := filepath.Abs(f.stateDir)
	if err != nil {
		return k, err
	}
	if k.Lock, err = engine.Acquire(ctx, dir, nil); err != nil || !f.all {
		return k, err
	}
	noRuns, err := container.Quiet(ctx, filepath.Join(dir, "gpu", "runs"))
	if err != nil {
		return keeper{}, errors.Join(err, k.Release())
	}
	noRoots, err := rootfs.Quiet(filepath.Join(dir, "gpu", "roots"))
	if err != nil {
		noRuns()
		return keeper{}, errors.Join(err, k.Release())
	}
	k.quiet = func() { noRoots(); noRuns() }
	return k, nil
}

// layouts prunes the image folder, whose lock is that of the failed images too, and
// removes those.
func (f *pruneFlags) layouts(cmd *cobra.Command, wanted wantedCells, done *pruned) error {
	store, err := f.openImages()
	if err != nil && !errors.Is(err, errNoImages) {
		return err
	}
	if err != nil && !f.all {
		return err
	}
	none := err
	if store != nil {
		defer store.Close()
		var tags []string
		if f.retired {
			if done.Retired, tags, err = f.retire(store, wanted); err != nil {
				return err
			}
			if _, err := os.Stat(f.runFile()); errors.Is(err, fs.ErrNotExist) {
				done.Left = append(done.Left, left{f.runFile(), "it is not there, so no cell is known that could be forgotten"})
			}
		}
		if done.Pruned, err = store.Prune(cmd.Context(), f.dryRun, tags...); err != nil {
			return err
		}
		if err := f.forget(cmd.Context(), store, done.Retired); err != nil { // last: what it knows of is found again
			return err
		}
		if err := done.Pruned.Unknown; err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				done.Left = append(done.Left, left{f.images(), line})
			}
		}
	}
	failed, others, err := f.failedImages()
	if err != nil {
		return err
	}
	done.Left = append(done.Left, others...)
	return errors.Join(f.drop(done, failed), none)
}

func (f *pruneFlags) print(w io.Writer, done pruned) error {
	if f.asJSON {
		return plain.JSON(w, done)
	}
	verb, forgot := "removed", "forgot"
	if f.dryRun {
		verb, forgot = "would remove", "would forget"
	}
	for _, cell := range done.Retired {
		fmt.Fprintf(w, "%s %s, tags %s\n", forgot, cell.ID, orDash(strings.Join(cell.Tags, ", ")))
		for _, tag := range cell.Left {
			fmt.Fprintf(w, "left tag %s: it names another image\n", tag)
		}
	}
	_, err := fmt.Fprintf(w, "%s %s, %s\n", verb, counted(done.Pruned.Blobs, "blob"), megabytes(done.Pruned.Bytes))
	for _, folder := range done.Folders {
		_, wrong := fmt.Fprintf(w, "%s %s, %s\n", verb, folder.Path, megabytes(folder.Bytes))
		err = errors.Join(err, wrong)
	}
	for _, l := range done.Left {
		_, wrong := fmt.Fprintf(w, "left %s: %s\n", l.Path, l.Reason)
		err = errors.Join(err, wrong)
	}
	return err
}
