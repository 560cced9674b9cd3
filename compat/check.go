// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"fmt"
	"slices"
	"strings"
)

// Host is one GPU of a machine with its driver.
type Host struct {
	// Driver is the driver's version, "550.54.14".
	Driver string
	// CUDA is the CUDA release that the driver reports, "12.4"; "" means the one that
	// the tables give for Driver.
	CUDA string
	// GPU is the GPU's architecture. The zero value means that it is not known, and
	// then terms about arch hold, as they do in the hook when no GPU is asked for.
	GPU Target
	// Brand is the GPU's brand as NVML names it, without regard to case: "Tesla",
	// "NVIDIA", "GeForce". "" means that it is not known, and then terms about it hold.
	Brand string
}

func (h Host) cuda() string {
	if h.CUDA != "" {
		return h.CUDA
	}
	return DriverCUDA(h.Driver)
}

// Answer says whether a requirement holds on a host.
type Answer struct {
	Holds bool
	// Why names in words what does not hold, "" if all does. Of several
	// alternatives it is the one that comes closest.
	Why string
	// Driver is the oldest newer driver, or else the newest older one, of those the
	// tables know, on which the requirement would hold with the same GPU; "" if there
	// is none or if it holds already.
	Driver string
}

// Check evaluates the requirement on a host.
func (r Requirement) Check(h Host) Answer {
	if r.holds(h) {
		return Answer{Holds: true}
	}
	return Answer{Why: r.nearest(h), Driver: r.driverFor(h)}
}

func (r Requirement) holds(h Host) bool {
	return len(r.any) == 0 || slices.ContainsFunc(r.any, func(all []term) bool { return len(failing(all, h)) == 0 })
}

// nearest explains the first of the alternatives that have fewest terms failing.
func (r Requirement) nearest(h Host) string {
	best := failing(r.any[0], h)
	for _, all := range r.any[1:] {
		if f := failing(all, h); len(f) < len(best) {
			best = f
		}
	}
	var words []string
	for _, t := range best {
		words = append(words, t.unmet(h))
	}
	return strings.Join(words, ", and ")
}

// driverFor tries the drivers of the tables and of the requirement itself.
func (r Requirement) driverFor(h Host) string {
	drivers := slices.Clone(knownDrivers())
	for _, all := range r.any {
		for _, t := range all {
			if t.property == propDriver {
				drivers = append(drivers, t.value)
			}
		}
	}
	slices.SortStableFunc(drivers, Compare)
	older := ""
	for _, driver := range drivers {
		if !r.holds(Host{Driver: driver, CUDA: DriverCUDA(driver), GPU: h.GPU, Brand: h.Brand}) {
			continue
		}
		if Compare(driver, h.Driver) > 0 {
			return driver
		}
		older = driver
	}
	return older
}

func failing(all []term, h Host) []term {
	var f []term
	for _, t := range all {
		if !t.holds(h) {
			f = append(f, t)
		}
	}
	return f
}

func (t term) holds(h Host) bool {
	switch t.property {
	case propBrand:
		return h.Brand == "" || strings.EqualFold(t.value, h.Brand) == (t.op == "=")
	case propArch:
		return h.GPU == Target{} || t.compares(h.GPU.Capability())
	case propDriver:
		return t.compares(h.Driver)
	default:
		return t.compares(h.cuda())
	}
}

func (t term) compares(have string) bool {
	switch c := Compare(have, t.value); t.op {
	case "=":
		return c == 0
	case "!=":
		return c != 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	default:
		return c >= 0
	}
}

// unmet says in words that a term does not hold.
func (t term) unmet(h Host) string {
	switch t.property {
	case propBrand:
		return fmt.Sprintf("%s: the GPU's brand is %s", t, strings.ToLower(h.Brand))
	case propArch:
		return fmt.Sprintf("%s: the GPU has compute capability %s", t, h.GPU.Capability())
	case propDriver:
		return fmt.Sprintf("%s: the driver is %s", t, h.Driver)
	default:
		return fmt.Sprintf("%s: driver %s offers CUDA %s", t, h.Driver, h.cuda())
	}
}
