// SPDX-License-Identifier: Apache-2.0

package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Output is a file that is being written. A regular one appears whole, or not at all,
// when it is closed; anything else behind the name (a device, a pipe, a descriptor of
// this process) gets what is written as it comes, and stays what it is.
type Output struct {
	file *os.File
	path string // that file gets in the end; "" for what gets it as it comes
	ctx  context.Context
	stop func() bool
}

// Create begins to write to a name; "-" is standard output. Links are followed. The end
// of ctx ends the wait for somebody who reads a pipe.
func Create(ctx context.Context, name string) (*Output, error) {
	path, fd, err := behind(name)
	if err != nil {
		return nil, err
	}
	if fd >= 0 {
		return descriptor(ctx, name, fd)
	}
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, &NotRegularError{name, info.Mode()}
	case err == nil && (!info.Mode().IsRegular() || strings.HasPrefix(path, "/proc/")):
		return stream(ctx, path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	return &Output{file: file, path: path, ctx: ctx, stop: func() bool { return true }}, nil
}

// Unfinished reports whether a file called so is one that [Create] had begun to write in
// place of the other when its process was killed.
func Unfinished(name, of string) bool {
	number, ok := strings.CutPrefix(name, "."+of+".")
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// Sweep removes what [Create] had begun to write in place of a file when its process was
// killed. Nobody may be writing to the file.
func Sweep(path string) error {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if Unfinished(e.Name(), filepath.Base(path)) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// behind follows links to the name of what is to be written, or to a descriptor of this
// process, else -1: what it leads to may be a file whose end is somewhere by now.
func behind(name string) (path string, fd int, err error) {
	if name == "-" {
		return "", 1, nil
	}
	if name == "" || os.IsPathSeparator(name[len(name)-1]) {
		return "", -1, fmt.Errorf("%q: want the name of a file", name)
	}
	for path = name; ; {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", -1, err
		}
		path = filepath.Join(dir, filepath.Base(path))
		if own(dir) {
			fd, err := strconv.Atoi(filepath.Base(path))
			return path, fd, err
		}
		target, err := os.Readlink(path)
		if err != nil { // no link
			return path, -1, nil
		}
		if _, err := os.Stat(path); errors.Is(err, unix.ELOOP) {
			return "", -1, err
		}
		if strings.HasPrefix(path, "/proc/") { // a link to what has no name, perhaps
			return path, -1, nil
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		path = target
	}
}

// own reports whether a folder lists the descriptors of this process.
func own(dir string) bool {
	parts := strings.Split(dir, "/")
	return len(parts) >= 4 && parts[1] == "proc" && parts[2] == strconv.Itoa(os.Getpid()) && parts[len(parts)-1] == "fd"
}

func descriptor(ctx context.Context, name string, fd int) (*Output, error) {
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return heed(ctx, os.NewFile(uintptr(copied), name)), nil
}

// stream opens what is there. A pipe cannot be opened before somebody reads it.
func stream(ctx context.Context, path string) (*Output, error) {
	for {
		file, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err == nil {
			return heed(ctx, file), nil
		}
		if info, statErr := os.Stat(path); statErr != nil || info.Mode()&fs.ModeNamedPipe == 0 || !errors.Is(err, unix.ENXIO) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: nobody reads the pipe: %w", path, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// heed ends a write that waits when ctx ends, where the kernel lets it.
func heed(ctx context.Context, file *os.File) *Output {
	return &Output{file: file, ctx: ctx, stop: context.AfterFunc(ctx, func() { _ = file.SetWriteDeadline(time.Unix(1, 0)) })}
}

// Write adds to the file.
func (o *Output) Write(p []byte) (int, error) {
	n, err := o.file.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%s: %w", o.file.Name(), o.ctx.Err())
	}
	return n, err
}

// Dir is where temporary files of the same size may lie: beside a regular file, in the
// system's folder for them, "", for anything else.
func (o *Output) Dir() string {
	if o.path == "" {
		return ""
	}
	return filepath.Dir(o.path)
}

// Close ends the file, which is not there, or as it was, if err says that it is not
// whole. It returns err or what is wrong besides.
func (o *Output) Close(err error) error {
	o.stop()
	if o.path == "" {
		return errors.Join(err, o.file.Close())
	}
	err = errors.Join(err, o.file.Chmod(0o644), o.file.Sync(), o.file.Close())
	if err == nil {
		err = os.Rename(o.file.Name(), o.path)
	}
	if err != nil {
		_ = os.Remove(o.file.Name())
	}
	return err
}

// Same reports whether a name leads to the same file as f, so that nothing else may be
// written to f.
func Same(name string, f *os.File) bool {
	if name == "-" {
		name = "/dev/fd/1"
	}
	a, err1 := os.Stat(name)
	b, err2 := f.Stat()
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
