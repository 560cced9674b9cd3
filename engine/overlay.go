// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// probeOverlay mounts a small overlay below dir. Without overlayfs BuildKit would
// copy the whole root file system, 5 GB for a devel image, at every step.
func probeOverlay(dir string) (err error) {
	root, err := os.MkdirTemp(dir, "probe-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	for _, sub := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(root, sub), 0o700); err != nil {
			return err
		}
	}
	merged := filepath.Join(root, "merged")
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", root)
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		return fmt.Errorf("%w: cannot mount overlayfs on %s: %w (choose a state directory on ext4, xfs, btrfs or tmpfs, outside of a container's own file system)", ErrUnavailable, dir, err)
	}
	return unix.Unmount(merged, unix.MNT_DETACH)
}
