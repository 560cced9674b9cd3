// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/fleet/k8s"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
)

// runsDocument is what fleet status and prune print with --json.
type runsDocument struct {
	Version int       `json:"version"` // 1
	Runs    []k8s.Run `json:"runs"`    // oldest first; never null
}

// rowsDocument is what fleet status RUN prints with --json.
type rowsDocument struct {
	Version int       `json:"version"` // 1
	Run     string    `json:"run"`
	Rows    []k8s.Row `json:"rows"` // never null
}

func newFleetStatus() *cobra.Command {
	var f clusterFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [RUN]",
		Short: "List the runs that a cluster has, or the rows of one",
		Long: `Status lists runs that have not ended, or whose client did not come back, with the number of
their rows that wait for a node, run, and have ended; of a RUN each row, and why it waits.`,
		Args: oneArgument,
		Example: `  cudabuild fleet status -n gpu-tests
  cudabuild fleet status cudabuild-run-5d01b6b9c1a7f0e2d3c4`,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, runs, err := f.runs(cmd.Context(), args)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return printRuns(cmd, runs, asJSON)
			}
			rows, err := client.Rows(cmd.Context(), args[0])
			if err != nil {
				return unknown(err)
			}
			return printRows(cmd, args[0], rows, asJSON)
		},
	}
	f.addCluster(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

// runs are those of the cluster, among which the named ones must be.
func (f *clusterFlags) runs(ctx context.Context, names []string) (*k8s.Client, []k8s.Run, error) {
	client, err := f.open()
	if err != nil {
		return nil, nil, err
	}
	runs, err := client.Runs(ctx)
	if err != nil {
		return nil, nil, unknown(err)
	}
	for _, name := range names {
		if !slices.ContainsFunc(runs, func(r k8s.Run) bool { return r.Name == name }) {
			return nil, nil, unknown(hint.New(fmt.Sprintf("namespace %s has no run %s", client.Namespace, name), "'cudabuild fleet status' lists them"))
		}
	}
	return client, runs, nil
}

func printRows(cmd *cobra.Command, run string, rows []k8s.Row, asJSON bool) error {
	if asJSON {
		return plain.JSON(cmd.OutOrStdout(), rowsDocument{1, run, rows})
	}
	w := plain.To(cmd.OutOrStdout())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "JOB\tIMAGE\tTEST\tSTATE\tNODE\tWHY")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", oneLine(r.Job), orDash(oneLine(r.Image)), orDash(oneLine(r.Test)), r.State, orDash(oneLine(r.Node)), ends(r.Why))
	}
	return table.Flush()
}

func newFleetPrune() *cobra.Command {
	var f clusterFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "prune [RUN...]",
		Short: "Take runs out of a cluster",
		Long: `Prune removes runs from the cluster, with their Jobs and pods: the named ones even if they go
on, without a name those that are older than an hour and of which nothing goes on. Rows that no client has read are lost.`,
		Example: `  cudabuild fleet prune
  cudabuild fleet prune cudabuild-run-5d01b6b9c1a7f0e2d3c4`,
		RunE: func(cmd *cobra.Command, names []string) error {
			client, runs, err := f.runs(cmd.Context(), names)
			if err != nil {
				return err
			}
			runs = slices.DeleteFunc(runs, func(r k8s.Run) bool {
				return len(names) > 0 && !slices.Contains(names, r.Name) || len(names) == 0 && !r.Over()
			})
			for _, r := range runs {
				if err := client.Remove(cmd.Context(), r.Name); err != nil {
					return unknown(err)
				}
			}
			return printRuns(cmd, runs, asJSON)
		},
	}
	f.addCluster(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func printRuns(cmd *cobra.Command, runs []k8s.Run, asJSON bool) error {
	if asJSON {
		return plain.JSON(cmd.OutOrStdout(), runsDocument{1, runs})
	}
	w := plain.To(cmd.OutOrStdout())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RUN\tBEGUN\tROWS\tWAITING\tRUNNING\tENDED")
	for _, r := range runs {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\n", oneLine(r.Name), r.Begun.UTC().Format(time.RFC3339), r.Rows, r.Waiting, r.Running, r.Ended)
	}
	return table.Flush()
}
