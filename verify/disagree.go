// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

const ruleRequirement = "requirement-mismatch"

// disagreements are findings about the image's own words against its content.
func (n *demand) disagreements() []Finding {
	var findings []Finding
	add := func(format string, args ...any) {
		findings = append(findings, Finding{Rule: ruleRequirement, Severity: loadRules().severity(ruleRequirement), Detail: fmt.Sprintf(format, args...)})
	}
	if n.badEnv != nil {
		add("%s: some runtime hooks refuse the container, others skip the term", strings.ReplaceAll(n.badEnv.Error(), "\n", "; "))
	}
	if n.runtime != "" && n.Runtime != "" && !sameRelease(n.runtime, n.Runtime) {
		add("CUDA_VERSION says %s, the newest CUDA runtime in the image is %s", n.Runtime, n.runtime)
	}
	if p, ok := n.admitted(); ok {
		add("%s admits driver %s with %s, where %s", n.Require[0].Name, p.Driver, p.GPU, p.Why)
	}
	return findings
}

// sameRelease compares as far as both are known: "12" is the same as "12.4".
func sameRelease(a, b string) bool {
	if !strings.Contains(a, ".") || !strings.Contains(b, ".") {
		return compat.Major(a) == compat.Major(b)
	}
	return compat.Compare(a, b) == 0
}

// admitted returns a driver that the requirements admit and on which CUDA fails,
// with a GPU that the image runs on with newer drivers; ok is false if there is none.
func (n *demand) admitted() (p DriverGPU, ok bool) {
	if len(n.Require) == 0 || len(n.Parts) == 0 {
		return DriverGPU{}, false
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
				return DriverGPU{driver, gpu.String(), p}, true
			}
		}
	}
	return DriverGPU{}, false
}
