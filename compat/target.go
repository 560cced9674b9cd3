// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// Target is an architecture that device code was made for, or that of a GPU.
type Target struct {
	// SM is the compute capability without its dot: 90 for 9.0, 121 for 12.1.
	SM int
	// Suffix is "a" for code of this one architecture, "f" for code of its family,
	// else "". A GPU has none.
	Suffix string
}

var targetForm = regexp.MustCompile(`^(?:(?:sm|compute)_([1-9][0-9]{1,2})([af]?)|([1-9][0-9]?)\.([0-9]))$`)

// ParseTarget reads "sm_90a", "compute_90", or a compute capability such as "9.0".
func ParseTarget(s string) (Target, error) {
	m := targetForm.FindStringSubmatch(s)
	if m == nil {
		return Target{}, fmt.Errorf("architecture %q: want a form like sm_90 or 9.0", s)
	}
	sm, _ := strconv.Atoi(m[1] + m[3] + m[4])
	return Target{SM: sm, Suffix: m[2]}, nil
}

// String returns the name of the real architecture: "sm_90a".
func (t Target) String() string { return fmt.Sprintf("sm_%d%s", t.SM, t.Suffix) }

// Virtual returns the name of the virtual architecture, PTX's: "compute_90a".
func (t Target) Virtual() string { return fmt.Sprintf("compute_%d%s", t.SM, t.Suffix) }

// Capability returns the compute capability as the driver reports it: "9.0".
func (t Target) Capability() string { return fmt.Sprintf("%d.%d", t.SM/10, t.SM%10) }

// Name returns the generation's name, "Hopper", and "" for one that the tables
// do not have.
func (t Target) Name() string {
	a, _ := t.architecture()
	return a.name
}

// CompareTargets orders targets by architecture, then suffix.
func CompareTargets(a, b Target) int {
	return cmp.Or(cmp.Compare(a.SM, b.SM), cmp.Compare(a.Suffix, b.Suffix))
}

// MarshalText implements encoding.TextMarshaler with the name that String returns.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseTarget.
func (t *Target) UnmarshalText(text []byte) (err error) {
	*t, err = ParseTarget(string(text))
	return err
}

// RunsOn reports whether SASS for t runs on a GPU as it is: the same major number
// and a minor number not below it; with suffix "a" on this one architecture only.
// Tegra parts run only what was made for them, and other GPUs nothing of theirs.
// Source: CUDA C++ Programming Guide, "Binary Compatibility"; nvcc manual, "GPU
// Feature List" (suffixes).
func (t Target) RunsOn(gpu Target) bool {
	if t.SM == gpu.SM {
		return true
	}
	return t.Suffix != "a" && t.SM/10 == gpu.SM/10 && t.SM < gpu.SM && !t.tegra() && !gpu.tegra()
}

// PTX is device code that a driver compiles for its GPU when a program starts.
type PTX struct {
	Target Target
	// ISA is the version of the PTX language, "8.4". The driver must know it.
	ISA string
}

// CompilesFor reports whether PTX can be compiled for a GPU by a driver that knows
// its ISA: any GPU that is not older, and with a suffix only what SASS with it runs on.
// Source: nvcc manual, "Virtual Architecture Feature List".
func (p PTX) CompilesFor(gpu Target) bool {
	if p.Target.Suffix != "" {
		return p.Target.RunsOn(gpu)
	}
	return p.Target.SM <= gpu.SM
}

// knownTo reports whether drivers of that CUDA release know the ISA.
func (p PTX) knownTo(cuda string) bool {
	release := PTXRelease(p.ISA)
	return release != "" && Compare(release, cuda) <= 0
}

// GPUs returns one target for each architecture that a table of predictions
// should have, oldest first. Tegra parts are not among them.
func GPUs() []Target {
	var gpus []Target
	for _, a := range architectures {
		if a.listed {
			gpus = append(gpus, Target{SM: a.sm})
		}
	}
	return gpus
}

func (t Target) architecture() (architecture, bool) {
	i := slices.IndexFunc(architectures, func(a architecture) bool { return a.sm == t.SM })
	if i < 0 {
		return architecture{}, false
	}
	return architectures[i], true
}

func (t Target) tegra() bool {
	a, _ := t.architecture()
	return a.tegra
}
