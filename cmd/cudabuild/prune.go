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

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/plain"
)

// pruneFlags are the flags of `cudabuild prune`.
type pruneFlags struct {
	workspace

	all, dryRun, asJSON bool
}

// pruned is what prune --json prints.
type pruned struct {
	Version int          `json:"version"`
	DryRun  bool         `json:"dry_run"`
	Pruned  image.Pruned `json:"pruned"`  // of the images' blobs
	Folders []folder     `json:"folders"` // removed as a whole; never null
}

func newPrune() *cobra.Command {
	var f pruneFlags
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Drop what no image needs",
		Long: `Prune removes the blobs of the image folder that no tag needs, and failed images. With
--all it also removes the engine's state, bootstrapped roots, unpacked images and all
caches, so that the next run of 'cudabuild matrix' builds everything anew. It removes folders only where it
is sure that cudabuild made them.`,
		Args: cobra.NoArgs,
		Example: `  cudabuild prune --dry-run
  cudabuild prune --all`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			done, err := f.run(cmd)
			if err != nil {
				return f.unknown(err)
			}
			return f.print(cmd.OutOrStdout(), done)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.all, "all", false, "remove build caches and the engine's state too")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be removed and remove nothing")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	return cmd
}

func (f *pruneFlags) run(cmd *cobra.Command) (done pruned, err error) {
	done = pruned{Version: 1, DryRun: f.dryRun, Folders: []folder{}}
	folders, err := f.folders() // before the lock: it writes into a folder that may not be ours
	if err != nil {
		return done, err
	}
	release, err := f.keepOut(cmd.Context())
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, release()) }()
	done.Pruned, err = f.blobs(cmd)
	if err != nil {
		return done, err
	}
	done.Folders = append(done.Folders, folders...)
	for _, folder := range folders {
		if !f.dryRun {
			err = errors.Join(err, os.RemoveAll(folder.Path))
		}
	}
	return done, err
}

// keepOut owns the state directory until release is called, if a run was ever there.
func (f *pruneFlags) keepOut(ctx context.Context) (release func() error, err error) {
	if _, err := os.Stat(filepath.Join(f.stateDir, lockFile)); errors.Is(err, fs.ErrNotExist) && !owned(f.stateDir) {
		return func() error { return nil }, nil
	}
	dir, err := filepath.Abs(f.stateDir)
	if err != nil {
		return nil, err
	}
	lock, err := engine.Acquire(ctx, dir, nil)
	if err != nil {
		return nil, err
	}
	if !f.all {
		return lock.Release, nil
	}
	quiet, err := container.Quiet(filepath.Join(dir, "gpu", "runs"))
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return func() error {
		quiet()
		return lock.Release()
	}, nil
}

// folders is what goes as a whole.
func (f *pruneFlags) folders() ([]folder, error) {
	folders, err := f.failedImages()
	if err != nil || !f.all {
		return folders, err
	}
	state, err := f.state()
	return append(folders, state...), err
}

// blobs prunes the image folder. With --all the state goes whether that can be done
// or not: it is what takes the space, and a broken image is built anew by the next run.
func (f *pruneFlags) blobs(cmd *cobra.Command) (image.Pruned, error) {
	var done image.Pruned
	store, err := f.openImages()
	if err == nil {
		defer store.Close()
		done, err = store.Prune(cmd.Context(), f.dryRun)
	}
	if err == nil || !f.all {
		return done, err
	}
	if !errors.Is(err, errNoImages) {
		fmt.Fprintf(cmd.ErrOrStderr(), "cudabuild: warning: no blobs of %s removed: %v\n", f.images(), err)
	}
	return image.Pruned{}, nil
}

func (f *pruneFlags) print(w io.Writer, done pruned) error {
	if f.asJSON {
		return plain.JSON(w, done)
	}
	verb := "removed"
	if f.dryRun {
		verb = "would remove"
	}
	_, err := fmt.Fprintf(w, "%s %s, %s\n", verb, counted(done.Pruned.Blobs, "blob"), megabytes(done.Pruned.Bytes))
	for _, folder := range done.Folders {
		_, wrong := fmt.Fprintf(w, "%s %s, %s\n", verb, folder.Path, megabytes(folder.Bytes))
		err = errors.Join(err, wrong)
	}
	return err
}
