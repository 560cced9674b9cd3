// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Devices lists NVIDIA's device nodes below root, and those of /dev/dri: sorted, never nil.
func Devices(root string) []string {
	nodes := []string{}
	for _, top := range []string{"nvidia*", "dri"} {
		tops, _ := filepath.Glob(filepath.Join(root, "dev", top))
		for _, dir := range tops {
			_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
				if err == nil && d.Type()&fs.ModeDevice != 0 {
					nodes = append(nodes, filepath.Join("/", strings.TrimPrefix(name, root)))
				}
				return nil
			})
		}
	}
	slices.Sort(nodes)
	return nodes
}
