// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"fmt"
	"slices"
	"strings"
)

// Hook is the way in which a runtime's hook gives a container the host's libcuda and
// decides about the image's cuda-compat.
type Hook string

// The hooks. The zero value is that of the CDI modes.
const (
	// HookCDI is nvidia-cdi-hook 1.20.1: enable-cuda-compat and update-ldcache.
	HookCDI Hook = ""
	// HookLegacy is libnvidia-container as the toolkit 1.20.1 calls it: cuda-compat, then the
	// host's directory come before what the image's linker configuration names.
	HookLegacy Hook = "legacy"
)

// ParseHook reads "cdi" or "legacy".
func ParseHook(s string) (Hook, error) {
	switch s {
	case "cdi":
		return HookCDI, nil
	case "legacy":
		return HookLegacy, nil
	}
	return "", fmt.Errorf("hook %q: want cdi or legacy", s)
}

// String names the program, its version and its mode.
func (k Hook) String() string {
	if k == HookLegacy {
		return "libnvidia-container 1.20.1 (legacy mode)"
	}
	return "nvidia-cdi-hook 1.20.1 (CDI mode)"
}

// refusal says who goes by the requirements of an image that a host does not meet.
func (k Hook) refusal() string {
	const refused = "the legacy hook, cudabuild run and cudabuild gpu refuse to start it"
	if k == HookLegacy {
		return refused
	}
	return refused + "; CDI modes start it all the same"
}

// CompatDir is where hooks look for cuda-compat, after links.
const CompatDir = "usr/local/cuda/compat"

// Compat is a regular file /usr/local/cuda/compat/libcuda.so.*.* of the image.
type Compat struct {
	// Driver is what follows "libcuda.so." in its name, "550.54.14".
	Driver string
	// Note says that the library names the host's driver branches that may use it;
	// Branches are these. Without a note the hook goes by the major version.
	Note     bool
	Branches []int
	// Broken says that the file is no library: the hook may name its directory, and
	// nothing comes of it.
	Broken bool
	// Path is the file that programs load once the hook has named the directory, "" if
	// that is the one of this version.
	Path string
}

// found is c with the file that is found in its directory.
func (c Compat) found(p Place) *Compat {
	if c.Path = p.Path; p.Own.Driver != "" && p.Own.Driver != c.Driver {
		c.Driver, c.Branches = p.Own.Driver, p.Own.Branches
	}
	return &c
}

// used is the library of cuda-compat that a hook puts in the place of the host's, nil
// if none, and why.
// Source: nvidia-container-toolkit 1.20.1, cmd/nvidia-cdi-hook/cudacompat;
// libnvidia-container, src/cli/compat_mode.c (cuda-compat-mode=ldconfig, the default).
func (n Needs) used(h Host) (c *Compat, why string) {
	switch {
	case len(n.Compat) == 0 && n.CompatAside == "":
		return nil, ""
	case len(n.Compat) == 0:
		return nil, fmt.Sprintf("%s does not use the cuda-compat in %s: it looks for /%s/libcuda.so.*.* only", h.Hook, n.CompatAside, CompatDir)
	case h.Hook == HookLegacy:
		newest := slices.MaxFunc(n.Compat, func(a, b Compat) int { return Compare(a.Driver, b.Driver) })
		return newest.ifEnabled(h, Major(newest.Driver) > Major(h.Driver), "its major version is not newer than that of driver "+h.Driver)
	case len(n.Compat) > 1:
		return nil, fmt.Sprintf("%s uses no cuda-compat: /%s has %d files libcuda.so.*.*, and it wants exactly one", h.Hook, CompatDir, len(n.Compat))
	}
	only := n.Compat[0]
	switch {
	case !IsVersion(only.Driver) || strings.Count(only.Driver, ".") > 2:
		return only.ifEnabled(h, false, "its name has no version that can be read")
	case only.Note && !slices.Contains(only.Branches, Major(h.Driver)):
		return only.ifEnabled(h, false, fmt.Sprintf("its note does not name branch %d among %v", Major(h.Driver), only.Branches))
	case only.Note:
		return only.ifEnabled(h, Compare(only.Driver, h.Driver) > 0, "it is not newer than driver "+h.Driver)
	}
	return only.ifEnabled(h, Major(only.Driver) > Major(h.Driver), "its major version is not newer than that of driver "+h.Driver)
}

// ifEnabled completes the answer.
func (c Compat) ifEnabled(h Host, enabled bool, unless string) (*Compat, string) {
	switch {
	case !enabled:
		return nil, fmt.Sprintf("%s does not use the image's cuda-compat %s: %s", h.Hook, c.Driver, unless)
	case c.Broken:
		return nil, fmt.Sprintf("the image's cuda-compat %s is no library, so %s changes nothing", c.Driver, h.Hook)
	}
	return &c, fmt.Sprintf("%s puts the image's cuda-compat %s in the place of driver %s", h.Hook, c.Driver, h.Driver)
}

// supports reports whether NVIDIA lets cuda-compat of a version take the place of that
// driver; branches are those of the library's note, nil without one.
// Source: NVIDIA, CUDA Compatibility guide, "Forward Compatibility".
func supports(version string, branches []int, driver string) bool {
	if branches == nil {
		branches = forwardBranches[DriverCUDA(version)]
	}
	return branches == nil || slices.Contains(branches, Major(driver))
}

// forwardBrands says of which brands forward compatibility is refused (error 804). Brands
// that are not here are of data centers or of virtual GPUs.
// Source: NVIDIA, CUDA Compatibility guide: data-center GPUs and select NGC-ready boards.
var forwardBrands = []string{"geforce", "titan", "quadro", "nvidiartx", "nvs"}

// unspaced takes out what is between the words of a brand.
var unspaced = strings.NewReplacer(" ", "", "-", "", "_", "")

func leavesOut(brand string) bool {
	brand = unspaced.Replace(strings.ToLower(brand))
	return slices.ContainsFunc(forwardBrands, func(b string) bool { return strings.HasPrefix(brand, b) })
}
