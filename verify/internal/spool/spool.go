// SPDX-License-Identifier: Apache-2.0

// Package spool holds bytes that have to be read out of order while a stream goes by: on
// disk, in files that have no name, and that are gone with the process.
package spool

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cudabuild/cudabuild/internal/files"
)

// Space is what may be held at a time, of one layer. It is for one goroutine.
type Space struct {
	dir  string
	left int64 // bytes
}

// NewSpace returns room for so many bytes in a folder, "" for that of temporary files.
func NewSpace(dir string, bytes int64) *Space {
	if dir == "" {
		dir = os.TempDir()
	}
	return &Space{dir, bytes}
}

// File is what is held of one file: each byte at its offset, with holes between them.
// Nothing is on disk before something is written.
type File struct {
	space *Space
	file  *os.File
	held  int64
	parts []Part
	err   error // why it does not hold what was written to it
}

// Part is N bytes of a file from Off on.
type Part struct{ Off, N int64 }

// New returns a file that holds nothing yet. It must be closed.
func (s *Space) New() *File { return &File{space: s} }

// ErrFull means that there is no more room in a [Space].
var ErrFull = errors.New("more than may be held on disk")

// WriteAt implements io.WriterAt. It never fails: what could not be held, [File.ReadAt] says.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if f.err != nil || len(p) == 0 {
		return len(p), nil
	}
	if int64(len(p)) > f.space.left {
		f.fail(ErrFull)
		return len(p), nil
	}
	if f.file == nil {
		if f.file, f.err = files.Unnamed(f.space.dir); f.err != nil {
			return len(p), nil
		}
	}
	if _, err := f.file.WriteAt(p, off); err != nil {
		f.fail(err)
		return len(p), nil
	}
	if n := len(f.parts); n > 0 && f.parts[n-1].Off+f.parts[n-1].N == off {
		f.parts[n-1].N += int64(len(p))
	} else {
		f.parts = append(f.parts, Part{off, int64(len(p))})
	}
	f.held += int64(len(p))
	f.space.left -= int64(len(p))
	return len(p), nil
}

// ReadAt implements io.ReaderAt. Holes, which [File.Parts] tells, are zeros.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case f.err != nil:
		return 0, f.err
	case f.file == nil:
		return 0, io.EOF
	}
	return f.file.ReadAt(p, off)
}

// Parts are what the file holds, in the order in which it was written.
func (f *File) Parts() []Part { return f.parts }

// Err says why the file does not hold what was written to it, nil if it does.
func (f *File) Err() error { return f.err }

// fail gives the room back at once.
func (f *File) fail(err error) {
	f.Close()
	f.err = fmt.Errorf("held in %s: %w", f.space.dir, err)
}

// Close gives the room back.
func (f *File) Close() {
	if f.file != nil {
		_ = f.file.Close() // nothing of it is to stay
	}
	f.space.left += f.held
	f.file, f.held, f.parts = nil, 0, nil
}
