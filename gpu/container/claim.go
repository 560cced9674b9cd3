// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cudabuild/cudabuild/internal/contain"
	"github.com/cudabuild/cudabuild/internal/files"
)

// cgroupParent holds a cgroup for each run.
const cgroupParent = "/cudabuild-gpu"

// runPrefix begins the names of the runs' folders.
const runPrefix = "run-"

// lockFile is that of a run's folder, and of the folder of them all.
const lockFile = "lock"

// cgroup is that of a run's folder, or of a member's folder in one.
func cgroup(dir string) string {
	name := filepath.Base(dir)
	if run := filepath.Base(filepath.Dir(dir)); strings.HasPrefix(run, runPrefix) {
		name = run + "." + name
	}
	return filepath.Join(cgroupParent, name)
}

// claim makes the folder of a new run, after sweeping away those of runs that were
// killed. A folder belongs to a run for as long as its lock is held, and the kernel
// drops the lock of a process that dies.
func (r *Runner) claim(ctx context.Context) (dir string, release func() error, err error) {
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return "", nil, err
	}
	gate, err := openGate(ctx, r.Dir)
	if err != nil {
		return "", nil, err
	}
	defer gate.Unlock()
	if err := r.sweep(); err != nil {
		return "", nil, err
	}
	if dir, err = os.MkdirTemp(r.Dir, runPrefix); err != nil {
		return "", nil, err
	}
	own, err := files.TryLock(filepath.Join(dir, lockFile))
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error {
		gate, err := openGate(context.WithoutCancel(ctx), r.Dir) // who sweeps must not meet a folder that is half gone
		if err == nil {
			defer gate.Unlock()
		}
		defer own.Unlock()
		return errors.Join(err, discard(dir))
	}, nil
}

// openGate waits until nobody else makes or removes folders of runs in dir.
func openGate(ctx context.Context, dir string) (*files.Lock, error) {
	return files.WaitLock(ctx, filepath.Join(dir, lockFile))
}

// ErrBusy means that a container is running.
var ErrBusy = errors.New("a container is running")

// Quiet keeps runs out of dir, a Runner's, until release is called. The error wraps
// [ErrBusy] while there is one.
func Quiet(ctx context.Context, dir string) (release func(), err error) {
	gate, err := openGate(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil // nothing ever ran there
	}
	if err != nil {
		return nil, err
	}
	runs, err := runsIn(dir)
	for _, run := range runs {
		lock, lockErr := files.TryLock(filepath.Join(run, lockFile))
		if held(lockErr) {
			err = fmt.Errorf("%s: %w", run, ErrBusy)
		} else if lockErr == nil {
			lock.Unlock()
		}
	}
	if err != nil {
		gate.Unlock()
		return nil, err
	}
	return gate.Unlock, nil
}

// held reports whether a lock is another process's.
func held(err error) bool {
	_, is := errors.AsType[*files.HeldError](err)
	return is
}

// runsIn returns the folders of runs in dir, whose own name is no pattern.
func runsIn(dir string) (runs []string, err error) {
	names, err := fs.Glob(os.DirFS(dir), runPrefix+"*")
	for _, name := range names {
		runs = append(runs, filepath.Join(dir, name))
	}
	return runs, err
}

// sweep removes the folders and cgroups of runs that nobody holds.
func (r *Runner) sweep() error {
	dirs, err := runsIn(r.Dir)
	for _, dir := range dirs {
		lock, lockErr := files.TryLock(filepath.Join(dir, lockFile))
		if held(lockErr) {
			continue
		}
		err = errors.Join(err, lockErr)
		if lockErr == nil {
			err = errors.Join(err, discard(dir))
			lock.Unlock()
		}
	}
	return err
}

// discard removes a run's cgroups and its folder. Mounts there are none: they were in
// the run's own namespace.
func discard(dir string) error {
	var err error
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		found, _ := filepath.Glob(root + cgroup(dir))
		members, _ := filepath.Glob(root + cgroup(dir) + ".*")
		for _, group := range append(found, members...) {
			err = errors.Join(err, contain.RemoveGroup(group))
		}
	}
	return errors.Join(err, os.RemoveAll(dir))
}
