// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet/place"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/nvidia"
	"github.com/cudabuild/cudabuild/gpu/probe"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/support"
)

func newHost() *cobra.Command {
	var asJSON, loadKmods bool
	cmd := &cobra.Command{
		Use:   "host",
		Short: "Say what this machine has for CUDA containers: driver, GPUs, tools",
		Long: `Say what this machine has for CUDA containers: driver, GPUs in PCI order with their
minor numbers and links, runtime hook, kernel, cgroups, and what is missing.

Exit code: 0 there is a driver and a GPU, 3 there is not, or this build cannot ask.`,
		Args:    cobra.NoArgs,
		Example: "  cudabuild host --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if loadKmods {
				if err := probe.LoadKernelModules(cmd.Context()); err != nil {
					return &exitError{code: exitUnknown, err: err}
				}
			}
			host, problem := describeHost(cmd.Context(), probe.FindTools(toolDir()))
			if err := printHost(cmd.OutOrStdout(), host, asJSON); err != nil {
				return unknown(err)
			}
			if problem == nil && len(host.GPUs) == 0 {
				problem = gpu.ErrNoGPU
			}
			return unknown(problem)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	cmd.Flags().BoolVar(&loadKmods, "load-kmods", false, "load the driver's kernel modules with nvidia-modprobe first (root)")
	return cmd
}

// describeHost is all that can be said about this machine. The error says why the
// driver was not asked; the rest is good all the same.
func describeHost(ctx context.Context, tools probe.Tools) (gpu.Host, error) {
	host := probe.Host(ctx, tools)
	driver, err := nvidia.Open()
	if err == nil {
		err = errors.Join(driver.Describe(&host), driver.Close())
		host.Problems = append(host.Problems, probe.Nodes("/", host.GPUs)...)
	}
	if err != nil {
		host.Problems = append(host.Problems, err.Error())
	}
	return host, err
}

// hostDocument is what host --json prints.
type hostDocument struct {
	Version int      `json:"version"` // 1
	Host    gpu.Host `json:"host"`
	// Labels are what NVIDIA's GPU feature discovery would say of it as a node of a Kubernetes cluster.
	Labels map[string]string `json:"labels"`
	// DriverEnds is until when NVIDIA maintains the branch of its driver, nil if that is not known.
	DriverEnds *support.End `json:"driver_ends,omitempty"`
}

// withEnd is a driver's version with the end of its branch, where that is known.
func withEnd(driver string) string {
	if end := compat.DriverEnd(driver); end != nil {
		return fmt.Sprintf("%s (%s: %s)", driver, end.What, end.Until())
	}
	return driver
}

func printHost(w io.Writer, host gpu.Host, asJSON bool) error {
	if asJSON {
		return plain.JSON(w, hostDocument{1, host, place.Labels(host), compat.DriverEnd(host.Driver)})
	}
	w = plain.To(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"os", host.OS},
		{"kernel", host.Kernel + ", cgroup " + host.Cgroup},
		{"driver", withEnd(host.Driver)},
		{"cuda", host.CUDA},
		{"hook", host.Hook},
		{"runtime", host.Runtime},
		{"runc", host.Runc},
	} {
		fmt.Fprintf(table, "%s\t%s\n", line[0], orDash(line[1]))
	}
	if len(host.GPUs) > 0 {
		fmt.Fprintln(table, "\nGPU\tMINOR\tBUS ID\tNAME\tCC\tMEMORY\tMIG\tLINKS\tUUID")
	}
	for _, g := range host.GPUs {
		fmt.Fprintf(table, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", g.Index, g.Minor, g.BusID, g.Name, g.Capability,
			g.Memory(), migWord(g), linkWords(g), g.UUID)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, problem := range host.Problems {
		if _, err := fmt.Fprintf(w, "problem: %s\n", problem); err != nil {
			return err
		}
	}
	return nil
}

func migWord(g gpu.GPU) string {
	if !g.MIG {
		return "-"
	}
	return fmt.Sprintf("%d", len(g.MIGDevices))
}

func linkWords(g gpu.GPU) string {
	var words []string
	for _, l := range g.Links {
		words = append(words, fmt.Sprintf("%d:%s", l.GPU, l.Kind))
	}
	return orDash(strings.Join(words, " "))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
