// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// Rules about what the image's environment tells the runtime's hook (rules/portability.yaml).
const (
	ruleCapability   = "capability-missing"
	ruleNoCapability = "capability-unknown"
	ruleDevicesVoid  = "devices-void"
	ruleDevicesUnset = "devices-unset"
)

// request is what an image's environment asks the runtime's hook for.
type request struct {
	env          []string
	capabilities compat.Capabilities
	devices      []string // as compat.VisibleDevices has them
	// missing are the driver's libraries that the legacy hook does not mount, by the
	// capability that would bring them.
	missing map[string][]HostLibrary
}

// request compares what the environment asks for with what the files need; must are the
// libraries without which something that must run is not loaded.
func (n *Demand) request(env []string, must []HostLibrary) request {
	r := request{env: env, capabilities: compat.CapabilitiesOf(env), devices: compat.VisibleDevices(env), missing: map[string][]HostLibrary{}}
	for _, h := range n.wanted() {
		if c := h.capability(); c != "" && !r.capabilities.Bring(c) {
			r.missing[c] = append(r.missing[c], h)
		}
	}
	n.Withheld = r.withheld(must)
	return r
}

// wanted are the host's libraries that files name, and libcuda for code that opens it.
func (n *Demand) wanted() []HostLibrary {
	named := slices.ContainsFunc(n.Hosts, func(h HostLibrary) bool { return h.Name == libcudaName })
	i := slices.IndexFunc(n.Parts, func(p compat.Part) bool { return p.Name != "" })
	if named || i < 0 {
		return n.Hosts
	}
	return append([]HostLibrary{{libcudaName, n.Parts[i].Name}}, n.Hosts...)
}

// capability is the word that brings the library with the legacy hook, "" if it is not known.
func (h HostLibrary) capability() string {
	lib, _ := rules.Load().LibraryNamed(path.Base(h.Name))
	return lib.Capability
}

// withheld is what a start with the legacy hook comes to, its zero value if it mounts all
// that is needed. Of libraries that have nothing to do with CUDA, only those that must
// be there decide: what the image's own program needs by name, or a part.
func (r request) withheld(must []HostLibrary) compat.Prediction {
	no := func(code int, why string) compat.Prediction {
		return compat.Prediction{Verdict: compat.No, Why: why, CUDAError: code}
	}
	if len(r.capabilities.Refused) > 0 {
		return no(0, r.refused())
	}
	for _, h := range must {
		if c := h.capability(); c != "" && !r.capabilities.Bring(c) {
			return no(0, r.lacks(c, h))
		}
	}
	for _, h := range r.missing["compute"] {
		if lib, _ := rules.Load().LibraryNamed(path.Base(h.Name)); lib.CUDA {
			return no(compat.ErrorDriver, r.lacks("compute", h)+"; no driver is found (error 35)")
		}
	}
	return compat.Prediction{}
}

// findings are what there is to say about it. n is what the image needs.
func (r request) findings(n *Demand) []Found {
	var findings []Found
	wanted := n.wanted()
	gpu := slices.IndexFunc(wanted, func(h HostLibrary) bool { return h.capability() != "" && h.capability() != "utility" })
	if len(r.capabilities.Refused) > 0 && (gpu >= 0 || r.devices != nil) {
		findings = append(findings, ofImage(ruleNoCapability, "%s", r.refused()))
	}
	if len(r.capabilities.Refused) == 0 {
		for _, c := range slices.Sorted(maps.Keys(r.missing)) {
			findings = append(findings, ofImage(ruleCapability, "%s; CDI modes do not look at it", r.lacks(c, r.missing[c]...)))
		}
	}
	if gpu < 0 || len(r.devices) > 0 {
		return findings
	}
	needs := fmt.Sprintf("%s needs %s", wanted[gpu].By, wanted[gpu].Name)
	value, set := lookup(r.env, "NVIDIA_VISIBLE_DEVICES")
	switch {
	case !set:
		return append(findings, ofImage(ruleDevicesUnset, "%s, and NVIDIA_VISIBLE_DEVICES is not set", needs))
	case value == "":
		return append(findings, ofImage(ruleDevicesVoid, "%s, and NVIDIA_VISIBLE_DEVICES is empty, which means no GPU", needs))
	}
	return append(findings, ofImage(ruleDevicesVoid, "%s, and NVIDIA_VISIBLE_DEVICES is %.200q, which means no GPU", needs, value))
}

// lacks says which libraries are not mounted for want of a capability.
func (r request) lacks(capability string, libraries ...HostLibrary) string {
	var names []string
	for _, h := range libraries {
		names = append(names, h.Name)
	}
	return fmt.Sprintf("%s needs %s, which the legacy hook does not mount: NVIDIA_DRIVER_CAPABILITIES %s and lacks %q",
		libraries[0].By, strings.Join(names, ", "), r.asks(), capability)
}

// asks says what NVIDIA_DRIVER_CAPABILITIES is.
func (r request) asks() string {
	switch value, set := lookup(r.env, "NVIDIA_DRIVER_CAPABILITIES"); {
	case !set:
		return "is not set, which means compute and utility,"
	case value == "":
		return "is empty, which means compute and utility,"
	default:
		return fmt.Sprintf("is %.200q", value)
	}
}

// refused says which words are no capabilities.
func (r request) refused() string {
	var words []string
	for i, word := range r.capabilities.Refused {
		if i == maxAside {
			words = append(words, fmt.Sprintf("%d more", len(r.capabilities.Refused)-i))
			break
		}
		words = append(words, fmt.Sprintf("%.100q", word))
	}
	return fmt.Sprintf("NVIDIA_DRIVER_CAPABILITIES has %s: the legacy hook knows no such capability and refuses the container", strings.Join(words, ", "))
}
