// SPDX-License-Identifier: Apache-2.0

// Command bake races `buildx bake` on the images of a group: the same daemon
// binary, bootstrapped roots, packages, flags, samples and compression. Each run
// starts on an empty engine with empty caches; ours verifies every layer as well,
// the peer's does not. The runs alternate, and the median of each side is printed
// with the ratio of the medians.
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
	"time"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/bench/figures"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

func main() {
	group := flag.String("group", "default", "group of the matrix")
	runs := flag.Int("n", 3, "runs of each side")
	work := flag.String("work", "/var/tmp/cudabuild-bake", "folder for all runs, removed at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := race(ctx, *group, *runs, *work); err != nil {
		fmt.Fprintln(os.Stderr, "bake:", err)
		os.Exit(1)
	}
}

func race(ctx context.Context, group string, runs int, work string) (err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	sides := []struct {
		name string
		run  func(ctx context.Context, group, work string) error
	}{{"cudabuild matrix", ours}, {"buildx bake", peer}}
	seconds := make([][]float64, len(sides))
	for n := range runs {
		for i, side := range sides {
			if err := os.RemoveAll(work); err != nil {
				return err
			}
			if err := os.MkdirAll(work, 0o700); err != nil {
				return err
			}
			begun := time.Now()
			if err := side.run(ctx, group, work); err != nil {
				return fmt.Errorf("%s: %w", side.name, err)
			}
			seconds[i] = append(seconds[i], time.Since(begun).Seconds())
			fmt.Printf("run %d  %-18s %6.1f s\n", n+1, side.name, seconds[i][n])
		}
	}
	a, b := figures.Median(seconds[0]), figures.Median(seconds[1])
	fmt.Printf("median of %d: cudabuild matrix %.1f s, buildx bake %.1f s, ratio %.2f\n", runs, a, b, a/b)
	return nil
}

func ours(ctx context.Context, group, work string) error {
	return command(ctx, work, "bin/cudabuild", "matrix", "--quiet", "--group", group,
		"--state-dir", filepath.Join(work, "state"), "--out", filepath.Join(work, "out"))
}

// peer bootstraps the same roots with the same code, at the same time, writes one
// Dockerfile a chain and bakes every image of the group to an archive of its own.
func peer(ctx context.Context, group, work string) (err error) {
	catalog, err := recipes.Load()
	if err != nil {
		return err
	}
	m, err := matrix.Load("matrix.yaml", catalog)
	if err != nil {
		return err
	}
	cells, err := m.Expand(group, nil)
	if err != nil {
		return err
	}
	state := filepath.Join(work, "state")
	lock, err := engine.Acquire(ctx, state, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	bases, err := base.Open(filepath.Join(state, "bases"))
	if err != nil {
		return err
	}
	file, err := writeBake(ctx, catalog, cells, bases, work)
	if err != nil {
		return err
	}
	e, err := engine.Open(ctx, engine.Options{StateDir: state, ToolDir: "bin", Lock: lock})
	if err != nil {
		return err
	}
	return errors.Join(bake(ctx, work, e.Address(), file), e.Close())
}

func bake(ctx context.Context, work, address, file string) error {
	if err := command(ctx, work, "bin/buildx", "create", "--name", "race", "--driver", "remote", address); err != nil {
		return err
	}
	return command(ctx, work, "bin/buildx", "bake", "--builder", "race", "--provenance=false", "--allow=fs="+work,
		"--progress=plain", "--file", file)
}

// command runs a program; what it says on stderr is kept in work/log.
func command(ctx context.Context, work, name string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(work, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "BUILDX_CONFIG="+filepath.Join(work, "buildx"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, text[max(0, len(text)-4000):])
	}
	return nil
}
