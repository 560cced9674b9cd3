// SPDX-License-Identifier: Apache-2.0

package view

import (
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// Rules about what the image's environment asks for (rules/portability.yaml).
const (
	ruleRequirement = "requirement-mismatch"
	ruleMalformed   = "requirement-malformed"
	ruleCSV         = "requirement-csv"
	ruleStrict      = "requirement-strict"
)

// disagreements are findings about the image's own words against its content.
func (n *Demand) disagreements() []Found {
	var findings []Found
	add := func(rule, format string, args ...any) {
		findings = append(findings, ofImage(rule, format, args...))
	}
	if n.badEnv != nil {
		add(ruleMalformed, "%s: the legacy runtime hook refuses the container where it gets to this; CDI modes look at no requirement", strings.ReplaceAll(n.badEnv.Error(), "\n", "; "))
	}
	for _, r := range n.Require {
		if other := r.CSV(); other != "" {
			add(ruleCSV, "%s: %s in the csv mode of NVIDIA's toolkit (Tegra), not by the legacy hook; CDI modes look at no requirement", r.Name, other)
		}
	}
	if n.Newest != "" && n.Runtime != "" && !sameRelease(n.Newest, n.Runtime) {
		add(ruleRequirement, "CUDA_VERSION says %s, the newest CUDA runtime in the image is %s", n.Runtime, n.Newest)
	}
	if h, why := n.admitted(); why != "" {
		add(ruleRequirement, "%s admits driver %s with %s, where %s", n.Require[0].Name, h.Driver, h.GPU, why)
	}
	if asked, enough := n.strict(); asked != "" {
		add(ruleStrict, "%s for driver %s; what is in the image runs from driver %s on, as long as it calls no function that is newer", n.asking(enough), asked, enough)
	}
	return findings
}

// strict returns the oldest driver that the requirements admit and an older one that is
// enough for the programs and libraries, "" if there is none. PTX that the older one
// cannot compile is a good reason to ask for more.
func (n *Demand) strict() (asked, enough string) {
	if len(n.Require) == 0 || n.Unsure != "" || !n.all(func(p compat.Part) bool { return len(p.SASS) > 0 }) || withoutCode(n.Parts) {
		return "", ""
	}
	silent := n.Needs
	silent.Require = nil
	for _, gpu := range compat.GPUs() {
		enough, _ = compat.MinDriver(silent, gpu)
		asked, _ = compat.MinDriver(n.Needs, gpu)
		if enough != "" && asked != "" && compat.Compare(enough, asked) < 0 {
			break
		}
		asked = ""
	}
	if asked == "" || !n.all(func(p compat.Part) bool {
		return !slices.ContainsFunc(p.PTX, func(x compat.PTX) bool {
			return compat.Compare(compat.PTXRelease(x.ISA), compat.DriverCUDA(enough)) > 0
		})
	}) {
		return "", ""
	}
	return asked, enough
}

// asking says which requirements do not hold on a driver.
func (n *Demand) asking(driver string) string {
	var names []string
	for _, r := range n.Require {
		if !r.Check(compat.Host{Driver: driver}).Holds {
			names = append(names, r.Name)
		}
	}
	if len(names) == 1 {
		return names[0] + " asks"
	}
	return strings.Join(names, " and ") + " ask"
}

// withoutCode reports that no part has device code.
func withoutCode(parts []compat.Part) bool {
	return !slices.ContainsFunc(parts, func(p compat.Part) bool { return len(p.SASS)+len(p.PTX) > 0 })
}

// sameRelease compares as far as both are known: "12" is the same as "12.4".
func sameRelease(a, b string) bool {
	if !strings.Contains(a, ".") || !strings.Contains(b, ".") {
		return compat.Major(a) == compat.Major(b)
	}
	return compat.Compare(a, b) == 0
}

// admitted returns a host that the requirements admit and on which CUDA fails, with a GPU that the
// image runs on with newer drivers, and why it fails; "" if there is none.
func (n *Demand) admitted() (h compat.Host, why string) {
	if len(n.Require) == 0 || len(n.Parts) == 0 {
		return compat.Host{}, ""
	}
	silent := n.Needs
	silent.Require = nil
	for _, gpu := range compat.GPUs() {
		if driver, _ := compat.MinDriver(silent, gpu); driver == "" {
			continue
		}
		for _, driver := range compat.Drivers() {
			h := compat.Host{Driver: driver, GPU: gpu}
			if !n.Admits(h) || !compat.Predict(compat.Needs{}, h).Verdict.Runs() {
				continue
			}
			if p := compat.Predict(silent, h); p.Verdict == compat.No {
				return h, p.Why
			}
		}
	}
	return compat.Host{}, ""
}
