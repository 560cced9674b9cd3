// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
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
	// So do terms about a driver that is "".
	Brand string
	// Hook is the runtime's hook; the zero value is that of the CDI modes.
	Hook Hook
	// Folder is the directory in which the host keeps its libcuda, "usr/lib64"; ""
	// means that it is not known.
	Folder string
}

// Answer says whether a requirement holds on a host.
type Answer struct {
	Holds bool
	// Refused says that it is malformed, and that this host gets to the place.
	Refused bool
	// Why names in words what does not hold or is malformed, "" if all holds. Of several
	// alternatives it is the one that comes closest.
	Why string
	// Driver is the oldest newer driver, or else the newest older one, of those the
	// tables know, on which the requirement would hold with the same GPU; "" if there
	// is none, if it holds already, or if there are too many terms to try.
	Driver string
}

// problem is a verb for what is wrong.
func (a Answer) problem() string {
	if a.Refused {
		return "is malformed"
	}
	return "does not hold"
}

// Check evaluates the requirement on a host as the legacy hook does: alternatives and
// terms in order, no further than needed. What it does not reach may be malformed.
func (r Requirement) Check(h Host) Answer {
	holds, err := r.holds(h)
	switch {
	case err != nil:
		return Answer{Refused: true, Why: err.Error(), Driver: r.driverFor(h)}
	case !holds:
		return Answer{Why: r.nearest(h), Driver: r.driverFor(h)}
	}
	return Answer{Holds: true}
}

func (r Requirement) holds(h Host) (holds bool, err error) {
	holds = true
	for _, all := range r.any {
		for _, t := range all {
			if holds, err = t.holds(h); err != nil {
				return false, err
			} else if !holds {
				break
			}
		}
		if holds {
			break
		}
	}
	return holds, nil
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

// mostTried bounds the work of driverFor: NVIDIA's own values have up to 100 terms.
const mostTried = 300

// driverFor tries the drivers of the tables and of the requirement itself.
func (r Requirement) driverFor(h Host) string {
	drivers, terms := slices.Clone(knownDrivers()), slices.Concat(r.any...)
	if len(terms) > mostTried {
		return ""
	}
	for _, t := range terms {
		if t.property == propDriver && IsVersion(t.value) {
			drivers = append(drivers, t.value)
		}
	}
	slices.SortStableFunc(drivers, Compare)
	older := ""
	for _, driver := range slices.Compact(drivers) {
		if holds, _ := r.holds(Host{Driver: driver, CUDA: DriverCUDA(driver), GPU: h.GPU, Brand: h.Brand}); !holds {
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
		if holds, _ := t.holds(h); !holds {
			f = append(f, t)
		}
	}
	return f
}

// has is what the host has to compare a term with, "" if that is not known.
func (h Host) has(property string) string {
	switch {
	case property == propBrand:
		return h.Brand
	case property == propDriver:
		return h.Driver
	case property == propCUDA:
		return h.offer().cuda
	case h.GPU == Target{}:
		return ""
	}
	return h.GPU.Capability()
}

// mostShown is how long a term may be that does not hold: there is no room for the
// message about a longer one, and that is an error there.
const mostShown = 127

// holds compares. The error says that the hook refuses the term.
func (t term) holds(h Host) (holds bool, err error) {
	have := h.has(t.property)
	switch {
	case t.form != nil:
		return false, t.form
	case have == "":
		return true, nil
	case t.worth != nil:
		return false, t.worth
	case t.property == propBrand:
		holds = (lower(have) == lower(t.value)) == (t.op == "=")
	default:
		order, err := compareNumbers(have, t.value)
		if err != nil {
			return false, fmt.Errorf("term %q: %w", t.text, err)
		}
		holds = comparisons[t.op](order)
	}
	if shown := len(t.property) + len(t.op) + len(t.value) + len("  "); !holds && shown > mostShown {
		return false, fmt.Errorf("term %.20q...: it does not hold and is too long to say so", t.text)
	}
	return holds, nil
}

// comparisons are the operators, by the order of what the host has and what is asked.
var comparisons = map[string]func(order int) bool{
	"=":  func(order int) bool { return order == 0 },
	"!=": func(order int) bool { return order != 0 },
	"<":  func(order int) bool { return order < 0 },
	"<=": func(order int) bool { return order <= 0 },
	">":  func(order int) bool { return order > 0 },
	">=": func(order int) bool { return order >= 0 },
}

// compareNumbers orders two versions number by number, as far as both go; a rest of
// zeroes does not count. A number that does not fit is an error where it is reached.
func compareNumbers(have, want string) (order int, err error) {
	for have != "" && want != "" {
		var h, w uint64
		if h, have, err = number(have); err != nil {
			return 0, err
		}
		if w, want, err = number(want); err != nil {
			return 0, err
		}
		if h != w {
			return cmp.Compare(h, w), nil
		}
	}
	rest := func(s string) int { return min(1, len(strings.TrimLeft(s, ".0"))) }
	return rest(have) - rest(want), nil
}

// number cuts the first number and the dots behind it off.
func number(s string) (n uint64, rest string, err error) {
	digits, _, _ := strings.Cut(s, ".")
	n, err = strconv.ParseUint(digits, 10, 64)
	if err != nil || n == math.MaxUint64 {
		return 0, "", fmt.Errorf("%q is no number that can be compared", digits)
	}
	return n, strings.TrimLeft(s[len(digits):], "."), nil
}

// unmet says in words that a term does not hold.
func (t term) unmet(h Host) string {
	switch t.property {
	case propBrand:
		return fmt.Sprintf("%s: the GPU's brand is %s", t.text, strings.ToLower(h.Brand))
	case propArch:
		return fmt.Sprintf("%s: the GPU has compute capability %s", t.text, h.GPU.Capability())
	case propDriver:
		return fmt.Sprintf("%s: the driver is %s", t.text, h.Driver)
	case propCUDA:
		return fmt.Sprintf("%s: %s", t.text, h.offer())
	}
	return t.form.Error()
}
