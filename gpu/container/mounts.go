// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Bind shows a file or folder of the host to the program.
type Bind struct {
	Source, Target string // absolute paths
	ReadOnly       bool   // with all that is mounted below
}

func bindMounts(binds []Bind) (mounts []specs.Mount) {
	for _, b := range binds {
		options := []string{"rbind", "rprivate"}
		if b.ReadOnly {
			options = readOnly()
		}
		mounts = append(mounts, specs.Mount{Destination: b.Target, Type: "bind", Source: b.Source, Options: options})
	}
	return mounts
}

// readOnly are the options of a mount that cannot be written to. Before Linux 5.12
// what is mounted below it would stay writable, and so is left out there.
func readOnly() []string {
	if err := unix.MountSetattr(-1, "", 0, &unix.MountAttr{}); errors.Is(err, unix.ENOSYS) {
		return []string{"bind", "rprivate", "ro"}
	}
	return []string{"rbind", "rprivate", "rro"}
}

// remount adds mounts to spec, in place of those at the same targets and at others that
// are named.
func remount(spec *specs.Spec, more []specs.Mount, others ...string) {
	for _, m := range more {
		others = append(others, m.Destination)
	}
	kept := slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return slices.Contains(others, m.Destination) })
	spec.Mounts = append(kept, more...)
}
