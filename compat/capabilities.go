// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"slices"
	"strings"
)

// supported are the words that NVIDIA_DRIVER_CAPABILITIES may have beside "all", sorted.
var supported = []string{"compat32", "compute", "display", "graphics", "ngx", "utility", "video"}

// implied are capabilities that bring the libraries of another one too.
// Source: libnvidia-container, src/options.h.
var implied = map[string]string{"video": "compute", "display": "graphics"}

// Capabilities says which of the driver's libraries the legacy hook mounts. CDI modes
// look at none of it: they mount what the driver has.
type Capabilities struct {
	// Words are what the hook asks libnvidia-container for, sorted.
	Words []string
	// Refused are words for which the hook refuses the container, sorted.
	Refused []string
}

// CapabilitiesOf reads NVIDIA_DRIVER_CAPABILITIES of an environment: words with commas
// between, of which "all" stands for all. Not set or empty it means compute and utility,
// and not set all for a legacy image (see [Legacy]). Commas and blanks alone mean none.
//
// Source: nvidia-container-toolkit 1.20.1, cmd/nvidia-container-runtime-hook and
// internal/config/image.
func CapabilitiesOf(env []string) Capabilities {
	value, set := valuesOf(env)["NVIDIA_DRIVER_CAPABILITIES"]
	switch {
	case !set && Legacy(env):
		return Capabilities{Words: slices.Clone(supported)}
	case value == "":
		return Capabilities{Words: []string{"compute", "utility"}}
	}
	var c Capabilities
	for word := range strings.SplitSeq(value, ",") {
		switch word = strings.TrimSpace(word); {
		case word == "all":
			return Capabilities{Words: slices.Clone(supported)}
		case slices.Contains(supported, word):
			c.Words = append(c.Words, word)
		case word != "":
			c.Refused = append(c.Refused, word)
		}
	}
	for _, list := range []*[]string{&c.Words, &c.Refused} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return c
}

// Bring reports whether the libraries of a capability are mounted.
func (c Capabilities) Bring(capability string) bool {
	return slices.ContainsFunc(c.Words, func(word string) bool { return word == capability || implied[word] == capability })
}
