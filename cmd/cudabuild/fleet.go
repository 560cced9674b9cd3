// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/spf13/cobra"

func newFleet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "Run images on the GPU nodes of a cluster",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFleetInstall(), newFleetPlan(), newFleetRun(), newFleetStatus(), newFleetPrune())
	return cmd
}
