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

// Says is what a document says, and what that is worth.
type Says struct {
	// Fault is why the document does not speak for the image, whatever the time; "" if it does. One that says that
	// the image did not pass does not, nor one that leaves out an image of an index or speaks of another.
	Fault string
	// Stale is why it holds no longer, though it may have been right once; "" if it still does. Whether its
	// inputs are there is for others to say.
	Stale string
	// Inputs are the documents that it goes by and that must be attached to the same image; none of a document that has
	// a fault. One that is attached to another image, such as rows of a sample that answer for an image beside it, is not among them.
	Inputs []Input
	// Summary is that in a few lines for a terminal; never more than 20 of 400 bytes, and none is empty.
	Summary []string
}

// Input is a document that another one goes by.
type Input struct {
	Kind   Kind
	Digest string // [Document.Digest]
}

// Says says what the document says.
func (d Document) Says(now Known) Says {
	p := d.Kind.predicate()
	if err := json.Unmarshal(d.Predicate, p); err != nil {
		why := line("it is not as its type says: " + err.Error())
		return Says{Fault: why, Summary: []string{why}}
	}
	return says(p, d.Subject, now)
}

func says(p predicate, of Subject, now Known) Says {
	s := Says{Fault: line(p.fault(of, now)), Stale: line(p.stale(now)), Summary: lines(p.summary())}
	if s.Fault == "" { // which bounds them
		s.Inputs = p.inputs()
	}
	return s
}

// predicate is as much of a document of one kind as is read.
type predicate interface {
	// ours is the error of one that says that another tool has made it, or does not say that this one has: of some
	// types there are many makers. A later version of ours is another tool's.
	ours() error
	fault(of Subject, now Known) string
	stale(now Known) string
	inputs() []Input
	summary() []string
}

// predicate is one of a kind, to be filled.
func (k Kind) predicate() predicate {
	switch k {
	case SBOM:
		return &spdx{}
	case Provenance:
		return &provenance{}
	case Report:
		return &verdicts{}
	case Rows:
		return &runs{}
	case VSA:
		return &vsa{}
	}
	return &silent{}
}

// silent says nothing, as a signature does; it is what there is no more to say of others, too.
type silent struct{}

func (silent) ours() error                 { return nil }
func (silent) fault(Subject, Known) string { return "" }
func (silent) stale(Known) string          { return "" }
func (silent) inputs() []Input             { return nil }
func (silent) summary() []string           { return nil }

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

func (p provenance) fault(Subject, Known) string {
	if e := p.Definition.External; e.Cell == "" || len(e.Platforms) == 0 {
		return "it names no cell, or no platform"
	}
	return ""
}

func (r verdicts) stale(now Known) string {
	for _, i := range r.Images {
		if now.Rules != "" && i.Rules != now.Rules {
			return fmt.Sprintf("its rules are %.80s, those of now %s: 'cudabuild verify' judges the image by these", i.Rules, now.Rules)
		}
	}
	return ""
}

func (r verdicts) fault(_ Subject, now Known) string {
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
		if !slices.ContainsFunc(r.Images, func(j verdict) bool { return j.Digest == i.Digest }) {
			return "it leaves out " + i.Digest
		}
	}
	return ""
}

func (r runs) fault(of Subject, now Known) string {
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

func (v vsa) inputs() (all []Input) {
	for _, in := range v.Inputs {
		if in.URI == v.Resource {
			all = append(all, Input{Kind(in.Name), in.sha256()})
		}
	}
	return all
}

// mostInputs bounds how many documents a summary may go by.
const mostInputs = 100

func (v vsa) fault(of Subject, _ Known) string {
	switch {
	case v.Result != passed || !slices.Contains(v.Levels, gatesPassed):
		return fmt.Sprintf("it says %.20q, and of levels %.100q; the gates let through what is %s and %s", v.Result, v.Levels, passed, gatesPassed)
	case v.Resource != of.uri():
		return fmt.Sprintf("it is about another resource, %.300q", v.Resource)
	case digestOf(v.Extension.Policy) != v.Policy.sha256():
		return fmt.Sprintf("its policy has digest %s, and not %.80s as it says", digestOf(v.Extension.Policy), v.Policy.sha256())
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
