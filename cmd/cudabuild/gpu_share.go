// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/probe"
	"github.com/cudabuild/cudabuild/gpu/stage"
	"github.com/cudabuild/cudabuild/image"
)

// maxClients is what a server of MPS takes since Volta.
const maxClients = 48

// checkSharing checks the flags about it.
func (f *gpuFlags) checkSharing() error {
	if f.mps < 0 || f.mps > maxClients || f.threads < 0 || f.threads > 100 || f.mps == 0 && f.threads > 0 {
		return fmt.Errorf("--mps takes 1 to %d clients, --threads with it 1 to 100 percent", maxClients)
	}
	return nil
}

// share returns what looks at clients that share a GPU.
func (f *gpuFlags) share(st *stage.Stage) (func(context.Context, image.Source) ([]gpu.Row, error), error) {
	if why := stage.CanShare(st.GPUs); why != "" {
		return nil, errors.New(why)
	}
	control, server, err := probe.FindMPS(st.Host.Library)
	if err != nil {
		return nil, err
	}
	mps := container.MPS{Control: control, Server: server, Threads: cmp.Or(f.threads, 100/f.mps)}
	return func(ctx context.Context, src image.Source) ([]gpu.Row, error) { return st.Share(ctx, src, f.mps, mps) }, nil
}
