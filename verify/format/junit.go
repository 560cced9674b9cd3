// SPDX-License-Identifier: Apache-2.0

package format

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/cudabuild/cudabuild/verify"
)

// JUnit XML in the dialect that Jenkins, GitLab and others read: a suite is an
// image, a case is a rule.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Time       string          `xml:"time,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

func writeJUnit(w io.Writer, _ string, images []verify.Report) error {
	all := junitSuites{Name: "cudabuild verify"}
	for _, r := range images {
		s := junitImage(r)
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
		all.Suites = append(all.Suites, s)
	}
	data, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, data)
	return err
}

func junitImage(r verify.Report) junitSuite {
	s := junitSuite{Name: r.Ref, Time: fmt.Sprintf("%.3f", r.Stats.Seconds), Properties: []junitProperty{
		{"digest", r.Digest}, {"platform", r.Platform}, {"verdict", string(r.Verdict)}, {"rules", r.Rules},
	}}
	var cases []junitCase
	if r.Error != "" {
		cases = append(cases, junitCase{Class: r.Ref, Name: "read the image", Error: &junitProblem{Message: r.Error, Type: "unread"}})
	}
	for _, rule := range verify.Rules() {
		if r.Error == "" { // else no rule was tried
			cases = append(cases, junitRule(r, rule))
		}
	}
	for _, c := range cases {
		s.Tests++
		if c.Failure != nil {
			s.Failures++
		}
		if c.Error != nil {
			s.Errors++
		}
		s.Cases = append(s.Cases, c)
	}
	return s
}

// junitRule is one case: an error if something could not be examined, a failure for
// findings that fail, passed with a note for others.
func junitRule(r verify.Report, rule verify.Rule) junitCase {
	c := junitCase{Class: r.Ref + " " + r.Platform, Name: rule.ID}
	var bad, notes []string
	for _, f := range byRule(r, rule.ID) {
		if f.Severity == verify.SeverityFail || rule.ID == unreadable {
			bad = append(bad, sentence(f))
		} else {
			notes = append(notes, string(f.Severity)+": "+sentence(f))
		}
	}
	c.Out = strings.Join(notes, "\n")
	if len(bad) == 0 {
		return c
	}
	problem := &junitProblem{
		Message: fmt.Sprintf("%d of %s", len(bad), rule.ID), Type: rule.ID,
		Text: strings.Join(bad, "\n") + "\n\n" + rule.Reason + "\nto fix: " + rule.Fix,
	}
	if rule.ID == unreadable {
		c.Error = problem
	} else {
		c.Failure = problem
	}
	return c
}
