// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// Observation is a row and the host that it was seen on.
type Observation struct {
	Host Host
	Row  Row
	File string // of the ledger, relative to its directory, with slashes
}

// Why an observation says nothing of a GPU.
const (
	StandIn       = "stand-in"
	WithoutDriver = "without a driver"
	NotEnded      = "not ended"
	NoDigest      = "no digest"
	OddResult     = "result not known"
)

// Discount is why the observation says nothing of how an image runs on a GPU, "" if it does.
func (o Observation) Discount() string {
	switch r := o.Row; {
	case r.StandIn || o.Host.StandIn:
		return StandIn
	case r.Dry:
		return WithoutDriver
	case r.Result == "":
		return NotEnded
	case r.Digest == "":
		return NoDigest
	case !slices.Contains([]Result{Passed, Failed, Waived, Refused}, r.Result):
		return OddResult
	case o.Driver() == "":
		return WithoutDriver
	}
	return ""
}

// Driver is the version of the kernel module that the program met: what its container saw, else what the row says of
// its host, else what the host's newest row says. It is "" where none of them knows.
func (o Observation) Driver() string {
	driver := o.Host.Driver
	if o.Row.Under != nil {
		driver = cmp.Or(o.Row.Under.Driver, driver)
	}
	if o.Row.Seen != nil {
		driver = cmp.Or(o.Row.Seen.Driver, driver)
	}
	return driver
}

// Device is the model of the first GPU that the program had, and its architecture as compat.Target spells it; "" where
// that is not known.
func (o Observation) Device() (model, arch string) {
	if o.Row.Under != nil {
		model = o.Row.Under.GPU
	}
	if len(o.Host.GPUs) == 0 {
		return model, ""
	}
	i := slices.IndexFunc(o.Host.GPUs, func(g GPU) bool { return slices.Contains(o.Row.Devices, g.UUID) })
	if i < 0 { // the file's host is that of its newest row: another machine of the same model
		i = slices.IndexFunc(o.Host.GPUs, func(g GPU) bool { return g.Name == model })
	}
	if i < 0 && model != "" && !strings.Contains(model, ",") {
		return model, ""
	}
	g := o.Host.GPUs[max(0, i)]
	if major, minor, ok := strings.Cut(g.Capability, "."); ok {
		if target, err := compat.ParseTarget("sm_" + major + minor); err == nil {
			arch = target.String()
		}
	}
	return cmp.Or(model, g.Name), arch
}
