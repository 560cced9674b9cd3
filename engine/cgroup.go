// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/cudabuild/cudabuild/internal/contain"
)

// cgroupParent is the cgroup below which the daemon of a state directory runs its steps.
// Nobody else has one of that name, so whoever owns the directory may remove it.
func cgroupParent(stateDir string) string {
	if resolved, err := filepath.EvalSymlinks(stateDir); err == nil {
		stateDir = resolved
	}
	return fmt.Sprintf("cudabuild-%.6x", sha256.Sum256([]byte(stateDir)))
}

// removeGroups removes that cgroup from all hierarchies. A daemon that is killed leaves it.
func removeGroups(stateDir string) (err error) {
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} { // version 2, and each of version 1
		found, _ := filepath.Glob(filepath.Join(hierarchy, cgroupParent(stateDir)))
		for _, top := range found {
			var groups []string
			_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					groups = append(groups, path)
				}
				return nil
			})
			for _, group := range slices.Backward(groups) { // those inside first
				err = errors.Join(err, contain.RemoveGroup(group))
			}
		}
	}
	return err
}
