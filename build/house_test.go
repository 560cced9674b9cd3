// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/build"
	"github.com/cudabuild/cudabuild/build/cache"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/proxy"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

const tools = "../bin"

// house is a place to run the matrix in, as the command line furnishes it: with
// real BuildKit and a real image store, but a root file system of one program.
type house struct {
	state, out  string
	catalog     *recipes.Catalog
	gate        gate
	toolDir     string
	address     string   // of a daemon that is not ours
	addresses   []string // of several
	ofMatrix    bool     // the matrix names them
	failFast    bool
	show        *watcher // of the progress, may be nil
	mirror      string
	lock        *lock.Lock   // nil holds the run to none
	lister      build.Lister // needed with it
	proxy       proxy.Proxy
	patience    time.Duration // 0 is the engine's own
	matrix      string        // "" is tinyMatrix
	tags        string        // of the matrix, in YAML's flow style; may be ""
	log         *slog.Logger  // may be nil
	cache       cache.Options
	compression string // "" is the default
}

func newHouse(t testing.TB) *house {
	t.Helper()
	needEngine(t)
	return furnish(t, t.TempDir(), t.TempDir())
}

func furnish(t testing.TB, state, out string, overlays ...string) *house {
	t.Helper()
	h := &house{state: state, out: out, toolDir: tools, catalog: load(t, overlays...)}
	h.bootstrapped(t, "amd64")
	return h
}

// bootstrapped puts the root of tiny for linux on that architecture where a bootstrap
// would have left it.
func (h *house) bootstrapped(t testing.TB, arch string) {
	t.Helper()
	bases, err := base.Open(filepath.Join(h.state, "bases"))
	if err != nil {
		t.Fatal(err)
	}
	tiny, _ := h.catalog.Recipe("tiny", "12.1")
	if _, ok := bases.Known(t.Context(), tiny, "linux/"+arch); ok {
		return
	}
	date := time.Unix(1767225600, 0).UTC()
	if _, err := bases.Put(t.Context(), tiny, "linux/"+arch, date, tinyRoot(t, arch), tinyIndex); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, overlays ...string) *recipes.Catalog {
	t.Helper()
	c, err := recipes.Load(append([]string{"testdata/recipes"}, overlays...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tinyMatrix has every release for tiny that has one platform.
const tinyMatrix = `
version: 1
image: cuda
defaults: {flavors: [base, runtime, devel], samples: [deviceQuery, nbody]}
groups:
  default:
    - {os: [tiny], cuda: ["12.1", "12.2", "12.3", "12.5", "12.6"]}
`

// cells are those of the matrix whose IDs match.
func (h *house) cells(t testing.TB, only ...string) []matrix.Cell {
	t.Helper()
	cells, err := h.parsed(t).Expand("default", only)
	if err != nil {
		t.Fatal(err)
	}
	return cells
}

func (h *house) parsed(t testing.TB) *matrix.Matrix {
	t.Helper()
	text := cmp.Or(h.matrix, tinyMatrix) + "tags: {" + h.tags + "}\n"
	m, err := matrix.Parse("matrix.yaml", []byte(text), h.catalog)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run does what `cudabuild matrix` does.
func (h *house) run(ctx context.Context, t testing.TB, only ...string) (*record.Run, error) {
	t.Helper()
	lock, err := engine.Acquire(ctx, h.state, func(*engine.BusyError) {})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	images := h.images(t)
	defer images.Close()
	bases, err := base.Open(filepath.Join(h.state, "bases"))
	if err != nil {
		t.Fatal(err)
	}
	bases.Mirror, bases.Lock = h.mirror, h.lock
	o := build.Options{
		Matrix: h.parsed(t).Digest(), Version: "v0",
		Builders: h.addresses, OfMatrix: h.ofMatrix, Cache: h.cache, Compression: h.compression, Proxy: h.proxy, Log: h.log, Bases: bases, Images: images, Failed: h.failed(), Gate: h.gate, Lister: h.lister, FailFast: h.failFast,
		Engine: engine.Options{Address: h.address, StateDir: h.state, ToolDir: h.toolDir, Lock: lock, Patience: h.patience},
	}
	if h.show != nil {
		o.Display = build.NewDisplay(h.show)
		defer o.Display.Close()
	}
	result, err := build.Run(ctx, h.cells(t, only...), o)
	if left, _ := os.ReadDir(filepath.Join(images.Dir(), "ingest")); len(left) > 0 { // in the way of what follows, if the disk is full
		t.Errorf("half-written blobs: %v", left)
	}
	return result, err
}

// done is run where nothing may keep it from ending.
func (h *house) done(t testing.TB, only ...string) *record.Run {
	t.Helper()
	result, err := h.run(t.Context(), t, only...)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (h *house) failed() string { return filepath.Join(h.out, "failed") }

func (h *house) images(t testing.TB) *image.Store {
	t.Helper()
	s, err := image.OpenStore(filepath.Join(h.out, "images"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// gate lets every image pass for which it has no report, under its name or under that
// and its platform.
type gate map[string]func() (verify.Report, error)

func (g gate) Image(_ context.Context, ref string, img v1.Image) (verify.Report, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return verify.Report{}, err
	}
	platform := config.Platform().String()
	for _, name := range []string{ref, ref + " " + platform} {
		if judge := g[name]; judge != nil {
			return judge()
		}
	}
	return verify.Report{Ref: ref, Platform: platform, Verdict: verify.Pass}, nil
}

// engineError says, once for all tests, why this machine has no BuildKit.
var engineError = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "cudabuild-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background() // of all tests, not of the first
	lock, err := engine.Acquire(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer lock.Release()
	e, err := engine.Open(ctx, engine.Options{StateDir: dir, ToolDir: tools, Lock: lock})
	if err != nil {
		return err
	}
	return e.Close()
})

func needEngine(t testing.TB) {
	t.Helper()
	if err := engineError(); errors.Is(err, engine.ErrUnavailable) {
		require.Missing(t, "buildkit", err)
	} else if err != nil {
		t.Fatal(err)
	}
}
