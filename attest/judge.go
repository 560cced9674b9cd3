// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/evidence"
)

// said is what is kept of a document once it was read, beside at most 10 KiB that are said of it: what is known of an
// image, of which no more than 5000 artifacts are listed, fits in memory; the documents, of up to 16 MiB each, may not.
type said struct {
	subject      string // digest
	digest       string // of the statement
	inputs       []evidence.Input
	fault, stale string
}

// parse reads a document, and reports whether it is one of ours.
func (a Attached) parse(artifactType string, data []byte, now evidence.Known) (Attached, bool) {
	d, says, err := evidence.Read(artifactType, data, now)
	switch {
	case errors.Is(err, evidence.ErrOther):
		return a, false
	case err != nil:
		return a.damaged(err), true
	}
	a.Kind, a.Repository, a.Summary = d.Kind, d.Subject.Name, append(a.Summary, says.Summary...)
	a.said = said{subject: d.Subject.Digest, digest: d.Digest(), inputs: says.Inputs, fault: says.Fault, stale: says.Stale}
	return a, true
}

func (a Attached) unsigned(why string) Attached {
	a.State, a.Why = Unsigned, why
	return a
}

func (a Attached) damaged(err error) Attached {
	a.State, a.Why = Damaged, cut(err.Error())
	return a
}

// cut bounds what others wrote.
func cut(text string) string { return fmt.Sprintf("%.400s", text) }

// judge says what the documents of an image are worth, and which are missing.
func (img *Image) judge(signed bool) {
	for i := range img.Documents {
		d := &img.Documents[i]
		switch {
		case d.State != Valid:
		case d.said.subject != img.Digest:
			d.State, d.Why = Strange, "it is about "+d.said.subject
		case d.said.fault != "": // also by rules of another time: it spoke against the image, and nothing has taken that back
			d.State, d.Why = Failed, d.said.fault
		case d.said.stale != "":
			d.State, d.Why = Stale, d.said.stale
		}
	}
	img.baseless()
	img.State, img.Missing = Valid, []evidence.Kind{}
	wanted := []evidence.Kind{evidence.SBOM, evidence.Provenance, evidence.Report, evidence.VSA} // rows are where GPUs are asked for
	if signed {
		wanted = append(wanted, evidence.Signature)
	}
	for _, kind := range wanted {
		if !slices.ContainsFunc(img.Documents, func(d Attached) bool { return d.Kind == kind && d.State == Valid }) {
			img.Missing = append(img.Missing, kind)
		}
	}
	if len(img.Missing) > 0 || slices.ContainsFunc(img.Documents, func(d Attached) bool { return d.spoils(signed) }) {
		img.State = Incomplete
	}
}

// baseless marks summaries that go by documents that are not there, or do not hold.
func (img *Image) baseless() {
	there := map[string]bool{}
	for _, d := range img.Documents {
		there[d.said.digest] = d.State == Valid || there[d.said.digest]
	}
	for i := range img.Documents {
		d := &img.Documents[i]
		for _, in := range d.said.inputs {
			if d.State == Valid && !there[in.Digest] {
				d.State, d.Why = Stale, fmt.Sprintf("it goes by a %s that is not there or does not hold, %s", in.Kind, in.Digest)
			}
		}
	}
}

// spoils reports a document with which an image is incomplete, whatever else there is. One that does not hold any
// longer is none: newer ones are attached beside it. Where a key is asked for, none is that its owner has not
// signed about this image: who may push can attach what they like, and what is signed about another image.
func (a Attached) spoils(signed bool) bool {
	switch a.State {
	case Failed:
		return true
	case Damaged:
		return !signed || a.Verified
	case Strange:
		return !signed
	}
	return false
}
