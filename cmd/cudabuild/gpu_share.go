// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/observer"
	"github.com/cudabuild/cudabuild/gpu/probe"
	"github.com/cudabuild/cudabuild/image"
)

// maxClients is what a server of MPS takes since Volta.
const maxClients = 48

// checkSharing checks the flags about it.
func (f *gpuFlags) checkSharing(cmd *cobra.Command) error {
	mps, threads := cmd.Flags().Changed("mps"), cmd.Flags().Changed("threads")
	if mps && (f.mps < 1 || f.mps > maxClients) || threads && (!mps || f.threads < 1 || f.threads > 100) {
		return fmt.Errorf("--mps takes 1 to %d clients, --threads with it 1 to 100 percent", maxClients)
	}
	return nil
}

// checkClients checks that the images can be clients, if they are to be some.
func (f *gpuFlags) checkClients(images []subject) error {
	if f.mps == 0 {
		return nil
	}
	for _, s := range images {
		if err := observer.CheckClient(s.source); err != nil {
			return err
		}
	}
	return nil
}

// share returns what looks at clients that share a GPU.
func (f *gpuFlags) share(o *observer.Observer) (func(context.Context, image.Source, gpu.Test) ([]gpu.Row, error), error) {
	if len(o.GPUs) != 1 {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--mps takes one GPU, and %d are chosen", len(o.GPUs)), hint: "name it with --gpus"}
	}
	if why := observer.CanShare(o.GPUs[0]); why != "" {
		return nil, errors.New(why)
	}
	control, server, err := probe.FindMPS(o.Facts.Library)
	if err != nil {
		return nil, err
	}
	mps := container.MPS{Control: control, Server: server, Threads: cmp.Or(f.threads, 100/f.mps)}
	return func(ctx context.Context, src image.Source, _ gpu.Test) ([]gpu.Row, error) {
		return o.Share(ctx, src, f.mps, mps)
	}, nil
}
