// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/verify"
)

// rulesDocument is what verify --rules --json prints.
type rulesDocument struct {
	Version      int       `json:"version"` // 1
	RulesVersion string    `json:"rules_version"`
	Rules        []ruleRow `json:"rules"`
}

// ruleRow is one rule.
type ruleRow struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"`
	Severity verify.Severity `json:"severity"`
	Reason   string          `json:"reason"`
	Fix      string          `json:"fix"`
	Since    string          `json:"since"`
	Matches  []ruleMatch     `json:"matches"` // sorted; empty for rules that are code
}

type ruleMatch struct {
	Match  string `json:"match"`
	Source string `json:"source"`
}

// printRules prints the rule set: what is looked for, why, and where that is known from.
func (f *verifyFlags) printRules(w io.Writer) error {
	var rows []ruleRow
	for _, r := range verify.Rules() {
		row := ruleRow{r.ID, r.Kind, r.Severity, r.Reason, r.Fix, r.Since, []ruleMatch{}}
		for _, p := range r.Match {
			row.Matches = append(row.Matches, ruleMatch{matched(p), p.Source})
		}
		slices.SortFunc(row.Matches, func(a, b ruleMatch) int {
			return cmp.Or(cmp.Compare(a.Match, b.Match), cmp.Compare(a.Source, b.Source))
		})
		rows = append(rows, row)
	}
	if f.format == "json" {
		return plain.JSON(w, rulesDocument{1, verify.RulesVersion(), rows})
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, "rule set %s\n", verify.RulesVersion())
	for _, r := range rows {
		fmt.Fprintf(&page, "\n%s  %s, since %s\n  why     %s\n  to fix  %s\n", r.ID, r.Severity, r.Since, r.Reason, r.Fix)
		for _, source := range bySource(r.Matches) {
			fmt.Fprintf(&page, "  %s\n", source)
		}
	}
	_, err := w.Write(page.Bytes())
	return err
}

// matched is what a pattern compares with, in short.
func matched(p verify.Pattern) string {
	return cmp.Or(p.Stem, p.Name, p.Pattern, p.Example)
}

// bySource lists what is matched, under where it is known from.
func bySource(matches []ruleMatch) []string {
	sources := map[string][]string{}
	for _, m := range matches {
		sources[m.Source] = append(sources[m.Source], m.Match)
	}
	var lines []string
	for source, names := range sources {
		lines = append(lines, fmt.Sprintf("from %s:\n    %s", source, strings.Join(names, "\n    ")))
	}
	slices.Sort(lines)
	return lines
}
