// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// install copies this program into a folder, whole or not at all. Others may start it.
func install(dir string) (err error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	file, err := os.CreateTemp(dir, ".observe-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name())) //nolint:gosec // the folder is named by whoever starts it
		}
	}()
	_, err = io.Copy(file, self)
	if err = errors.Join(err, file.Chmod(0o555), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(dir, "observe")) //nolint:gosec // as above
}
