// SPDX-License-Identifier: Apache-2.0

// Package station is a host at which images can be run: its facts, the GPUs that
// containers get, the store of unpacked images and the runner of containers.
//
// Packages stage, which observes samples, and session, which runs what a user asks
// for, both begin here: [Station.Program] is an image as a program that has its root
// file system and its GPUs, and nothing else yet.
package station

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

// Station is one host, ready to run images.
type Station struct {
	Host   gpu.Host
	GPUs   []gpu.GPU // those that containers get; none where there is no driver
	Driver Driver    // nil where there is no driver
	Roots  *rootfs.Store
	Runner *container.Runner
}

// Spent says how long the parts of [Station.Program] took.
type Spent struct{ Unpack, Spec time.Duration }

// Program unpacks img, unless that was done before, and makes the specification of
// the GPUs where the engine wants one.
func (s *Station) Program(ctx context.Context, img v1.Image, engine container.Engine) (p container.Program, spent Spent, err error) {
	begin := time.Now()
	p = container.Program{Engine: engine, Devices: gpu.UUIDs(s.GPUs)}
	if p.Root, err = s.Roots.Unpack(ctx, img); err != nil {
		return p, spent, err
	}
	spent.Unpack = time.Since(begin)
	begin = time.Now()
	if engine == container.Direct && len(s.GPUs) > 0 {
		p.CDI, err = s.Driver.Spec(p.Devices, s.Runner.Hook)
	}
	spent.Spec = time.Since(begin)
	return p, spent, err
}
