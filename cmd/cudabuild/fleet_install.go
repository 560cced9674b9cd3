// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/fleet/install"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/publish"
)

// installFlags are the flags of `cudabuild fleet install`.
type installFlags struct {
	registryFlags

	to     string
	asJSON bool
}

func newFleetInstall() *cobra.Command {
	var f installFlags
	cmd := &cobra.Command{
		Use:   "install --to REPO",
		Short: "Put the observer of pods into a registry",
		Long: `Install pushes the image of the observer: the program that a pod of 'cudabuild fleet' starts in
an unchanged image, around its command, and that says what was seen. The nodes of the cluster
must be able to pull from REPO.

It is made of the programs observe-amd64 and observe-arm64 that lie beside cudabuild. The same
programs make the same digest, and nothing is sent if that is there. What is printed is the
image by digest.`,
		Args:    cobra.NoArgs,
		Example: "  cudabuild fleet install --to registry.example.com/team/observe",
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	cmd.Flags().StringVar(&f.to, "to", "", "`REPO` that it is pushed to, with its registry and without a tag")
	_ = cmd.MarkFlagRequired("to")
	f.addRegistry(cmd)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	return cmd
}

func (f *installFlags) run(cmd *cobra.Command) error {
	repo, err := publish.ParseRepository(f.to)
	if err != nil {
		return &exitError{code: exitUsage, err: fmt.Errorf("--to: %w", err), hint: "want REGISTRY/REPOSITORY, such as registry.example.com/team/observe"}
	}
	img, err := install.Find(toolDir())
	if err != nil {
		return unknown(err)
	}
	done, err := img.Push(cmd.Context(), repo, f.registry())
	if err != nil {
		return unknown(err)
	}
	if f.asJSON {
		return plain.JSON(cmd.OutOrStdout(), done)
	}
	how := "is there already"
	if done.Pushed {
		how = "was pushed"
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "cudabuild: %s (%s) %s\n", done.Tag, strings.Join(done.Platforms, ", "), how)
	_, err = fmt.Fprintln(cmd.OutOrStdout(), done.Image)
	return err
}
