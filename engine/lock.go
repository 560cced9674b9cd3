// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
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
	file *os.File
}

// Acquire makes this process the owner of dir, which is created if missing. Where
// another process owns it, waiting is called once with that state and Acquire
// waits until the directory is free or ctx ends; a nil waiting means: do not wait.
// The error is a [*BusyError] if the directory stayed in use.
func Acquire(ctx context.Context, dir string, waiting func(*BusyError)) (*Lock, error) {
	f, err := locked(ctx, dir, waiting)
	for err == nil && !there(f) { // its owner has removed it meanwhile
		err = f.Close()
		if err == nil {
			f, err = locked(ctx, dir, waiting)
		}
	}
	if err != nil {
		return nil, err
	}
	// The number only helps others to name the owner; the lock is what counts.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	if err := removeGroups(dir); err != nil { // of a daemon that was killed
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{Dir: dir, file: f}, nil
}

// locked opens the file and locks it.
func locked(ctx context.Context, dir string, waiting func(*BusyError)) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := lockFile(ctx, f, dir, waiting); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// there reports whether a file still has its name.
func there(f *os.File) bool {
	open, err := f.Stat()
	named, err2 := os.Stat(f.Name())
	return err == nil && err2 == nil && os.SameFile(open, named)
}

func lockFile(ctx context.Context, f *os.File, dir string, waiting func(*BusyError)) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		busy := &BusyError{Dir: dir, PID: owner(f)}
		if waiting == nil {
			return busy
		}
		waiting(busy)
		waiting = func(*BusyError) {}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", busy, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func owner(f *os.File) int {
	data, _ := io.ReadAll(io.NewSectionReader(f, 0, 32))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return pid
}

// Remove removes the lock's own file, of a directory that holds nothing else. Who waits
// for it makes a new one.
func (l *Lock) Remove() error { return os.Remove(l.file.Name()) }

// Release gives the directory up.
func (l *Lock) Release() error { return l.file.Close() }
