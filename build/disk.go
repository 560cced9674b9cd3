// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// DiskError means that the state directory's file system is too small.
type DiskError struct {
	Dir            string
	NeedMB, FreeMB int
}

func (e *DiskError) Error() string {
	if e.NeedMB == 0 {
		return fmt.Sprintf("the disk is full: %d MB are free below %s", e.FreeMB, e.Dir)
	}
	return fmt.Sprintf("building needs about %d MB below %s, %d MB are free", e.NeedMB, e.Dir, e.FreeMB)
}

// checkDisk compares what the recipes will take with what is free, once a run and
// before anything is made. Too small a disk ends the run.
func (r *run) checkDisk(ctx context.Context) error {
	r.disk.Do(func() {
		if r.Engine.Address != "" {
			return // on another machine
		}
		free, err := freeMB(r.Engine.StateDir)
		if need := r.needMB(ctx); err == nil && need > free {
			err = &DiskError{Dir: r.Engine.StateDir, NeedMB: need, FreeMB: free}
		}
		if err != nil {
			r.diskErr = err
			r.cancel(err)
		}
	})
	return r.diskErr
}

func freeMB(dir string) (int, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("%s: %w", dir, err)
	}
	return int(fs.Bavail * uint64(fs.Bsize) >> 20), nil
}

// diskFull returns an error if next to nothing is free below dir.
func diskFull(dir string) error {
	const nothingMB = 64
	if free, err := freeMB(dir); err == nil && free < nothingMB {
		return &DiskError{Dir: dir, FreeMB: free}
	}
	return nil
}

// needMB adds up, for every chain that a cell is missing from, what its highest
// cell unpacks to, and as much again for packages and compressed layers, which
// together are about as large (measured: 0.4 and 0.45 of the unpacked size).
func (r *run) needMB(ctx context.Context) int {
	need := map[string]int{}
	for _, t := range r.tasks {
		if r.known(ctx, t.cell) {
			continue
		}
		os, _ := r.Catalog.OS(t.cell.OS)
		release, _ := r.Catalog.Find(t.cell.OS, t.cell.CUDA)
		size := os.Bootstrap.SizeMB
		for _, flavor := range upTo(t.cell) {
			size += release.Layers[flavor].SizeMB
		}
		key := t.cell.OS + " " + t.cell.CUDA
		need[key] = max(need[key], size)
	}
	total := 0
	for _, size := range need {
		total += 2 * size
	}
	return total
}

// known reports whether an earlier run left the cell's image, as far as that can be
// told without bootstrapping anything.
func (r *run) known(ctx context.Context, c matrix.Cell) bool {
	os, _ := r.Catalog.OS(c.OS)
	known, ok := r.Bases.Known(ctx, os, platform(c))
	if !ok {
		return false
	}
	input, err := r.input(ctx, known)
	if err != nil {
		return false
	}
	_, key, err := r.compile(ctx, c, input)
	if err != nil {
		return false
	}
	_, ok = r.unchanged(ctx, key)
	return ok
}

// upTo returns the flavors that building a cell unpacks; a sample is compiled in devel.
func upTo(c matrix.Cell) []recipes.Flavor {
	flavors := recipes.Flavors()
	for i, flavor := range flavors {
		if flavor == c.Flavor {
			return flavors[:i+1]
		}
	}
	return flavors
}
