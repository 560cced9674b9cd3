// SPDX-License-Identifier: Apache-2.0

package format

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify"
)

// An in-toto statement (v1) with the predicate test-result (v0.1), of which every
// policy engine knows the verdict. The image's report stands beside it, under a
// name that cannot collide, as the specification wants of extensions.
type (
	statement struct {
		Type          string     `json:"_type"`
		Subject       []subject  `json:"subject"`
		PredicateType string     `json:"predicateType"`
		Predicate     testResult `json:"predicate"`
	}
	subject struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	}
	testResult struct {
		Result        string          `json:"result"`
		Configuration []configuration `json:"configuration"`
		Passed        []string        `json:"passedTests"`
		Warned        []string        `json:"warnedTests"`
		Failed        []string        `json:"failedTests"`
		Report        verify.Report   `json:"cudabuild_report"`
	}
	configuration struct {
		Name        string            `json:"name"`
		Annotations map[string]string `json:"annotations"`
		URI         string            `json:"uri"`
	}
)

// writeInToto writes one statement a line. There is none for an image without a
// digest: nothing could be signed about it.
func writeInToto(w io.Writer, version string, images []verify.Report) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, r := range images {
		algorithm, hex, ok := strings.Cut(r.Digest, ":")
		if !ok {
			continue
		}
		s := statement{
			Type:          "https://in-toto.io/Statement/v1",
			Subject:       []subject{{Name: r.Ref, Digest: map[string]string{algorithm: hex}}},
			PredicateType: "https://in-toto.io/attestation/test-result/v0.1",
			Predicate:     resultOf(r),
		}
		s.Predicate.Configuration = []configuration{{
			Name: "cudabuild rules", URI: "https://github.com/cudabuild/cudabuild",
			Annotations: map[string]string{"rules": r.Rules, "cudabuild": version},
		}}
		if err := enc.Encode(s); err != nil {
			return err
		}
	}
	return nil
}

// resultOf maps a verdict: what is unknown has not passed.
func resultOf(r verify.Report) testResult {
	t := testResult{Result: "FAILED", Passed: []string{}, Warned: []string{}, Failed: []string{}, Report: r}
	switch r.Verdict {
	case verify.Pass:
		t.Result = "PASSED"
	case verify.Warn:
		t.Result = "WARNED"
	}
	for _, rule := range verify.Rules() {
		findings := byRule(r, rule.ID)
		has := func(s verify.Severity) bool {
			return slices.ContainsFunc(findings, func(f verify.Finding) bool { return f.Severity == s })
		}
		switch {
		case has(verify.SeverityFail), rule.ID == unreadable && len(findings) > 0:
			t.Failed = append(t.Failed, rule.ID)
		case has(verify.SeverityWarn):
			t.Warned = append(t.Warned, rule.ID)
		default:
			t.Passed = append(t.Passed, rule.ID)
		}
	}
	return t
}
