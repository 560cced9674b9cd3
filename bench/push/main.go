// SPDX-License-Identifier: Apache-2.0

// Command push races `cudabuild push` against `skopeo copy` and `crane push` with the images
// of a layout. Each run has a registry of its own on loopback that is empty, and all input is
// in the page cache; the sides take turns, in an order that rotates, and medians are printed.
//
// They do not do the same. skopeo is one process an image and gives each its tag. crane is one
// process and puts all images under one tag. cudabuild is one process, and reads back what it
// pushed, moves tags from staging ones, gives the other names and keeps a journal. (`skopeo
// sync` reads no OCI layouts.) At the end the same is pushed once more: what that takes, and
// what it sends.
//
// With -copy it races `cudabuild copy`, of images with evidence and of the same without, against
// `skopeo copy` and `crane copy`, which leave behind what is attached: from one registry to
// another, one process an image.
//
// It runs in the repository's root and measures bin/cudabuild; `make bench-push` and `make bench-copy` make what it
// needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/bench/figures"
	"github.com/cudabuild/cudabuild/internal/registrytest"
)

func main() {
	var r race
	flag.StringVar(&r.out, "out", "out", "folder with images and run.json, as 'make matrix' leaves it; it is only read")
	flag.StringVar(&r.group, "group", "default", "group of the matrix")
	flag.BoolVar(&r.copies, "copy", false, "race copies from one registry to another")
	flag.IntVar(&r.runs, "n", 3, "runs of each side")
	flag.StringVar(&r.work, "work", "/var/tmp/cudabuild-bench-push", "folder for registries, removed at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := r.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "push:", err)
		os.Exit(1)
	}
}

// race is what is pushed or copied, and how often.
type race struct {
	out, group, work string
	copies           bool
	runs             int
	cells            []string
}

func (r race) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(r.work), os.RemoveAll(r.sourceDir())) }()
	if r.cells, err = chosen(r.group); err != nil {
		return err
	}
	bytes, err := warm(r.images())
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d images, %.1f MB\n", r.images(), len(r.cells), float64(bytes)/1e6)
	sides := r.sides()
	if r.copies {
		source, err := r.source(ctx)
		if err != nil {
			return err
		}
		defer source.Kill()
		sides = r.copiers(source.Host)
	}
	for n := range r.runs {
		for i := range sides {
			if err := r.turn(ctx, sides[(n+i)%len(sides)]); err != nil {
				return err
			}
		}
	}
	ours := figures.Median(sides[0].seconds)
	for _, s := range sides {
		m := figures.Median(s.seconds)
		fmt.Printf("%-20s median %6.2f s (%.2f to %.2f), CPU: client %.1f s, registry %.1f s; cudabuild takes %.2f of it\n",
			s.name, m, slices.Min(s.seconds), slices.Max(s.seconds), figures.Median(s.client), figures.Median(s.registry), ours/m)
	}
	return r.again(ctx, sides[0])
}

// turn runs one side once.
func (r race) turn(ctx context.Context, s *side) error {
	return r.withRegistry(ctx, func(registry *registrytest.Registry) error {
		seconds, client, err := r.push(ctx, s, registry.Host)
		if err != nil {
			return err
		}
		s.seconds, s.client = append(s.seconds, seconds), append(s.client, client)
		s.registry = append(s.registry, cpu(registry.Kill()))
		fmt.Printf("%-20s %6.2f s\n", s.name, seconds)
		return nil
	})
}

// again pushes what is there.
func (r race) again(ctx context.Context, s *side) error {
	return r.withRegistry(ctx, func(registry *registrytest.Registry) error {
		if _, _, err := r.push(ctx, s, registry.Host); err != nil {
			return err
		}
		counter := count(registry.Host)
		defer counter.Close()
		var all []float64
		for range r.runs {
			seconds, _, err := r.push(ctx, s, counter.host())
			if err != nil {
				return err
			}
			all = append(all, seconds)
		}
		fmt.Printf("%s once more, nothing changed: median %.2f s (%.2f to %.2f), %d bytes sent in all\n", s.name, figures.Median(all), slices.Min(all), slices.Max(all), counter.sent.Load())
		return nil
	})
}

// source is a registry that has all images twice, with evidence and without.
func (r race) source(ctx context.Context) (*registrytest.Registry, error) {
	if err := errors.Join(os.RemoveAll(r.sourceDir()), os.MkdirAll(r.sourceDir(), 0o700)); err != nil {
		return nil, err
	}
	registry, err := registrytest.Launch(ctx, "bin/registry", r.sourceDir(), "")
	for _, repo := range []string{bare, proven} {
		if err == nil {
			err = r.prepare()
		}
		if err == nil {
			_, _, err = r.push(ctx, &side{commands: func(host string) [][]string { return [][]string{r.ourPush(host+repo, repo == proven)} }}, registry.Host)
		}
	}
	return registry, err
}

// prepare makes a folder of ours that has no journal.
func (r race) prepare() error {
	if err := errors.Join(os.RemoveAll(r.work), os.MkdirAll(r.ours(), 0o700)); err != nil {
		return err
	}
	images, err := filepath.Abs(r.images())
	if err != nil {
		return err
	}
	record, err := os.ReadFile(filepath.Join(r.out, "run.json"))
	if err != nil {
		return err
	}
	return errors.Join(os.Symlink(images, filepath.Join(r.ours(), "images")),
		os.WriteFile(filepath.Join(r.ours(), "run.json"), record, 0o600)) //nolint:gosec // in the folder that the user names
}

// withRegistry starts a registry that is empty.
func (r race) withRegistry(ctx context.Context, do func(*registrytest.Registry) error) error {
	if err := r.prepare(); err != nil {
		return err
	}
	unix.Sync() // or the disk is busy with what the run before has written
	registry, err := registrytest.Launch(ctx, "bin/registry", r.work, "")
	if err != nil {
		return err
	}
	defer registry.Kill()
	return do(registry)
}
