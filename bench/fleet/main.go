// SPDX-License-Identifier: Apache-2.0

// Command fleet measures what a row costs that is made through a Kubernetes: `cudabuild fleet run`
// beside `cudabuild gpu --engine direct` of the same image on the same machine, one row and ten, without
// GPUs, and `cudabuild fleet plan` of 1,000 rows.
//
// Both sides start with images and facts that are in their caches, and take turns; medians are printed. They do not do
// the same: direct unpacked the image once and starts containers one after the other, a cluster schedules pods, runs
// two containers in each and as many at once as its node has processors for, and is asked whether all is gone. A plan is
// made once with nothing known of the images, and then again.
//
// It runs in the repository's root and in the cluster of scripts/cluster.sh; `make bench-fleet` makes what it needs.
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

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/bench/figures"
	"github.com/cudabuild/cudabuild/image"
)

// registry is that of the cluster.
const registry = "127.0.0.1:5000"

func main() {
	var r race
	flag.StringVar(&r.images, "images", "out/images", "OCI layout with the cells, as 'make matrix' leaves it; it is only read")
	flag.IntVar(&r.runs, "n", 5, "runs of each side")
	flag.StringVar(&r.work, "work", "/var/tmp/cudabuild-bench-fleet", "folder for unpacked images and facts, removed at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := r.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// race is what is run, and how often.
type race struct {
	images, work string
	runs         int
	refs         []string
	observer     string
	facts        string // the verifier's, a folder
	turn         int
}

func (r *race) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(r.work)) }()
	r.facts = filepath.Join(r.work, "facts")
	for _, cell := range []string{"12.4-nbody-debian13", "12.4-deviceQuery-debian13"} {
		if err := r.push(ctx, cell); err != nil {
			return err
		}
	}
	if r.observer, err = r.install(ctx); err != nil {
		return err
	}
	if err := r.rows(ctx); err != nil {
		return err
	}
	return r.plans(ctx)
}

// push brings a cell into the registry.
func (r *race) push(ctx context.Context, cell string) error {
	sources, closer, err := image.Open(ctx, "oci:"+r.images+":"+cell, image.OpenOptions{})
	if err != nil {
		return err
	}
	defer closer.Close()
	to, err := name.NewTag(registry + "/cuda:" + cell)
	if err != nil {
		return err
	}
	r.refs = append(r.refs, to.Name())
	return remote.Write(to, sources[0].Image, remote.WithContext(ctx))
}

// rows has both sides make rows in turns, once unmeasured.
func (r *race) rows(ctx context.Context) error {
	sides := []*side{{name: "fleet run", command: r.fleet}, {name: "gpu --engine direct", command: r.direct}}
	for n := range r.runs + 1 {
		for i := range sides {
			s := sides[(n+i)%len(sides)]
			for _, rows := range []int{1, 10} {
				seconds, err := r.make(ctx, s, rows)
				if err != nil {
					return err
				}
				if n > 0 {
					s.add(rows, seconds)
				}
			}
		}
	}
	for _, s := range sides {
		further := (figures.Median(s.ten) - figures.Median(s.one)) / 9
		fmt.Printf("%-20s one row %s, ten rows %s: %.2f s for each further row\n", s.name, spread(s.one), spread(s.ten), further)
	}
	fmt.Printf("a row costs %.2f s more by fleet, each of ten %.2f s\n",
		figures.Median(sides[0].one)-figures.Median(sides[1].one), (figures.Median(sides[0].ten)-figures.Median(sides[1].ten))/10)
	return nil
}

// plans has rows planned: two images, five architectures, each 100 times.
func (r *race) plans(ctx context.Context) error {
	r.facts = filepath.Join(r.work, "no-facts")
	var again []float64
	for n := range r.runs + 1 {
		seconds, err := r.plan(ctx, 1000)
		if err != nil {
			return err
		}
		if n == 0 {
			fmt.Printf("fleet plan, 1,000 rows: %.2f s with nothing known of the images\n", seconds)
			continue
		}
		again = append(again, seconds)
	}
	fmt.Printf("fleet plan, 1,000 rows: %s after that\n", spread(again))
	return nil
}

func spread(seconds []float64) string {
	return fmt.Sprintf("median %.2f s (%.2f to %.2f)", figures.Median(seconds), slices.Min(seconds), slices.Max(seconds))
}
