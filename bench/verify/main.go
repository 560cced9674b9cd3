// SPDX-License-Identifier: Apache-2.0

// Command verify times `cudabuild verify` on one layer of about 850 MB of CUDA
// libraries and Debian files: against decoding the same blob with the same decoder
// and nothing else, and against dive, which lists the files and checks no content.
// The sides alternate, all input is in the page cache, and medians are printed.
//
// Then a family of images is verified at once, against one image that has each of
// their layers once, and a second time from the cache. -only family, or layer, does
// one of the two; the family's three sides take a few minutes.
//
// It runs in the repository's root and measures bin/cudabuild, which `make build` makes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/cudabuild/cudabuild/bench/figures"
)

func main() {
	var r contestants
	only := flag.String("only", "", "run the contests of the one layer or of the family: layer or family (default both)")
	flag.StringVar(&r.family, "family", "oci:out/images", "the images; 'make matrix' builds the default ones")
	flag.StringVar(&r.image, "image", "oci:out/images:12.4-runtime-debian13", "image whose largest layer is taken for the one layer")
	megabytes := flag.Int64("mb", 850, "size of that layer, uncompressed")
	flag.IntVar(&r.runs, "n", 5, "runs of each side")
	flag.StringVar(&r.work, "work", "/var/tmp/cudabuild-bench-verify", "folder for the sample, removed at the end")
	flag.Parse()
	r.size = *megabytes << 20
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := r.race(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}

// cudabuild is the program that is measured.
const cudabuild = "bin/cudabuild"

// side is one contestant. Ratio is to the side of that name.
type side struct {
	name, against string
	run           func(context.Context) (usage, error)
	seconds, cpu  []float64
	rssMB         float64
}

// usage is what a run took; on a busy machine CPU time says more than the clock.
type usage struct{ cpu, rssMB float64 }

// contestants is what the contests are about.
type contestants struct {
	image, family, work string
	size                int64
	runs                int
}

func (c contestants) race(ctx context.Context, only string) (err error) {
	if err := os.MkdirAll(c.work, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.work)) }()
	switch only {
	case "layer":
		return c.oneLayer(ctx)
	case "family":
		return c.manyImages(ctx)
	case "":
		return errors.Join(c.oneLayer(ctx), c.manyImages(ctx))
	}
	return fmt.Errorf("-only %q: want layer or family", only)
}

func (c contestants) oneLayer(ctx context.Context) error {
	s, err := newSample(ctx, c.image, c.size, c.work)
	if err != nil {
		return err
	}
	fmt.Printf("layer of %.0f MB: %.0f MB as gzip, %.0f MB as zstd\n", float64(s.raw)/1e6, float64(s.gzipped)/1e6, float64(s.zstded)/1e6)
	return contest(ctx, layerSides(s), c.runs)
}

func (c contestants) manyImages(ctx context.Context) error {
	d, err := newDistinct(ctx, c.family, filepath.Join(c.work, "distinct"))
	if err != nil {
		return err
	}
	fmt.Printf("family %s: %d images, %d distinct layers of %.0f MB\n", c.family, d.images, d.layers, float64(d.bytes)/1e6)
	return contest(ctx, familySides(c.family, d.ref, filepath.Join(c.work, "facts")), c.runs)
}

func layerSides(s sample) []*side {
	return []*side{
		{name: "sha256 of the gzip blob and the layer", run: inProcess(s.hash)}, // verify does it beside decoding
		{name: "gzip: decode", run: inProcess(s.decodeGzip)},
		{name: "gzip: cudabuild verify", against: "gzip: decode", run: program("", cudabuild, "verify", "--no-cache", s.gzipImage)},
		{name: "zstd: decode", run: inProcess(s.decodeZstd)},
		{name: "zstd: cudabuild verify", against: "zstd: decode", run: program("", cudabuild, "verify", "--no-cache", s.zstdImage)},
		{name: "docker archive: dive", run: program("CI=true", "bin/dive", "--source", "docker-archive", s.archive)},
		{name: "docker archive: cudabuild verify", against: "docker archive: dive", run: program("", cudabuild, "verify", "--no-cache", "docker-archive:"+s.archive)},
	}
}

func familySides(family, once, facts string) []*side {
	all := program("", cudabuild, "verify", "--cache-dir", facts, family)
	return []*side{
		{name: "each distinct layer once", run: program("", cudabuild, "verify", "--no-cache", once)},
		{name: "all images, filling the cache", against: "each distinct layer once", run: func(ctx context.Context) (usage, error) {
			if err := os.RemoveAll(facts); err != nil {
				return usage{}, err
			}
			return all(ctx)
		}},
		{name: "all images, from the cache", run: all},
	}
}

// contest runs the sides in turns and prints medians.
func contest(ctx context.Context, sides []*side, runs int) error {
	for range runs {
		for _, s := range sides {
			begun := time.Now()
			used, err := s.run(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.seconds = append(s.seconds, time.Since(begun).Seconds())
			s.cpu = append(s.cpu, used.cpu)
			s.rssMB = max(s.rssMB, used.rssMB)
		}
	}
	medians := map[string]float64{}
	for _, s := range sides {
		m := figures.Median(s.seconds)
		medians[s.name] = m
		fmt.Printf("%-42s %6.2f s (%.2f to %.2f), %.2f s of CPU", s.name, m, slices.Min(s.seconds), slices.Max(s.seconds), figures.Median(s.cpu))
		if s.rssMB > 0 {
			fmt.Printf("  %4.0f MB", s.rssMB)
		}
		if s.against != "" {
			fmt.Printf("  %.2f x %s", m/medians[s.against], s.against)
		}
		fmt.Println()
	}
	return nil
}

// program runs a command with one more variable. Exit code
// 1, a verdict, is an answer.
func program(env string, command ...string) func(context.Context) (usage, error) {
	return func(ctx context.Context) (usage, error) {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Env = append(os.Environ(), env)
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
			return usage{}, fmt.Errorf("%v: %w", command, err)
		}
		state := cmd.ProcessState
		return usage{(state.UserTime() + state.SystemTime()).Seconds(), float64(state.SysUsage().(*syscall.Rusage).Maxrss) / 1000}, nil
	}
}

// inProcess runs do here, with nothing beside it.
func inProcess(do func() error) func(context.Context) (usage, error) {
	return func(context.Context) (usage, error) {
		before := ownCPU()
		err := do()
		return usage{cpu: ownCPU() - before}, err
	}
}

func ownCPU() float64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
}
