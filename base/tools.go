// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"os/exec"
	"strings"
)

// tools are the versions of what makes a root on this machine, by package: the keyring says whose
// package lists it takes. What no package of dpkg is, is left out.
func tools(ctx context.Context) map[string]string {
	// It fails if one of them is missing, and prints the others.
	out, _ := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${Package} ${Version}\n",
		"mmdebstrap", "apt", "dpkg", "debian-archive-keyring").Output()
	versions := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		if version != "" {
			versions[name] = version
		}
	}
	return versions
}
