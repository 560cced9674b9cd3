// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
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

// OpenRegular opens a regular file for reading, and anything else not at all: it does
// not wait for the other end of a pipe. Errors are those of [os.Open] or a [*NotRegularError].
func OpenRegular(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // which changes nothing for regular files
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
