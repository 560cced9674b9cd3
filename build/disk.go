// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/disk"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// DiskError means that the file system of a folder is too small, or full: of bytes, of
// files, or of what a quota allows.
type DiskError struct {
	Dir            string
	NeedMB, FreeMB int
	Cause          error // what a full one has kept from being written; may be nil
	NoFiles        bool  // it can hold no more files, whatever their size
}

func (e *DiskError) Unwrap() error { return e.Cause }

func (e *DiskError) Error() string {
	switch {
	case e.NoFiles:
		return fmt.Sprintf("the disk is full: no more files (inodes) fit below %s", e.Dir)
	case e.NeedMB == 0 && e.Cause != nil:
		return fmt.Sprintf("the disk is full: %d MB are free below %s: %v", e.FreeMB, e.Dir, e.Cause)
	case e.NeedMB == 0:
		return fmt.Sprintf("the disk is full: %d MB are free below %s", e.FreeMB, e.Dir)
	}
	return fmt.Sprintf("building needs about %d MB below %s, %d MB are free", e.NeedMB, e.Dir, e.FreeMB)
}

// Hint is how to have more room.
func (e *DiskError) Hint() string { return disk.Hint }

// checkDisk compares what the recipes will take with what is free, once a run and
// before anything is made. Too small a disk ends the run.
func (r *run) checkDisk(ctx context.Context) error {
	r.disk.Do(func() {
		need := r.needMB(ctx)
		for _, dir := range slices.Sorted(maps.Keys(need)) {
			free, err := freeMB(dir)
			if err == nil && need[dir] > free {
				err = &DiskError{Dir: dir, NeedMB: need[dir], FreeMB: free}
			}
			r.diskErr = errors.Join(r.diskErr, err)
		}
		if r.diskErr != nil {
			r.cancel(r.diskErr)
		}
	})
	return r.diskErr
}

// needMB is what the run takes below each folder. Beside what is unpacked, as much
// again is packages and compressed layers, which together are about as large
// (measured: 0.4 and 0.45 of the unpacked size). In the image folder these are other
// names of the engine's files, or copies where it lies on another file system.
func (r *run) needMB(ctx context.Context) map[string]int {
	unpacked := r.unpackedMB(ctx)
	state, images := r.Engine.StateDir, r.Images.Dir()
	need := map[string]int{}
	if r.Engine.Address == "" { // else that part is on the engine's machine
		need[state] = 2 * unpacked
	}
	if r.Engine.Address != "" || !sameFileSystem(state, images) {
		need[images] = unpacked / 2
	}
	return need
}

func sameFileSystem(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev
}

func freeMB(dir string) (int, error) {
	room, err := disk.RoomIn(dir)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", dir, err)
	}
	return room.MB, nil
}

// diskFull returns a DiskError if a full disk is behind a failure: the failure says so,
// or next to nothing is free. It names the folder that has the least room.
func (r *run) diskFull(failure error) error {
	images := r.Images.Dir()
	if room, err := disk.RoomIn(images); err == nil && r.Images.Full() {
		return fullest(images, room, failure)
	}
	dir, least := "", disk.Room{}
	for _, d := range []string{r.Engine.StateDir, images} {
		room, err := disk.RoomIn(d)
		if err == nil && (dir == "" || room.None() && !least.None() || room.None() == least.None() && room.MB < least.MB) {
			dir, least = d, room
		}
	}
	if dir != "" && (least.None() || disk.Full(failure)) {
		return fullest(dir, least, failure)
	}
	return nil
}

func fullest(dir string, room disk.Room, failure error) error {
	full := &DiskError{Dir: dir, FreeMB: room.MB, NoFiles: room.NoFiles()}
	if !room.None() { // a quota, or what has room again
		full.Cause = failure
	}
	return full
}

// unpackedMB adds up, for every chain that an image is missing from, what its highest
// one unpacks to.
func (r *run) unpackedMB(ctx context.Context) int {
	need := map[string]int{}
	for m := range r.manifests() {
		if r.known(ctx, m) {
			continue
		}
		recipe := m.cell.Recipe
		size := recipe.OS.Bootstrap.SizeMB + recipe.OS.SizeMB
		for _, flavor := range recipe.Release.Chain(unpacked(m.cell)) {
			size += recipe.Release.Layers[flavor].SizeMB
		}
		need[m.family()] = max(need[m.family()], size)
	}
	total := 0
	for _, size := range need {
		total += size
	}
	return total
}

// known reports whether an earlier run left the image, as far as that can be told
// without bootstrapping anything.
func (r *run) known(ctx context.Context, m *manifest) bool {
	known, ok := r.Bases.Known(ctx, m.cell.Recipe, m.platform)
	if !ok {
		return false
	}
	input, err := r.input(ctx, known)
	if err != nil {
		return false
	}
	_, key, err := r.compile(ctx, m, input)
	if err != nil {
		return false
	}
	_, ok = r.unchanged(ctx, key)
	return ok
}

// unpacked is the highest flavor that building a cell unpacks; a sample is compiled in
// devel.
func unpacked(c matrix.Cell) recipes.Flavor {
	if c.Sample != "" {
		return recipes.Devel
	}
	return c.Flavor
}
