// SPDX-License-Identifier: Apache-2.0

package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Lock is a file or folder that one process at a time has: this one, and those that inherit
// File from it. The kernel drops the lock of processes that die.
type Lock struct{ File *os.File }

// HeldError means that another process has a lock.
type HeldError struct {
	Name string
	PID  int // of the process that signed it last, 0 if none has
}

func (e *HeldError) Error() string { return e.Name + " is locked by another process" }

// TryLock locks a file, which is made if it is missing, or a folder, whose name ends in a
// slash. The error is a [*HeldError] if another process has it.
func TryLock(name string) (*Lock, error) {
	for {
		f, err := open(name)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			if errors.Is(err, unix.EWOULDBLOCK) {
				err = &HeldError{Name: name, PID: signer(f)}
			}
			return nil, errors.Join(err, f.Close())
		}
		if Same(name, f) {
			return &Lock{f}, nil
		}
		if err := f.Close(); err != nil { // who had it has removed it meanwhile
			return nil, err
		}
	}
}

func open(name string) (*os.File, error) {
	if strings.HasSuffix(name, "/") {
		return os.Open(name)
	}
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
}

// WaitLock is [TryLock], but waits until ctx ends. Then the error is both a [*HeldError]
// and that of ctx.
func WaitLock(ctx context.Context, name string) (*Lock, error) {
	for {
		l, err := TryLock(name)
		if _, held := errors.AsType[*HeldError](err); !held {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Sign writes the number of this process into a file that is nothing but a lock, for
// [HeldError] to name its owner. What counts is the lock.
func (l *Lock) Sign() error {
	if err := l.File.Truncate(0); err != nil {
		return err
	}
	_, err := l.File.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	return err
}

func signer(f *os.File) int {
	data, _ := io.ReadAll(io.NewSectionReader(f, 0, 32))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return pid
}

// Unlock gives the file to others: in so many words, because a child that is being forked
// just now holds a copy of it, and with it the lock, until it becomes another program.
func (l *Lock) Unlock() {
	_ = unix.Flock(int(l.File.Fd()), unix.LOCK_UN)
	_ = l.File.Close()
}
