// SPDX-License-Identifier: Apache-2.0

package contain

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// RemoveGroup removes a cgroup. The kernel may need a moment to end what it holds: it drops
// the lock of an owner that was killed a little before it has ended all that ran for it.
func RemoveGroup(group string) error {
	for tries := 1000; ; tries-- {
		switch err := unix.Rmdir(group); {
		case err == nil, errors.Is(err, fs.ErrNotExist):
			return nil
		case !errors.Is(err, unix.EBUSY) || tries == 0:
			return &fs.PathError{Op: "rmdir", Path: group, Err: err}
		}
		time.Sleep(10 * time.Millisecond)
	}
}
