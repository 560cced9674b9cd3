// SPDX-License-Identifier: Apache-2.0

// Package host is what a GPU host has, put together to run images: its facts, the GPUs
// that containers get, the store of unpacked images and the runner of containers.
//
// Packages observer, which observes samples, and session, which runs what a user asks
// for, both begin here: [Host.Program] is an image as a program that has its root
// file system and its GPUs, and nothing else yet.
package host

import (
	"context"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/rootfs"
)

// Driver makes the CDI specification of GPUs (package nvidia's Driver).
type Driver interface {
	Spec(uuids []string, hook string) ([]byte, error)
}

// Host is this host, ready to run images.
type Host struct {
	Facts  gpu.Host
	GPUs   []gpu.GPU // those that containers get; none where there is no driver
	Driver Driver    // nil where there is no driver
	Roots  *rootfs.Store
	Runner *container.Runner
}

// Spent says how long the parts of [Host.Program] took.
type Spent struct{ Unpack, Spec time.Duration }

// Program unpacks img, unless that was done before, and makes the specification of
// the GPUs where the engine wants one.
func (h *Host) Program(ctx context.Context, img v1.Image, engine container.Engine) (p container.Program, spent Spent, err error) {
	begin := time.Now()
	p = container.Program{Engine: engine, Devices: gpu.UUIDs(h.GPUs)}
	if p.Root, err = h.Roots.Unpack(ctx, img); err != nil {
		return p, spent, err
	}
	spent.Unpack = time.Since(begin)
	begin = time.Now()
	if engine == container.Direct && len(h.GPUs) > 0 {
		p.CDI, err = h.Driver.Spec(p.Devices, h.Runner.Hook)
	}
	spent.Spec = time.Since(begin)
	return p, spent, err
}
