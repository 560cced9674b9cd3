// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// probeOverlay mounts a small overlay below dir. Without overlayfs BuildKit would
// copy the whole root file system, 5 GB for a devel image, at every step.
func probeOverlay(dir string) (err error) {
	root := filepath.Join(dir, "probe")
	if err := os.RemoveAll(root); err != nil { // of a process that was killed
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	for _, sub := range []string{"lower", "upper", "work", "merged"} {
		if err := os.MkdirAll(filepath.Join(root, sub), 0o700); err != nil {
			return err
		}
	}
	done := make(chan error)
	go func() { done <- mountAlone(root) }()
	if err := <-done; err != nil {
		return fmt.Errorf("%w: cannot mount overlayfs below %s: %w (choose a state directory on ext4, xfs, btrfs or tmpfs, outside of a container's own file system)", ErrUnavailable, dir, err)
	}
	return nil
}

// mountAlone mounts the overlay where nobody else sees it, and where it is gone with this
// process at the latest.
func mountAlone(root string) error {
	runtime.LockOSThread() // for good: the thread ends with the goroutine, and its namespace with it
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	merged := filepath.Join(root, "merged")
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", root)
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		return err
	}
	return unix.Unmount(merged, unix.MNT_DETACH)
}

// Probe reports whether a file of a state directory is where an earlier release tried
// overlayfs; of a process that was killed it may still be mounted.
func Probe(name string) bool {
	number, ok := strings.CutPrefix(name, "probe-")
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// DropProbe removes it.
func DropProbe(path string) error {
	if err := unix.Unmount(filepath.Join(path, "merged"), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return os.RemoveAll(path)
}
