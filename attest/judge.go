// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/verify"
)

// parse reads a document, and reports whether it is of a kind that we know.
func (a Attached) parse(artifactType string, data []byte) (Attached, bool) {
	var other *evidence.OtherError
	var err error
	a.document, err = evidence.Parse(artifactType, data)
	switch {
	case err == nil:
		a.Kind, a.Summary = a.document.Kind, append(a.Summary, a.document.Summary()...)
	case errors.As(err, &other) && other.PredicateType == signPredicate:
		a.Kind = Signature
		a.document.Subject.Digest = subjectOf(data)
	case errors.As(err, &other):
		return a, false
	default:
		a.State, a.Why = Damaged, err.Error()
	}
	return a, true
}

// subjectOf is the digest that a statement is about, "" if there is not exactly one.
func subjectOf(statement []byte) string {
	var s struct {
		Subject []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
	}
	if json.Unmarshal(statement, &s) != nil || len(s.Subject) != 1 {
		return ""
	}
	return "sha256:" + s.Subject[0].Digest["sha256"]
}

// judge says what the documents of an image are worth, and which are missing.
func (img *Image) judge(signed bool) {
	for i := range img.Documents {
		d := &img.Documents[i]
		switch of := d.document.Subject.Digest; {
		case d.State != Valid:
		case of != img.Digest:
			d.State, d.Why = Strange, "it is about "+of
		case signed && d.Signer == "":
			d.State, d.Why = Unsigned, "nobody has signed it"
		case signed && !d.Verified:
			d.State, d.Why = Unsigned, "signed by another key, or changed since"
		}
	}
	img.stale()
	img.State, img.Missing = Valid, []evidence.Kind{}
	wanted := []evidence.Kind{evidence.SBOM, evidence.Provenance, evidence.Report, evidence.VSA} // rows are where GPUs are asked for
	if signed {
		wanted = append(wanted, Signature)
	}
	for _, kind := range wanted {
		if !slices.ContainsFunc(img.Documents, func(d Attached) bool { return d.Kind == kind && d.State == Valid }) {
			img.Missing = append(img.Missing, kind)
		}
	}
	if len(img.Missing) > 0 || slices.ContainsFunc(img.Documents, Attached.bad) {
		img.State = Incomplete
	}
}

// bad reports a document that does not hold. One that others have signed does no harm: what
// is missing is in [Image.Missing].
func (a Attached) bad() bool { return a.State != Valid && a.State != Unsigned }

// stale marks documents that do not hold any more: they are by rules of another time, or speak of others that are
// not there, as a summary does whose report was taken away.
func (img *Image) stale() {
	now := evidence.Known{Rules: verify.RulesVersion(), Images: img.of, Attached: []string{}}
	for _, d := range img.Documents {
		if d.State == Valid && d.Kind != Signature {
			now.Attached = append(now.Attached, d.document.Digest())
		}
	}
	for i := range img.Documents {
		d := &img.Documents[i]
		if why := d.document.Stale(now); d.State == Valid && why != "" {
			d.State, d.Why = Stale, why
		}
	}
}
