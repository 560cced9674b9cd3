// SPDX-License-Identifier: Apache-2.0

package base

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// What a file may have in bytes that a run of mmdebstrap has left.
const (
	maxText = 1 << 20 // it is read into memory
	maxFile = 4 << 30 // the tar of a root, or a package list
)

// openLeft opens a regular file of a folder that may have been filled from another machine, and says
// how many bytes to read. BuildKit makes there whatever its image holds, and another one whatever it
// likes: links to files of this machine, pipes and devices too, none of which is opened.
func openLeft(dir *os.Root, name string, most int64) (f *os.File, size int64, err error) {
	info, err := dir.Lstat(name)
	switch {
	case err != nil:
		return nil, 0, err
	case !info.Mode().IsRegular():
		return nil, 0, fmt.Errorf("the bootstrap has left %s as no regular file (%s): use a BuildKit and a bootstrap.image that can be trusted", name, info.Mode())
	case info.Size() > most:
		return nil, 0, fmt.Errorf("the bootstrap has left %s with %d bytes, want at most %d: use a BuildKit and a bootstrap.image that can be trusted", name, info.Size(), most)
	}
	f, err = dir.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // should it have become a pipe meanwhile
	return f, info.Size(), err
}

// copyLeft copies such a file.
func copyLeft(w io.Writer, dir *os.Root, name string) error {
	f, size, err := openLeft(dir, name, maxFile)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(w, f, size)
	return err
}

// readLeft reads such a file, of text.
func readLeft(dir *os.Root, name string) (string, error) {
	f, size, err := openLeft(dir, name, maxText)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, size))
	return string(data), err
}
