// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"slices"

	"github.com/containerd/containerd/v2/pkg/oci"
	"golang.org/x/sys/unix"
)

// Bind shows a file or folder of the host to the program.
type Bind struct {
	Source, Target string // absolute paths
	ReadOnly       bool   // with all that is mounted below
}

// bindMounts returns a specification with nothing but these mounts.
func bindMounts(binds []Bind) (*oci.Spec, error) {
	mounts := []map[string]any{}
	for _, b := range binds {
		options := []string{"rbind", "rprivate"}
		if b.ReadOnly {
			options = readOnly()
		}
		mounts = append(mounts, map[string]any{"destination": b.Target, "type": "bind", "source": b.Source, "options": options})
	}
	return parts(map[string]any{"mounts": mounts})
}

// readOnly are the options of a mount that cannot be written to. Before Linux 5.12
// what is mounted below it would stay writable, and so is left out there.
func readOnly() []string {
	if err := unix.MountSetattr(-1, "", 0, &unix.MountAttr{}); errors.Is(err, unix.ENOSYS) {
		return []string{"bind", "rprivate", "ro"}
	}
	return []string{"rbind", "rprivate", "rro"}
}

// remount adds the mounts of more to spec, in place of those at the same targets and
// at others that are named.
func remount(spec, more *oci.Spec, others ...string) {
	for _, m := range more.Mounts {
		others = append(others, m.Destination)
	}
	kept := spec.Mounts[:0]
	for _, m := range spec.Mounts {
		if !slices.Contains(others, m.Destination) {
			kept = append(kept, m)
		}
	}
	spec.Mounts = append(kept, more.Mounts...)
}
