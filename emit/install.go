// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"fmt"

	"github.com/cudabuild/cudabuild/recipes"
)

// scriptPath is where an installation sees the manager's script.
const scriptPath = "/run/cudabuild/install"

// mounts are the flags of RUN that give an installation what the manager wants, as in
// package llb.
func mounts(o recipes.OS, m recipes.Manager) []string {
	flags := []string{
		"--mount=type=tmpfs,target=/run",
		"--mount=type=bind,from=manager,source=/install,target=" + scriptPath,
	}
	for _, mount := range m.Mounts {
		switch mount.Kind {
		case recipes.IndexMount:
			flags = append(flags, "--mount=type=bind,from=index,source=/index,target="+mount.Path)
		case recipes.CacheMount:
			flags = append(flags, fmt.Sprintf("--mount=type=cache,sharing=locked,id=cudabuild/%s%s,target=%[2]s", o.Name, mount.Path))
		default:
			flags = append(flags, "--mount=type=tmpfs,target="+mount.Path)
		}
	}
	return flags
}
