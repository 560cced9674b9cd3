// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/probe"
	"github.com/cudabuild/cudabuild/gpu/session"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// runFlags are the flags of `cudabuild run`.
type runFlags struct {
	containerFlags
	registryFlags
	env, volumes        []string
	workdir, user       string
	entrypoint          string
	engine, network     string
	interactive, useTTY bool
	memory              string
	pids                int64
	devices, ulimits    []string
	ipc, runtime, shm   string
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE [COMMAND...]",
		Short: "Run an image on this host's GPUs, as 'docker run' does, with a daemon or without",
		Long: `Run an image on this host's GPUs, as 'docker run' does, with a daemon or without.

COMMAND takes the place of the image's own, after its entrypoint. What the program
writes to its root file system is kept in memory and gone when it ends. It has no
network unless --network host gives it the host's. A requirement of the image that does
not hold here (NVIDIA_REQUIRE_*) is an error before anything starts. Signals go to the
program; one that it does not handle ends it.

With --engine docker or podman their daemon makes the container, on this host or where
DOCKER_HOST, DOCKER_CONTEXT or CONTAINER_HOST (unix://, tcp://, ssh://) says.

Exit code: the program's own, 128 more than the signal's number if a signal ended it; 2
for wrong usage and 3 if it could not be run, each with an error from cudabuild on stderr.`,
		Example: `  cudabuild run oci:out/images:12.4-nbody-debian13 nbody -benchmark
  cudabuild run -it --gpus 0 -v "$PWD:/work" -w /work oci:out/images:12.4-devel-debian13 bash
  NV_GPU=1 cudabuild run -e OMP_NUM_THREADS=4 docker.io/somebody/app:latest`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.add(cmd)
	f.addRegistry(cmd)
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows IMAGE is the program's
	flags.StringArrayVarP(&f.env, "env", "e", nil, "`NAME=VALUE` for the program, or NAME to hand the caller's on")
	flags.StringArrayVarP(&f.volumes, "volume", "v", nil, "`SOURCE:TARGET[:ro]`: show a file or folder of the host (so --verbose has no short form here)")
	flags.StringVarP(&f.workdir, "workdir", "w", "", "working `DIR` in the container")
	flags.StringVarP(&f.user, "user", "u", "", "`USER[:GROUP]`, names or numbers")
	flags.BoolVarP(&f.interactive, "interactive", "i", false, "hand stdin on")
	flags.BoolVarP(&f.useTTY, "tty", "t", false, "give the program a terminal")
	flags.StringVar(&f.entrypoint, "entrypoint", "", "`PROGRAM` in place of the image's entrypoint and command")
	flags.StringVar(&f.engine, "engine", string(container.Direct), "what makes the container: direct, nvidia, or the daemon of docker or podman")
	flags.StringVar(&f.network, "network", "none", "none or host")
	flags.StringVarP(&f.memory, "memory", "m", "", "`SIZE` of the memory that the program may have: 512m, 8g (default: no limit)")
	flags.Int64Var(&f.pids, "pids-limit", 0, "`N` processes and threads at most, -1 for any number (default: 15 percent of what the host can have)")
	flags.Func("device", "`nvidia.com/gpu=NAME`: the same as --gpus NAME; there are no other devices", f.addDevice)
	flags.StringVar(&f.shm, "shm-size", "", "`SIZE` of /dev/shm (default: half of the memory; a daemon has its own)")
	flags.StringArrayVar(&f.ulimits, "ulimit", nil, "`NAME=SOFT[:HARD]`: bound of each process, such as memlock=-1")
	flags.StringVar(&f.ipc, "ipc", "", "private, or host with --engine docker and podman")
	flags.StringVar(&f.runtime, "runtime", "", "nvidia, which run is by itself; with --engine docker and podman in place of CDI")
	flags.Bool("rm", true, "nothing is kept of a container, with or without it")
	return cmd
}

func (f *runFlags) run(cmd *cobra.Command, args []string) error {
	request, err := f.request(cmd, args[1:])
	if err != nil {
		return err
	}
	streams, err := f.streams(cmd)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), unheeded(unix.SIGHUP, unix.SIGQUIT)...)
	defer stop()
	sources, closer, err := image.Open(ctx, args[0], image.OpenOptions{Registry: f.registry()})
	if err != nil {
		return runError(err)
	}
	defer closer.Close()
	if len(sources) > 1 {
		return fmt.Errorf("%s holds %d images: name one", args[0], len(sources))
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unheeded(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)...)
	defer signal.Stop(signals)
	streams.Signals = signals
	code, err := f.start(ctx, sources[0], request, streams)
	if err == nil && code != 0 {
		return &exitError{code: code, program: true}
	}
	return runError(err)
}

// start runs the image on this host, or has a daemon do it.
func (f *runFlags) start(ctx context.Context, src image.Source, request session.Request, streams container.Streams) (int, error) {
	if request.Engine.OfDaemon() {
		return f.runByDaemon(ctx, src, request, streams)
	}
	tools := probe.FindTools(toolDir())
	if missing := tools.Missing(f.tools()...); len(missing) > 0 {
		return 0, errors.New(missing[0])
	}
	h, err := f.open(ctx, tools)
	if err != nil {
		return 0, err
	}
	if !f.none() {
		done, err := f.askDriver(h)
		if err != nil {
			return 0, err
		}
		defer done()
	}
	return session.Run(ctx, h, src.Image, request, streams)
}

// unheeded leaves out the signals that this program was started to ignore, as nohup does.
func unheeded(signals ...os.Signal) []os.Signal { return slices.DeleteFunc(signals, signal.Ignored) }

// tools are those that the run needs.
func (f *runFlags) tools() []string {
	switch {
	case f.engine == string(container.Nvidia):
		return nil // all
	case f.none():
		return []string{"runc"}
	}
	return []string{"runc", "nvidia-cdi-hook"}
}

// runError is the exit code and the hint of an error of run, which can do without GPUs.
func runError(err error) error {
	if errors.Is(err, gpu.ErrNoDriver) || errors.Is(err, gpu.ErrNoSupport) || errors.Is(err, gpu.ErrNoGPU) {
		return &exitError{code: exitUnknown, err: err, hint: hint.Of(err) + "; --gpus none runs the image without"}
	}
	return unknown(err)
}
