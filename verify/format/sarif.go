// SPDX-License-Identifier: Apache-2.0

package format

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"strings"

	"github.com/cudabuild/cudabuild/verify"
)

// The parts of SARIF 2.1.0 (OASIS) that code scanning reads. Each image is a run of
// its own with an id of its own, so that an upload of one image does not close the
// alerts of another.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Automation  sarifID           `json:"automationDetails"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
		Properties  map[string]any    `json:"properties"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		URI     string      `json:"informationUri"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string       `json:"id"`
		Short   sarifText    `json:"shortDescription"`
		Help    sarifText    `json:"help"`
		Default sarifDefault `json:"defaultConfiguration"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifID struct {
		ID string `json:"id"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   map[string]any    `json:"properties"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine int `json:"startLine"`
		} `json:"region"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
)

func writeSARIF(w io.Writer, version string, images []verify.Report) error {
	document := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{}}
	rules, index := sarifRules()
	for _, r := range images {
		run := sarifRun{
			Tool:        sarifTool{sarifDriver{"cudabuild", version, "https://github.com/cudabuild/cudabuild", rules}},
			Automation:  sarifID{"cudabuild-verify/" + r.Ref + "/" + r.Platform + "/"},
			Invocations: []sarifInvocation{{Successful: r.Verdict != verify.Unknown, Notifications: sarifTrouble(r)}},
			Results:     []sarifResult{},
			Properties:  map[string]any{"ref": r.Ref, "digest": r.Digest, "platform": r.Platform, "verdict": r.Verdict, "rules": r.Rules},
		}
		for _, f := range r.Findings {
			run.Results = append(run.Results, sarifFinding(r, f, index[f.Rule]))
		}
		document.Runs = append(document.Runs, run)
	}
	return indented(w, document)
}

// sarifTrouble says why an image could not be read.
func sarifTrouble(r verify.Report) []sarifNotification {
	if r.Error == "" {
		return []sarifNotification{}
	}
	return []sarifNotification{{Level: "error", Message: sarifText{r.Error}}}
}

func sarifRules() (rules []sarifRule, index map[string]int) {
	index = map[string]int{}
	for i, r := range verify.Rules() {
		index[r.ID] = i
		rules = append(rules, sarifRule{r.ID, sarifText{r.Reason}, sarifText{"To fix: " + r.Fix + "."}, sarifDefault{sarifLevel(r.ID, r.Severity)}})
	}
	return rules, index
}

func sarifFinding(r verify.Report, f verify.Finding, index int) sarifResult {
	result := sarifResult{
		RuleID: f.Rule, RuleIndex: index, Level: sarifLevel(f.Rule, f.Severity),
		Message:    sarifText{sentence(f) + " (" + r.Ref + ")"},
		Properties: map[string]any{"layer": f.Layer, "deleted_in": f.DeletedIn},
	}
	var at sarifLocation
	at.Physical.Artifact.URI = sarifURI(f)
	at.Physical.Region.StartLine = 1 // of a binary file; code scanning asks for a line
	at.Logical = []sarifLogical{{Name: r.Ref + ": " + where(f), Kind: "member"}}
	result.Locations = []sarifLocation{at}
	sum := sha256.Sum256([]byte(strings.Join([]string{f.Rule, f.Path, r.Ref, r.Platform}, "\x00"))) // not the layer: a rebuild is not a new alert
	result.Fingerprints = map[string]string{"cudabuildFinding/v1": hex.EncodeToString(sum[:16])}
	return result
}

// sarifURI is the path as a relative reference (RFC 3986). A finding about a whole
// layer stands at the blob's place in an OCI layout.
func sarifURI(f verify.Finding) string {
	path := f.Path
	if path == "" && f.Layer != nil {
		path = "blobs/" + strings.Replace(f.Layer.Digest, ":", "/", 1)
	}
	if path == "" {
		path = "image"
	}
	return (&url.URL{Path: path}).String()
}

func sarifLevel(rule string, severity verify.Severity) string {
	if rule == unreadable {
		return "error"
	}
	return map[verify.Severity]string{verify.SeverityFail: "error", verify.SeverityWarn: "warning", verify.SeverityInfo: "note"}[severity]
}
