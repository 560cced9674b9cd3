// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/files"
)

func newExport() *cobra.Command {
	var w workspace
	var dryRun bool
	var platform string
	cmd := &cobra.Command{
		Use:   "export CELL docker-archive:FILE|oci-archive:FILE",
		Short: "Hand an image to other tools",
		Args:  cobra.ExactArgs(2),
		Example: `  cudabuild export 12.4-devel-debian13 docker-archive:devel.tar && docker load -i devel.tar
  cudabuild export 12.4-base-debian13 oci-archive:base.tar
  cudabuild export 12.4-base-debian13 docker-archive:- | ssh host docker load
  cudabuild export --platform linux/arm64 12.4-base-debian13 docker-archive:base-arm64.tar`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := image.CheckTarget(args[1]); err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			if platform != "" {
				if err := image.CheckPlatform(platform); err != nil {
					return &exitError{code: exitUsage, err: err}
				}
			}
			images, err := w.readImages()
			if err != nil {
				return err
			}
			fullName, err := find(images, args[0])
			if err != nil {
				return err
			}
			if dryRun {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "would write %s to %s\n", fullName, args[1])
				return err
			}
			if err := images.Export(cmd.Context(), args[0], args[1], platform); err != nil {
				return unknown(err)
			}
			_, err = fmt.Fprintf(besides(cmd, args[1]), "%s %s\n", fullName, args[1])
			return err
		},
	}
	w.registerOut(cmd)
	cmd.Flags().StringVar(&platform, "platform", "", "the `OS/ARCH` to write of an image of several (default: all to an OCI archive, linux on this machine's architecture to a docker archive)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be written and write nothing")
	return cmd
}

// besides is where words go that must not get into the target: stdout, unless that is
// the target.
func besides(cmd *cobra.Command, target string) io.Writer {
	_, file, _ := strings.Cut(target, ":")
	if files.Same(file, os.Stdout) {
		return cmd.ErrOrStderr()
	}
	return cmd.OutOrStdout()
}

// find returns the full name of a cell's image.
func find(images *image.Layout, cell string) (string, error) {
	desc, err := images.Find(cell)
	if errors.Is(err, image.ErrNoImage) {
		return "", &exitError{
			code: exitUsage,
			err:  fmt.Errorf("%s holds no image tagged %q", images.Dir(), cell),
			hint: "'cudabuild plan' lists the cells; 'cudabuild matrix' builds them",
		}
	}
	return image.FullName(desc), unknown(err)
}
