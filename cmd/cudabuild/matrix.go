// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/build"
	"github.com/cudabuild/cudabuild/build/cache"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/proxy"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/spec"
	"github.com/cudabuild/cudabuild/verify"
)

// matrixFlags are the flags of the matrix command beside those that select cells.
type matrixFlags struct {
	selection
	workspace
	evidenceFlags

	compression, mirror            string
	builders                       []string
	ofMatrix                       bool // the builders are
	cacheTo, cacheFrom             []string
	jobs                           int
	failFast, keepGoing, refresh   bool
	unpinned, push, locked         bool
	lock                           *lock.Lock // nil without locked
	noWait, asJSON, dryRun, silent bool
	proxy                          proxy.Proxy
}

func newMatrix() *cobra.Command {
	var f matrixFlags
	cmd := &cobra.Command{
		Use:   "matrix [DEST]",
		Short: "Build and verify the images of the matrix",
		Long: `Matrix builds the images of one group, verifies every layer of each, and leaves those
that passed in one OCI layout, OUT/images, under their tags. It prints a table and
writes the run record to OUT/run.json, where cells of earlier runs that this one does not
build keep their entries. What has not changed is not built again.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.push {
				return oneArgument(cmd, args)
			}
			return cobra.NoArgs(cmd, args)
		},
		Example: `  cudabuild matrix
  cudabuild matrix --push ghcr.io/acme/cuda
  cudabuild matrix --push --sign-key cosign.key ghcr.io/acme/cuda
  cudabuild matrix --group debian --only '12.4-*'
  cudabuild matrix --locked --debian-mirror 'http://mirror.example/archive/{archive}/{date}'
  cudabuild matrix --builder tcp://10.0.0.5:1234 --builder docker-container://buildkitd
  cudabuild matrix --json > run.json`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.selection.register(cmd)
	f.workspace.register(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.builders, "builder", nil, "`ADDRESS` of a running BuildKit; several share the work, empty starts one (env BUILDKIT_HOST, with commas, else builders of the matrix)")
	flags.StringArrayVar(&f.cacheFrom, "cache-from", nil, "`REGISTRY/REPO` with what other BuildKits have made, taken in place of building it; repeatable")
	flags.StringArrayVar(&f.cacheTo, "cache-to", nil, "`REGISTRY/REPO` to put there what is made, a tag for each image, for --cache-from")
	flags.StringVar(&f.compression, "compression", "", "of layers: zstd or gzip (default: what the matrix says, else zstd)")
	flags.StringVar(&f.mirror, "debian-mirror", os.Getenv(mirrorVariable), "`ADDRESS` of a Debian mirror, used while building only (env CUDABUILD_DEBIAN_MIRROR)")
	flags.Lookup("debian-mirror").DefValue = "" // --help is no place for a login
	flags.IntVar(&f.jobs, "jobs", 8, "images built at the same time, by each BuildKit")
	flags.BoolVar(&f.keepGoing, "keep-going", true, "build what does not depend on a failed image")
	flags.BoolVar(&f.failFast, "fail-fast", false, "stop at the first failed image, as --keep-going=false")
	flags.BoolVar(&f.refresh, "refresh", false, "look whether the package repositories have moved, and build from their new state if so")
	flags.BoolVar(&f.locked, "locked", false, "build what matrix.lock beside the matrix (ours.lock of ours.yaml) has, or say which packages have moved or gone")
	flags.BoolVar(&f.unpinned, "unpinned", false, "build images with packages whose version no document gives, with whatever the repository has")
	flags.BoolVar(&f.noWait, "no-wait", false, "exit with code 3 instead of waiting for another run to end")
	flags.BoolVar(&f.asJSON, "json", false, "print the record of this run, or the problems of the matrix, instead of the table")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the plan and build nothing")
	flags.BoolVarP(&f.silent, "quiet", "q", false, "show no progress")
	flags.BoolVar(&f.push, "push", false, "publish the images if all passed, to DEST as 'cudabuild push' does")
	f.registerEvidence(flags)
	apart(cmd, "keep-going", "fail-fast")
	apart(cmd, "push", "dry-run", "json")
	apart(cmd, "locked", "refresh")
	return cmd
}

// mirrorVariable is where --debian-mirror comes from if it is not given.
const mirrorVariable = "CUDABUILD_DEBIAN_MIRROR"

// mirrored reports whether a cell is made of a distribution's own packages.
func mirrored(c matrix.Cell) bool { return c.Recipe.OS.Image == "" }

func (f *matrixFlags) run(cmd *cobra.Command, args []string) error {
	if f.compression != "" && f.compression != matrix.Zstd && f.compression != matrix.Gzip {
		return fmt.Errorf("--compression %q: want zstd or gzip", f.compression)
	}
	switch {
	case f.jobs < 1:
		return fmt.Errorf("--jobs %d: want at least 1", f.jobs)
	case !f.push && (cmd.Flags().Changed("sign-key") || cmd.Flags().Changed("evidence")):
		return errors.New("--sign-key and --evidence say what --push attaches: give --push")
	}
	if err := f.checkKey(); err != nil {
		return err
	}
	caches, err := f.caches(cmd)
	if err != nil {
		return unknown(err)
	}
	given := cmd.Flags().Changed("debian-mirror")
	if given {
		if err := base.CheckMirror(strings.ReplaceAll(f.mirror, datePlace, lock.DateFormat)); err != nil {
			return fmt.Errorf("--debian-mirror %w", err)
		}
	}
	m, cells, err := f.loadAll(cmd, f.asJSON)
	if err != nil {
		return err
	}
	f.compression = cmp.Or(f.compression, m.Compression())
	if err := f.hold(cells, given); err != nil {
		return unknown(err)
	}
	if f.dryRun {
		return f.plan(cmd, cells)
	}
	if !given && slices.ContainsFunc(cells, mirrored) { // what nobody typed is checked where it is used
		if err := base.CheckMirror(f.mirror); err != nil {
			return fmt.Errorf("%s %w", mirrorVariable, err)
		}
	}
	if !f.unpinned {
		if err := checkPinned(cells); err != nil {
			return err
		}
	}
	if err := f.findProxy(cells); err != nil {
		return unknown(err)
	}
	if err := f.findBuilders(cmd, m); err != nil {
		return unknown(err)
	}
	if err := f.checkRecord(); err != nil { // better now than after all the work
		return err
	}
	p := pushFlags{selection: f.selection, workspace: f.workspace, registryFlags: registryFlags{cmd: cmd}, evidenceFlags: f.evidenceFlags, readBack: sizes, silent: f.silent}
	if f.push {
		if err := p.ready(cmd, m, args); err != nil {
			return err
		}
	}
	result, err := f.build(cmd, m, cells, caches)
	if result == nil {
		return f.unknown(err)
	}
	if err := f.outcome(result, errors.Join(err, f.print(cmd.OutOrStdout(), result))); err != nil || !f.push {
		return err
	}
	return p.push(cmd, m, args)
}

// findBuilders makes addresses of what names BuildKits: --builder, else BUILDKIT_HOST, else
// the matrix.
func (f *matrixFlags) findBuilders(cmd *cobra.Command, m *matrix.Matrix) (err error) {
	host := os.Getenv("BUILDKIT_HOST")
	switch {
	case cmd.Flags().Changed("builder"):
	case host != "":
		f.builders = strings.Split(host, ",")
	default:
		f.builders = m.Builders()
		f.ofMatrix = len(f.builders) > 0
	}
	f.builders, err = engine.Find(cmd.Context(), f.builders)
	return err
}

// caches are those of --cache-from and --cache-to.
func (f *matrixFlags) caches(cmd *cobra.Command) (o cache.Options, err error) {
	for _, from := range f.cacheFrom {
		repo, err := cacheRepository("--cache-from", from)
		if err != nil {
			return o, err
		}
		o.From = append(o.From, repo)
	}
	if len(f.cacheTo) > 1 {
		return o, hint.Usage("--cache-to is given twice: a cache is written to one place", "name the others with --cache-from")
	}
	for _, to := range f.cacheTo {
		if o.To, err = cacheRepository("--cache-to", to); err != nil {
			return o, err
		}
	}
	o.Registry = (&registryFlags{cmd: cmd}).registry()
	return o, nil
}

func cacheRepository(flag, text string) (name.Repository, error) {
	repo, err := publish.ParseRepository(text)
	if err != nil {
		return repo, hint.Usage(fmt.Sprintf("%s %v", flag, err), "a cache is REGISTRY/REPO without a tag, such as ghcr.io/acme/cuda-cache")
	}
	return repo, nil
}

// findProxy reads the proxy of the environment and puts it there in every spelling, for
// mmdebstrap, an owned daemon and downloads of our own. Only apt can be told a login
// without anybody keeping it.
func (f *matrixFlags) findProxy(cells []matrix.Cell) (err error) {
	if f.proxy, err = proxy.FromEnvironment(os.Getenv); err != nil {
		return err
	}
	for _, c := range cells {
		if f.proxy.Apt() != "" && !strings.HasPrefix(c.Recipe.OS.Manager, "apt") {
			return hint.Usage(fmt.Sprintf("%s: its package manager would need the password of the proxy in its environment, where BuildKit keeps it", c.ID),
				"name a proxy without a login, such as one on this machine that knows it, or leave the cell away with --only")
		}
	}
	return useProxy(f.proxy)
}

// useProxy puts a proxy into the environment in every spelling.
func useProxy(p proxy.Proxy) error {
	for _, variable := range p.Variables() {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (f *matrixFlags) plan(cmd *cobra.Command, cells []matrix.Cell) error {
	if f.asJSON {
		return planJSON(cmd.OutOrStdout(), cells, spec.Problems{})
	}
	return planTable(cmd, f.group, cells)
}

// build owns the state directory and the image folder for the time of the run, and
// writes its record.
func (f *matrixFlags) build(cmd *cobra.Command, m *matrix.Matrix, cells []matrix.Cell, caches cache.Options) (result *record.Run, err error) {
	ctx := cmd.Context()
	held, err := f.own(cmd, f.noWait)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	images, err := image.OpenStore(f.images())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, images.Close()) }()
	if err := files.Sweep(f.recordPath()); err != nil {
		return nil, err
	}
	bases, err := base.Open(filepath.Join(held.Dir, "bases"))
	if err != nil {
		return nil, err
	}
	bases.Logins = base.ReadLogins("/etc/apt")
	bases.Refresh, bases.Mirror, bases.Lock, bases.Log = f.refresh, f.mirror, f.lock, slog.Default()
	display := f.display(cmd)
	defer display.Close()
	version, _ := buildVersion()
	verifier := verify.New(verify.Options{CacheDir: filepath.Join(held.Dir, "facts"), TempDir: held.Dir, TrustDigests: true})
	result, err = build.Run(ctx, cells, build.Options{
		Bases: bases, Images: images,
		Failed:   filepath.Join(f.out, "failed"),
		Engine:   engine.Options{StateDir: held.Dir, ToolDir: toolDir(), Lock: held},
		Builders: f.builders, OfMatrix: f.ofMatrix,
		Gate: verifier, Lister: verifier,
		Matrix: m.Digest(), Version: version,
		Cache: caches, AptConfig: hostAptConfig(ctx), Proxy: f.proxy,
		Compression: f.compression, Jobs: f.jobs, FailFast: f.failFast || !f.keepGoing,
		Display: display, Log: slog.Default(),
	})
	if result == nil {
		return nil, err
	}
	return result, errors.Join(err, result.Merge(context.WithoutCancel(ctx), f.recordPath(), images))
}

// own makes the state directory this process's for the time of a run.
func (w *workspace) own(cmd *cobra.Command, noWait bool) (*engine.Lock, error) {
	waiting := func(busy *engine.BusyError) {
		fmt.Fprintf(cmd.ErrOrStderr(), "cudabuild: %v; waiting for it to end\n", busy)
	}
	if noWait {
		waiting = nil
	}
	dir, err := filepath.Abs(w.stateDir)
	if err != nil {
		return nil, err
	}
	lock, err := engine.Acquire(cmd.Context(), dir, waiting)
	if err != nil {
		return nil, err
	}
	if err := claim(dir); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return lock, nil
}

func (f *matrixFlags) display(cmd *cobra.Command) *build.Display {
	if f.silent {
		return build.NewDisplay(nil)
	}
	return build.NewDisplay(cmd.ErrOrStderr())
}

// outcome is the exit code of a run that came to a record.
func (w *workspace) outcome(result *record.Run, err error) error {
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		return w.unknown(err)
	case err != nil:
		return err
	case result.Totals.Passed < result.Totals.Cells:
		return &exitError{code: exitFailed, err: fmt.Errorf("%d of %d images did not pass", result.Totals.Cells-result.Totals.Passed, result.Totals.Cells)}
	}
	return nil
}
