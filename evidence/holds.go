// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/verify"
)

// Known is what is known now, when documents are read. What is nil or "" is not known, and nothing
// is wrong by it.
type Known struct {
	Rules  string // version of the verifier's rules
	Policy string // digest of what is asked for, [Policy.Digest]
	Images []Image
}

// Image is the subject, or one of those of an index.
type Image struct {
	Digest, Config string // of its manifest and of its configuration
}

// Stale says why the document holds no longer, though it may have been right once; "" if it still
// does. Whether its [Document.Inputs] are there is for others to say.
func (d Document) Stale(now Known) string {
	switch d.Kind {
	case Report:
		return ask(d, now, report.stale)
	case VSA:
		return ask(d, now, vsa.stale)
	}
	return ""
}

// Fault says why the document does not speak for the image, whatever the time; "" if it does. One that
// says that the image did not pass does not, nor one that leaves out an image of an index or speaks of another.
func (d Document) Fault(now Known) string {
	switch d.Kind {
	case SBOM:
		return ask(d, now, func(s spdx, now Known) string { return s.fault(d.Subject, now) })
	case Provenance:
		return ask(d, now, func(p provenance, _ Known) string { return p.fault() })
	case Report:
		return ask(d, now, report.fault)
	case Rows:
		return ask(d, now, func(r rows, now Known) string { return r.fault(d.Subject, now) })
	case VSA:
		return ask(d, now, func(v vsa, _ Known) string { return v.fault(d.Subject) })
	}
	return ""
}

// Input is a document that another one goes by.
type Input struct {
	Kind   Kind
	Digest string // [Document.Digest]
}

// Inputs are the documents that this one goes by and that must be attached to the same image. One that is
// attached to another, such as rows of a sample that answer for an image beside it, is not among them.
func (d Document) Inputs() (all []Input) {
	var v vsa
	if d.Kind != VSA || json.Unmarshal(d.Predicate, &v) != nil {
		return nil
	}
	for _, in := range v.Inputs {
		if in.URI == v.Resource {
			all = append(all, Input{Kind(in.Name), "sha256:" + in.Digest["sha256"]})
		}
	}
	return all
}

// ask reads the predicate.
func ask[T any](d Document, now Known, why func(T, Known) string) string {
	var predicate T
	if err := json.Unmarshal(d.Predicate, &predicate); err != nil {
		return line("it is not as its type says: " + err.Error())
	}
	return line(why(predicate, now))
}

// knows reports whether the image of a manifest is one of those that are known.
func (now Known) knows(digest string) bool {
	return slices.ContainsFunc(now.Images, func(i Image) bool { return i.Digest == digest })
}

func (s spdx) fault(of Subject, now Known) string {
	if about, _ := s.subject(); about.Digest != of.Digest {
		return fmt.Sprintf("it describes another image, %.80s", about.Digest)
	}
	var digests []string
	for _, p := range s.Packages {
		if p.Purpose == imagePurpose {
			digests = append(digests, p.sha256())
		}
	}
	for _, i := range now.Images {
		if !slices.Contains(digests, i.Digest) {
			return "it leaves out " + i.Digest
		}
	}
	return ""
}

func (p provenance) fault() string {
	if e := p.Definition.External; e.Cell == "" || len(e.Platforms) == 0 {
		return "it names no cell, or no platform"
	}
	return ""
}

func (r report) stale(now Known) string {
	for _, i := range r.Images {
		if now.Rules != "" && i.Rules != now.Rules {
			return fmt.Sprintf("its rules are %.80s, those of now %s: 'cudabuild verify' judges the image by these", i.Rules, now.Rules)
		}
	}
	return ""
}

func (r report) fault(now Known) string {
	if len(r.Images) == 0 {
		return "it has a report on no image"
	}
	for _, i := range r.Images {
		switch {
		case now.Images != nil && !now.knows(i.Digest):
			return fmt.Sprintf("it has a report on another image, %.80s", i.Digest)
		case i.Verdict != verify.Pass && i.Verdict != verify.Warn:
			return fmt.Sprintf("its verdict on %.80s is %.20q", i.Digest, i.Verdict)
		}
	}
	for _, i := range now.Images {
		if !slices.ContainsFunc(r.Images, func(j judgment) bool { return j.Digest == i.Digest }) {
			return "it leaves out " + i.Digest
		}
	}
	return ""
}

func (r rows) fault(of Subject, now Known) string {
	if len(r.Rows) == 0 {
		return "it has no row"
	}
	for _, row := range r.Rows {
		if now.Images != nil && row.Digest != of.Digest && !slices.ContainsFunc(now.Images, func(i Image) bool {
			return i.Digest == row.Digest || row.Config != "" && i.Config == row.Config
		}) {
			return fmt.Sprintf("it has a row of another image, %.80s", row.Digest)
		}
	}
	return ""
}

func (v vsa) stale(now Known) string {
	if now.Policy != "" && v.Policy.sha256() != now.Policy {
		return fmt.Sprintf("it is by another policy than the one that is asked for, %s", now.Policy)
	}
	return ""
}

// mostInputs bounds how many documents a summary may go by.
const mostInputs = 100

func (v vsa) fault(of Subject) string {
	switch {
	case v.Result != passed || !slices.Contains(v.Levels, gatesPassed):
		return fmt.Sprintf("it says %.20q, and of levels %.100q; the gates let through what is %s and %s", v.Result, v.Levels, passed, gatesPassed)
	case v.Resource != of.uri():
		return fmt.Sprintf("it is about another resource, %.300q", v.Resource)
	case len(v.Inputs) > mostInputs:
		return fmt.Sprintf("it goes by %d documents, more than %d", len(v.Inputs), mostInputs)
	}
	reports := 0
	for _, in := range v.Inputs {
		if !digestForm.MatchString(in.sha256()) || Kind(in.Name).PredicateType() == "" {
			return fmt.Sprintf("it goes by something that is no document, %.80q", in.Name)
		}
		if Kind(in.Name) == Report {
			reports++
		}
	}
	if reports == 0 {
		return "it goes by no report"
	}
	return ""
}
