// SPDX-License-Identifier: Apache-2.0

package verify

import "github.com/cudabuild/cudabuild/verify/internal/rules"

// Verdict is the judgement on one image.
type Verdict string

// The verdicts. Fail beats Unknown, Unknown beats Warn, Warn beats Pass.
const (
	Pass    Verdict = "pass"
	Warn    Verdict = "warn"
	Fail    Verdict = "fail"
	Unknown Verdict = "unknown"
)

// judge reports the verdict that the findings add up to.
func judge(findings []Finding) Verdict {
	seen := map[Verdict]bool{}
	for _, f := range findings {
		switch {
		case f.Severity == SeverityFail:
			seen[Fail] = true
		case f.Rule == rules.Unreadable && f.Exception == nil:
			seen[Unknown] = true
		case f.Severity == SeverityWarn:
			seen[Warn] = true
		}
	}
	for _, v := range []Verdict{Fail, Unknown, Warn} {
		if seen[v] {
			return v
		}
	}
	return Pass
}
