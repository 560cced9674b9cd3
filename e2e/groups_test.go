// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cudabuild/cudabuild/internal/contain"
)

// podmanGroup is where podman has cgroups of its own, whatever it is told.
const podmanGroup = "libpod_parent"

// TestMain removes podman's cgroups after all tests, which may use it at the same time, if the machine had
// none before.
func TestMain(m *testing.M) {
	before := groups(podmanGroup)
	code := m.Run()
	if len(before) == 0 {
		if err := dropGroups(podmanGroup); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// dropGroups removes the cgroups of a name and those right in them.
func dropGroups(name string) (err error) {
	for _, dir := range append(groups(name+"/*"), groups(name)...) {
		err = errors.Join(err, contain.RemoveGroup(dir))
	}
	return err
}

// groups are the cgroups of a name, which may be a pattern, in every hierarchy.
func groups(name string) (dirs []string) {
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		found, _ := filepath.Glob(filepath.Join(hierarchy, name)) // it is a pattern
		dirs = append(dirs, found...)
	}
	return slices.DeleteFunc(dirs, func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.IsDir()
	})
}
