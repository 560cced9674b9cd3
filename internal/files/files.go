// SPDX-License-Identifier: Apache-2.0

// Package files reads and writes files so that nobody meets half of one.
//
// [Write] and [Create] make a file that appears whole or not at all, and leave what is no
// regular file as it is; [Read] and [Open] read regular files and nothing else. [TryLock] and
// [WaitLock] keep other processes from what this one does. What is in a file is not this
// package's business.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// NotRegularError is a name behind which no regular file is: of a pipe or a device
// nobody knows when it answers, and it cannot be read twice.
type NotRegularError struct {
	Name string
	Mode fs.FileMode
}

func (e *NotRegularError) Error() string {
	kind := "neither a file nor a folder"
	switch {
	case e.Mode.IsDir():
		kind = "a folder, not a file"
	case e.Mode&fs.ModeNamedPipe != 0:
		kind = "a pipe, not a file"
	case e.Mode&fs.ModeDevice != 0:
		kind = "a device, not a file"
	}
	return fmt.Sprintf("%s is %s", e.Name, kind)
}

// Hint is how to read what is no file; "" for a folder.
func (e *NotRegularError) Hint() string {
	if e.Mode.IsDir() {
		return ""
	}
	return "save it to a file first, and name that"
}

// Open opens a regular file for reading, and anything else not at all: it does not wait
// for the other end of a pipe. Errors are those of [os.Open] or a [*NotRegularError].
func Open(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // which changes nothing for regular files
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &NotRegularError{name, info.Mode()}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Read reads a regular file, and anything else not at all, as [Open].
func Read(name string) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Write writes a file so that a reader sees the old content or the new, never half, and
// leaves links as they are. What is there and no regular file is refused.
func Write(name string, data []byte) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return &NotRegularError{name, info.Mode()}
	}
	out, err := Create(context.Background(), name)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return out.Close(err)
}

// Unnamed makes a file that has no name in dir, "" for the system's folder of temporary
// files: it is gone when it is closed.
func Unnamed(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC|unix.O_EXCL, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), dir), nil
	}
	file, err := os.CreateTemp(dir, ".cudabuild-*") // where the file system has none of these
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}

// SyncDir has the names in a folder on disk when it returns.
func SyncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
