// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify"
)

// looser are the requirements of an image that refuse drivers on which it is predicted to run without them.
func (m *maker) looser(at int, r verify.Report) (all []Looser) {
	report := m.report(r)
	if !m.hasNeeds(r) || len(report.Portability.Needs.Require) == 0 || report.Verdict == verify.Fail || report.Verdict == verify.Unknown {
		return nil
	}
	silent, least := report, ""
	silent.Portability.Needs.Require = nil
	one := Looser{Image: m.in.Run.Cells[at].ID, Drivers: []string{}, Seen: []string{}}
	for _, d := range slices.Backward(m.doc.Drivers) { // newest first: below a driver on which nothing runs none is admitted
		if d.Version == "" {
			continue
		}
		admitted, runs := m.on(d.Version, report), m.on(d.Version, silent)
		if !runs {
			break
		}
		if !admitted {
			one.Drivers, least = append(one.Drivers, d.Branch), d.Version
			if slices.Contains(m.seenToRun(at), d.Branch) {
				one.Seen = append(one.Seen, d.Branch)
			}
		}
	}
	if least == "" {
		return nil
	}
	slices.Reverse(one.Drivers)
	slices.Reverse(one.Seen)
	one.Could = "driver>=" + least
	for i, q := range report.Portability.Needs.Require {
		if i > 0 {
			one.Requires += ", "
		}
		one.Requires += q.Name + "=" + q.Value
	}
	if value := strings.ToLower(one.Requires); strings.Contains(value, "arch") || strings.Contains(value, "brand") {
		return nil // it is about more than drivers, and the value that could stand there is not
	}
	return []Looser{one}
}

// on reports whether an image is predicted to run on a driver with some GPU.
func (m *maker) on(driver string, r verify.Report) bool {
	return slices.ContainsFunc(m.doc.GPUs, func(g GPU) bool {
		target, err := compat.ParseTarget(g.Arch)
		return err == nil && r.Predict(compat.Host{Driver: driver, GPU: target}).Verdict.Runs()
	})
}

func (m *maker) seenToRun(at int) (branches []string) {
	for _, s := range m.rows[at] {
		if s.counts() && !s.fails {
			branches = append(branches, branchOf(s.row.Driver))
		}
	}
	return branches
}
