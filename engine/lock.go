// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cudabuild/cudabuild/internal/files"
)

// BusyError is returned by [Acquire] when another process owns the directory.
type BusyError struct {
	Dir string
	PID int // 0 if unknown
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("state directory %s is in use by pid %d", e.Dir, e.PID)
}

// Hint is how to get out of each other's way.
func (e *BusyError) Hint() string {
	return "wait for that run to end, or choose another --state-dir and --out"
}

// Lock is the ownership of a state directory. An owned daemon inherits it, so it
// is free only when both the owner and its daemon are gone.
type Lock struct {
	Dir  string
	lock *files.Lock
}

// Acquire makes this process the owner of dir, which is created if missing. Where
// another process owns it, waiting is called once with that state and Acquire
// waits until the directory is free or ctx ends; a nil waiting means: do not wait.
// The error is a [*BusyError] if the directory stayed in use.
func Acquire(ctx context.Context, dir string, waiting func(*BusyError)) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	name := filepath.Join(dir, "lock")
	lock, err := files.TryLock(name)
	if held, is := errors.AsType[*files.HeldError](err); is && waiting != nil {
		waiting(&BusyError{Dir: dir, PID: held.PID})
		lock, err = files.WaitLock(ctx, name)
	}
	if held, is := errors.AsType[*files.HeldError](err); is {
		err = &BusyError{Dir: dir, PID: held.PID}
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", err, ctx.Err())
		}
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	_ = lock.Sign()                           // for others; what counts is the lock
	if err := removeGroups(dir); err != nil { // of a daemon that was killed
		lock.Unlock()
		return nil, err
	}
	return &Lock{Dir: dir, lock: lock}, nil
}

// Remove removes the lock's own file, of a directory that holds nothing else. Who waits
// for it makes a new one.
func (l *Lock) Remove() error { return os.Remove(l.lock.File.Name()) }

// Release gives the directory up, to the daemon if that goes on.
func (l *Lock) Release() error { return l.lock.File.Close() }
