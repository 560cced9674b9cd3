// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/image"
)

func newPrune() *cobra.Command {
	var w workspace
	var all, dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Drop what no image needs",
		Long: `Prune removes the blobs of the image folder that no tag needs, and failed images. With
--all it also removes the engine's state and all caches, so that the next run of
'cudabuild matrix' builds everything anew.`,
		Args: cobra.NoArgs,
		Example: `  cudabuild prune --dry-run
  cudabuild prune --all`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := w.check(); err != nil {
				return err
			}
			dir, err := filepath.Abs(w.stateDir)
			if err != nil {
				return err
			}
			lock, err := engine.Acquire(cmd.Context(), dir, nil)
			if err != nil {
				return couldNot(err)
			}
			defer func() { err = errors.Join(err, lock.Release()) }()
			pruned, err := prune(cmd, w, all, dryRun)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"version": 1, "dry_run": dryRun, "pruned": pruned})
			}
			verb := "removed"
			if dryRun {
				verb = "would remove"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %d blobs, %s\n", verb, pruned.Blobs, megabytes(pruned.Bytes))
			return err
		},
	}
	w.register(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "remove build caches and the engine's state too")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed and remove nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

// prune works on the folder of an owned workspace. Its errors have an exit code.
func prune(cmd *cobra.Command, w workspace, all, dryRun bool) (image.Pruned, error) {
	var pruned image.Pruned
	store, err := w.openImages()
	switch {
	case err == nil:
		defer store.Close()
		pruned, err = store.Prune(cmd.Context(), dryRun)
	case all: // state can be dropped where there are no images
		err = nil
	default:
		return pruned, err
	}
	if err == nil && !dryRun {
		err = drop(w, all)
	}
	if err != nil {
		return pruned, couldNot(err)
	}
	return pruned, nil
}

// drop removes failed images, and with all the state that a run can make again.
func drop(w workspace, all bool) error {
	err := os.RemoveAll(filepath.Join(w.out, "failed"))
	if all {
		for _, name := range []string{"engine", "bases", "facts", "builds.json"} {
			err = errors.Join(err, os.RemoveAll(filepath.Join(w.stateDir, name)))
		}
	}
	return err
}
