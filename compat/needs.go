// SPDX-License-Identifier: Apache-2.0

package compat

import "slices"

// Needs is what an image asks of a driver and a GPU.
type Needs struct {
	// Parts are the programs and libraries that must all run.
	Parts []Part
	// Runtime is the CUDA release that the image declares, "12.4". It counts only
	// where no part has one of its own; "" means that none is declared.
	Runtime string
	// Compat are the forward-compatibility libraries where hooks look for them, and
	// CompatAside is the directory of one that lies elsewhere, "" if none does.
	Compat      []Compat
	CompatAside string
	// Searches say which libcuda.so.1 is found, one for each hook and host's directory.
	Searches []Search
	// Require is what the image's environment asks for; see [Requirements].
	Require []Requirement
	// Withheld is what every start with [HookLegacy] comes to, because of what
	// NVIDIA_DRIVER_CAPABILITIES asks for; the zero value if that is enough.
	Withheld Prediction
}

// Part is a program or a library with what it asks for.
type Part struct {
	// Name is what messages call it, such as "libcublas.so.12".
	Name string
	// Runtime is the release of the CUDA runtime inside it, "12.4" or "12" where only
	// the major number is known, "" if it has none.
	Runtime string
	// SASS and PTX are the targets that its device code was made for. A part without
	// either asks nothing of the GPU.
	SASS []Target
	PTX  []PTX
}

// Admits reports whether all requirements hold on a host.
func (n Needs) Admits(h Host) bool {
	return !slices.ContainsFunc(n.Require, func(r Requirement) bool { holds, _ := r.holds(h); return !holds })
}

// runtime returns the newest CUDA runtime and who asks for it, "" if none is known.
func (n Needs) runtime() (release, by string) {
	for _, p := range n.Parts {
		if Compare(p.Runtime, release) > 0 {
			release, by = p.Runtime, p.Name
		}
	}
	if release == "" {
		return n.Runtime, "the image"
	}
	return release, by
}
