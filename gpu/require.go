// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"fmt"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// Compat is what package compat has to know of a GPU of this host.
func (h Host) Compat(g GPU) compat.Host {
	target, _ := compat.ParseTarget(g.Capability) // one that cannot be read is not known
	return compat.Host{Driver: h.Driver, CUDA: h.CUDA, GPU: target, Brand: g.Brand, Folder: strings.Trim(h.Library, "/")}
}

// Unmet says which requirement in an image's environment (NVIDIA_REQUIRE_*) does not
// hold for one of the GPUs and which driver would do, "" if all hold. CDI, and so both
// engines, would start the container all the same.
func (h Host) Unmet(env []string, gpus []GPU) string {
	for _, g := range gpus {
		if why := unmet(env, h.Compat(g)); why != "" {
			return why
		}
	}
	return ""
}

func unmet(env []string, host compat.Host) string {
	requirements, _ := compat.Requirements(env) // what is malformed is refused where the hook gets to it
	for _, r := range requirements {
		if a := r.Check(host); !a.Holds {
			would := "no driver that is known would do"
			if a.Driver != "" {
				would = fmt.Sprintf("driver %s would do", a.Driver)
			}
			return fmt.Sprintf("%s does not hold: %s; %s", r.Name, a.Why, would)
		}
	}
	return ""
}
