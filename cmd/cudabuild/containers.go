// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/host"
	"github.com/cudabuild/cudabuild/gpu/nvidia"
	"github.com/cudabuild/cudabuild/gpu/probe"
	"github.com/cudabuild/cudabuild/gpu/rootfs"
)

// containerFlags are the flags of all commands that start containers on this host.
type containerFlags struct {
	gpus     gpuList
	stateDir string
}

func (f *containerFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.gpus = gpuList(defaultGPUs())
	flags.Var(&f.gpus, "gpus",
		"all, none, or `LIST` of indexes, UUIDs, PCI bus ids or MIG devices (MIG-... or 0:1), or as docker has it, device=0 (env NV_GPU, NVIDIA_VISIBLE_DEVICES)")
	flags.StringVar(&f.stateDir, "state-dir", defaultState(), "`DIR` for unpacked images (env CUDABUILD_STATE_DIR)")
}

// defaultGPUs are those that the caller's environment names, all if it names none. An
// empty NVIDIA_VISIBLE_DEVICES means no GPU, as it does to NVIDIA's runtime.
func defaultGPUs() string {
	value, set := os.LookupEnv("NVIDIA_VISIBLE_DEVICES")
	if gpus := os.Getenv("NV_GPU"); gpus != "" || !set {
		return cmp.Or(gpus, "all")
	}
	devices := compat.VisibleDevices([]string{"NVIDIA_VISIBLE_DEVICES=" + value})
	return cmp.Or(strings.Join(devices, ","), "none")
}

// none reports whether containers are to get no GPU.
func (f *containerFlags) none() bool { return f.gpus == "none" || f.gpus == "void" }

// dir is where containers and their images live.
func (f *containerFlags) dir() (string, error) {
	dir, err := filepath.Abs(f.stateDir)
	return filepath.Join(dir, "gpu"), err
}

// open returns this host without GPUs, and with a runc that can be used.
func (f *containerFlags) open(ctx context.Context, tools probe.Tools) (*host.Host, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("containers need root")
	}
	dir, err := f.dir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.stateDir, 0o700); err != nil {
		return nil, err
	}
	if err := claim(f.stateDir); err != nil {
		return nil, err
	}
	roots, err := rootfs.Open(filepath.Join(dir, "roots"))
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	runner := &container.Runner{
		Dir: filepath.Join(dir, "runs"), Inside: []string{self, insideCommand}, Hook: tools.Hook, Runtime: tools.Runtime,
	}
	runner.Runc, err = runner.Sound(ctx, probe.Runcs(toolDir())...)
	return &host.Host{Roots: roots, Runner: runner}, err
}

// askDriver adds the driver, what it knows of the host, and the GPUs that the flags
// name; no driver is needed for none.
func (f *containerFlags) askDriver(h *host.Host) (done func(), err error) {
	driver, err := nvidia.Open()
	if err != nil {
		if f.none() {
			return func() {}, nil
		}
		return nil, err
	}
	done = func() { _ = driver.Close() }
	if err = driver.Describe(&h.Facts); err == nil {
		h.GPUs, err = gpu.Select(h.Facts.GPUs, string(f.gpus))
	}
	if err == nil && len(h.GPUs) == 0 && !f.none() {
		err = gpu.ErrNoGPU
	}
	if err != nil {
		done()
		return nil, err
	}
	h.Driver, h.Runner.Libraries = driver, h.Facts.Library
	return done, nil
}

// insideCommand is the hidden command that a container's first process is.
const insideCommand = "inside-container"

func newInside() *cobra.Command {
	return &cobra.Command{
		Use: insideCommand, Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := container.Inside(cmd.Context(), args[0]); err != nil {
				return &exitError{code: exitUnknown, err: err}
			}
			return nil
		},
	}
}
