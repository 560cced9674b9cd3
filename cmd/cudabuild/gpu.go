// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/bundle"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/nvidia"
	"github.com/cudabuild/cudabuild/gpu/observer"
	"github.com/cudabuild/cudabuild/gpu/probe"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/usertest"
	"github.com/cudabuild/cudabuild/verify"
)

// gpuFlags are the flags of `cudabuild gpu`.
type gpuFlags struct {
	containerFlags
	registryFlags
	engines                          []string
	bundle, ledger, baseline, record string
	tests                            string
	limit                            time.Duration
	repeat, mps, threads             int
	known                            age
	dry, asJSON                      bool
}

func newGPU() *cobra.Command {
	var f gpuFlags
	cmd := &cobra.Command{
		Use:   "gpu [IMAGE...]",
		Short: "Run samples, or tests of your own, on this host's GPUs and compare with what was predicted",
		Long: `Run samples, or tests of your own, on this host's GPUs and compare with what was predicted.

For each image, engine and repetition: the verifier's report and the host's facts give a
prediction; the image's own requirement (NVIDIA_REQUIRE_*) is checked, because the runtime
hook no longer does; then the sample runs in a container without capabilities, network or
a writable root, and a row says what it did beside what was predicted.

Engine direct makes a CDI specification and starts runc. Engine nvidia goes through
nvidia-container-runtime, as docker and containerd do. Engines docker and podman are their
daemons, here or where DOCKER_HOST, DOCKER_CONTEXT or CONTAINER_HOST says; the program
observe, which lies beside this one, is put into each container.

With --tests FILE the commands of a file of tests, or of tests: in a matrix.yaml, are run in
place of samples, in the images that they are of; their root is writable and gone afterwards.

With --dry no driver is given, and none is needed: a missing library, an older one or a
missing symbol shows on any machine. What starts is waived, as predicted.

--baseline compares with earlier rows: each figure with the median and spread of 10 starts or
more, else by the rule of nine tenths. What failed and then passed in the same circumstances
is flaky, which by itself is no failure (docs/baseline.md).

Exit code: 0 all passed or are known, or were waived by --dry, 1 a sample or test failed, was
refused, did other than predicted or got worse than the baseline, 3 waived or could not run.`,
		Example: `  cudabuild gpu oci:out/images:12.4-deviceQuery-debian13
  cudabuild gpu --gpus 1 --engine direct --ledger ledger --baseline ledger oci:out/images:12.4-nbody-debian13
  cudabuild gpu --ledger ledger --skip-known 7d oci:out/images:12.4-nbody-debian13
  cudabuild gpu --gpus 0 --mps 3 --threads 33 oci:out/images:12.4-nbody-debian13
  DOCKER_HOST=ssh://gpu1 cudabuild gpu --engine docker oci:out/images:12.4-nbody-debian13
  cudabuild gpu --tests tests.yaml docker.io/acme/train:latest
  cudabuild gpu --dry oci:out/images
  cudabuild gpu --bundle samples.tar.gz oci:out/images:12.4-deviceQuery-debian13 oci:out/images:12.4-nbody-debian13`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.add(cmd)
	f.addRegistry(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.engines, "engine", []string{"direct", "nvidia"}, "what makes the containers: direct, nvidia, or the daemon of docker or podman")
	flags.IntVar(&f.repeat, "repeat", 1, "runs of each image by each engine")
	flags.IntVar(&f.mps, "mps", 0, "run `N` clients of nbody at once on one GPU, first by turns, then through MPS")
	flags.IntVar(&f.threads, "threads", 0, "`PERCENT` of the GPU's threads that a client of MPS may use (default 100/N)")
	flags.DurationVar(&f.limit, "timeout", time.Minute, "time that a sample may take")
	flags.StringVar(&f.ledger, "ledger", "", "`DIR` to write the rows to, predictions first")
	flags.StringVar(&f.record, "record", "", "`FILE` of a run of matrix, such as out/run.json, to add the rows to")
	flags.StringVar(&f.baseline, "baseline", "", "ledger `DIR` of earlier rows to compare with")
	flags.Var(&f.known, "skip-known", "leave out what passed in the same circumstances no longer than `AGE` ago (7d, 36h), by --ledger")
	flags.StringVar(&f.bundle, "bundle", "", "run nothing: write `FILE`, a tar.gz with these images and all programs, for a GPU host")
	flags.StringVar(&f.tests, "tests", "", "`FILE` with tests of your own to run in place of samples, or a matrix.yaml with tests:; without IMAGE in the images that they name")
	flags.BoolVar(&f.dry, "dry", false, "give no driver: load each sample, resolve all its symbols and let it find that there is no device; needs root and runc alone")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	apart(cmd, "mps", "bundle")
	apart(cmd, "mps", "repeat")
	apart(cmd, "mps", "skip-known")
	apart(cmd, "tests", "mps")
	apart(cmd, "tests", "bundle")
	for _, other := range []string{"gpus", "engine", "mps", "baseline", "bundle", "skip-known", "tests"} {
		apart(cmd, "dry", other)
	}
	return cmd
}

func (f *gpuFlags) run(cmd *cobra.Command, refs []string) error {
	engines, err := f.parseEngines()
	if err != nil {
		return err
	}
	if f.repeat < 1 || f.limit <= 0 {
		return errors.New("--repeat and --timeout must be more than zero")
	}
	if f.known > 0 && f.ledger == "" {
		return errors.New("--skip-known needs --ledger, which says what is known")
	}
	if err := f.checkSharing(cmd); err != nil {
		return err
	}
	if err := f.checkRecord(); err != nil {
		return err
	}
	tests, refs, err := loadTests(cmd, f.tests, refs)
	if err != nil {
		return err
	}
	images, closeAll, err := openAll(cmd.Context(), refs, image.OpenOptions{Registry: f.registry()})
	if err != nil {
		return err
	}
	defer closeAll()
	if err := f.checkClients(images); err != nil {
		return err
	}
	tools := probe.FindTools(toolDir())
	if f.bundle != "" {
		return f.writeBundle(cmd.Context(), tools, images)
	}
	return f.observe(cmd, tools, engines, images, tests)
}

func (f *gpuFlags) parseEngines() ([]container.Engine, error) {
	var engines []container.Engine
	for _, name := range f.engines {
		engine := container.Engine(name)
		switch {
		case engine.OfDaemon() && len(f.engines) > 1:
			return nil, fmt.Errorf("--engine %s is of a daemon's host, which may be another: name it alone", name)
		case engine.OfDaemon() && (f.mps > 0 || f.bundle != ""):
			return nil, fmt.Errorf("--engine %s: --mps and --bundle are for engines direct and nvidia", name)
		case !engine.OfDaemon() && !slices.Contains(container.Engines(), engine):
			return nil, fmt.Errorf("--engine %q: want direct and nvidia, docker, or podman", name)
		}
		engines = append(engines, engine)
	}
	return engines, nil
}

// writeBundle packs this program, which must be one that has GPU support.
func (f *gpuFlags) writeBundle(ctx context.Context, tools probe.Tools, images []subject) error {
	if !nvidia.Supported {
		return unknown(gpu.ErrNoSupport)
	}
	if missing := tools.Missing(); len(missing) > 0 {
		return &exitError{code: exitUnknown, err: errors.New(missing[0]), hint: "'make gpu' builds all programs of a bundle"}
	}
	self, err := os.Executable()
	if err != nil {
		return unknown(err)
	}
	var sources []image.Source
	for _, s := range images {
		sources = append(sources, s.source)
	}
	programs := map[string]string{"cudabuild": self, "runc": tools.Runc, "nvidia-cdi-hook": tools.Hook, "nvidia-container-runtime": tools.Runtime}
	if err := bundle.Write(ctx, f.bundle, programs, sources); err != nil {
		return &exitError{code: exitUnknown, err: err}
	}
	return nil
}

// observe runs every image and prints the rows, those before an error too.
func (f *gpuFlags) observe(cmd *cobra.Command, tools probe.Tools, engines []container.Engine, images []subject, tests []usertest.Test) error {
	prepare := func(ctx context.Context) (*observer.Observer, func(), error) { return f.prepare(ctx, tools, engines) }
	if engines[0].OfDaemon() {
		prepare = func(ctx context.Context) (*observer.Observer, func(), error) {
			return f.prepareDaemon(ctx, engines[0], images[0].source)
		}
	}
	o, done, err := prepare(cmd.Context())
	if err != nil {
		return unknown(err)
	}
	defer done()
	baseline, err := f.readBaseline()
	if err != nil {
		return unknown(err)
	}
	chosen, left, problems := choose(images, tests)
	chosen, unfit := fit(o, chosen)
	seen := observed{host: o.Facts, rows: []gpu.Row{}, skipped: []skipped{}, left: append(left, unfit...)}
	if o.Known, err = f.skipKnown(baseline, &seen.skipped); err != nil {
		return unknown(err)
	}
	look := o.Image
	if f.mps > 0 {
		if look, err = f.share(o); err != nil {
			return unknown(err)
		}
	}
	for _, s := range chosen {
		more, err := look(cmd.Context(), s.source, s.test)
		seen.rows = append(seen.rows, more...)
		if err != nil {
			problems = append(problems, err)
		}
	}
	seen.worse, seen.figures = gpu.Compare(o.Facts, seen.rows, baseline)
	if f.baseline == "" {
		seen.figures = nil
	}
	if err := seen.show(cmd.OutOrStdout(), f.asJSON); err != nil {
		return unknown(err)
	}
	if err := f.keep(cmd, o.Facts, seen.rows); err != nil {
		return unknown(err)
	}
	return seen.err(errors.Join(problems...))
}

// checkRecord makes sure, before anything runs, that there is a record to add rows to.
func (f *gpuFlags) checkRecord() error {
	if f.record == "" {
		return nil
	}
	switch r, err := record.Read(f.record); {
	case err != nil:
		return unknown(err)
	case r == nil:
		return &exitError{code: exitUnknown, err: fmt.Errorf("--record %s: no such file", f.record), hint: "'cudabuild matrix' writes one beside the images that it builds, OUT/run.json"}
	}
	return nil
}

// keep adds the rows to the record of a run.
func (f *gpuFlags) keep(cmd *cobra.Command, host gpu.Host, rows []gpu.Row) error {
	if f.record == "" {
		return nil
	}
	strange, err := record.Observe(f.record, host, rows)
	for _, row := range strange {
		fmt.Fprintf(cmd.ErrOrStderr(), "cudabuild: warning: %s has no cell with the image %s: its row is not kept there\n", f.record, row.Digest)
	}
	return err
}

// prepare makes the host ready to run images.
func (f *gpuFlags) prepare(ctx context.Context, tools probe.Tools, engines []container.Engine) (o *observer.Observer, done func(), err error) {
	if missing := tools.Missing(f.tools()...); len(missing) > 0 {
		return nil, nil, errors.New(missing[0])
	}
	dir, err := f.dir()
	if err != nil {
		return nil, nil, err
	}
	h, err := f.open(ctx, tools)
	if err != nil {
		return nil, nil, err
	}
	tools.Runc = h.Runner.Runc
	h.Facts = probe.Host(ctx, tools)
	begin, done := time.Now(), func() {}
	if f.dry {
		engines, h.Facts.Problems = []container.Engine{container.Direct}, []string{}
	} else if done, err = f.askDriver(h); err != nil {
		return nil, nil, err
	}
	if h.Driver != nil {
		h.Facts.Problems = append(h.Facts.Problems, probe.Nodes("/", h.Facts.GPUs)...)
	}
	return &observer.Observer{
		Host: *h, Verifier: verify.New(verify.Options{CacheDir: filepath.Join(dir, "facts"), TempDir: dir}),
		Engines: engines, Repeat: f.repeat, Limit: f.limit, Ledger: f.ledger, NVML: time.Since(begin), Dry: f.dry,
	}, done, nil
}

// tools are those that the runs need.
func (f *gpuFlags) tools() []string {
	switch {
	case !f.dry && slices.Contains(f.engines, string(container.Nvidia)):
		return nil // all
	case f.dry, f.none():
		return []string{"runc"}
	}
	return []string{"runc", "nvidia-cdi-hook"}
}
