// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/fleet/docker"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/host"
	"github.com/cudabuild/cudabuild/gpu/nvidia"
	"github.com/cudabuild/cudabuild/gpu/observer"
	"github.com/cudabuild/cudabuild/gpu/probe"
	"github.com/cudabuild/cudabuild/gpu/session"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify"
)

// openDaemon reaches the daemon of an engine where docker and podman themselves look for it, and says what others
// have left there.
func (f *registryFlags) openDaemon(ctx context.Context, engine container.Engine, options docker.Options) (*docker.Host, error) {
	home, _ := os.UserHomeDir() // without one there are no contexts
	endpoint, err := daemon.Find(string(engine), daemon.User{Env: os.Getenv, Home: home, ID: os.Geteuid()})
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	options.Registry, options.Programs = f.registry(), toolDir()
	h, err := docker.Open(ctx, endpoint, options)
	if err != nil {
		return nil, err
	}
	for _, left := range h.Left {
		fmt.Fprintf(f.cmd.ErrOrStderr(), "cudabuild: warning: left with the daemon: %v\n", left)
	}
	return h, nil
}

// closeDaemon says what could not be taken back.
func (f *registryFlags) closeDaemon(ctx context.Context, h *docker.Host) {
	if err := h.Close(ctx); err != nil {
		fmt.Fprintf(f.cmd.ErrOrStderr(), "cudabuild: warning: an image stays with the daemon until the next run: %v\n", err)
	}
}

// prepareDaemon makes a daemon's host ready to run images. The first of them is what the host is looked at from.
func (f *gpuFlags) prepareDaemon(ctx context.Context, engine container.Engine, src image.Source) (*observer.Observer, func(), error) {
	dir, err := f.dir()
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	if err := claim(f.stateDir); err != nil {
		return nil, nil, err
	}
	h, err := f.openDaemon(ctx, engine, docker.Options{})
	if err != nil {
		return nil, nil, err
	}
	done := func() { f.closeDaemon(ctx, h) }
	facts, err := h.Look(ctx, src.Ref, src.Image, f.none())
	if err == nil && !f.none() {
		err = known(h, &facts)
	}
	o := &observer.Observer{
		Host: host.Host{Facts: facts}, Verifier: verify.New(verify.Options{CacheDir: filepath.Join(dir, "facts"), TempDir: dir}),
		Engines: []container.Engine{engine}, Repeat: f.repeat, Limit: f.limit, Ledger: f.ledger, Elsewhere: h,
	}
	if err == nil {
		o.GPUs, err = gpu.Select(facts.GPUs, string(f.gpus))
	}
	if err == nil && len(o.GPUs) == 0 && !f.none() {
		err = fmt.Errorf("%w: a container that was to get all has none", gpu.ErrNoGPU)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return o, done, nil
}

// known adds what this host's driver says, if the daemon is of this host and there is a driver that this
// program can ask.
func known(h *docker.Host, facts *gpu.Host) error {
	name, err := os.Hostname()
	if err != nil || !h.Here(probe.Kernel(), name) {
		return nil //nolint:nilerr // it is the container that counts
	}
	driver, err := nvidia.Open()
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	defer driver.Close()
	return driver.Describe(facts)
}

// runByDaemon runs an image in a container of docker or podman.
func (f *runFlags) runByDaemon(ctx context.Context, src image.Source, request session.Request, streams container.Streams) (int, error) {
	file, err := src.Image.ConfigFile()
	if err != nil {
		return 0, err
	}
	want, err := request.Program(file.Config)
	if err != nil {
		return 0, err
	}
	h, err := f.openDaemon(ctx, request.Engine, docker.Options{Runtime: f.runtime})
	if err != nil {
		return 0, err
	}
	defer f.closeDaemon(ctx, h)
	p := docker.Program{Ref: src.Ref, Image: src.Image, Args: want.Args, Env: want.Env, Open: *want.Open, Bounds: want.Bounds}
	if !f.none() {
		p.GPUs = strings.Split(string(f.gpus), ",")
	}
	return h.Attach(ctx, p, streams)
}
