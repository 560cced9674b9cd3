// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/record"
)

// States of evidence beside attest's.
const (
	unchecked = "unchecked" // for want of a key nobody has checked the signature
	missing   = "missing"   // there is no valid document of the kind
)

// evidence is what is attached to one platform's image, or why that is not known.
func (m *maker) evidence(c record.Cell, digest string) (all []Evidence, unread string) {
	all = []Evidence{}
	e, known := m.in.Evidence[c.Digest]
	switch {
	case c.Digest == "":
		return all, "the record has no digest of the image"
	case !known && c.Status != record.Passed:
		return all, "it has not passed, and nobody has looked"
	case !known:
		return all, cmp.Or(m.in.NoEvidence, "nobody has looked")
	case e.Error != "":
		return all, e.Error
	case e.Digest != c.Digest:
		return all, "what was read is about another image"
	}
	i := slices.IndexFunc(e.Images, func(img attest.Image) bool { return img.Digest == digest })
	if i < 0 {
		return all, "the repository has nothing of this platform"
	}
	for _, d := range e.Images[i].Documents {
		one := Evidence{Kind: string(d.Kind), State: string(d.State), Why: d.Why}
		switch {
		case d.Verified:
			one.Signer = d.Signer
		case d.State != attest.Valid:
		case d.Signer == "":
			one.State, one.Why = string(attest.Unsigned), "nobody has signed it"
		default:
			one.State, one.Why = unchecked, fmt.Sprintf("it says that %s has signed it, and no key was given to check that with", d.Signer)
		}
		all = append(all, one)
	}
	for _, kind := range e.Images[i].Missing {
		all = append(all, Evidence{Kind: string(kind), State: missing, Why: "no valid document of this kind is there"})
	}
	for _, why := range e.Images[i].Bad {
		all = append(all, Evidence{State: string(attest.Damaged), Why: why})
	}
	return all, ""
}

// attached is what speaks against it in a registry, if that was read: what its tags name, and its evidence. That nobody has
// checked its signatures is not among it: [maker.uncheckedItems].
func (m *maker) attached(c record.Cell) (all []fault) {
	push := strings.TrimSpace("cudabuild push " + m.repository())
	if tags := m.in.Elsewhere[c.ID]; len(tags) > 0 {
		all = append(all, fault{Warned, "has a tag that names another image in the registry", fmt.Sprintf("Run '%s' if it is to name this one.", push), list(tags)})
	}
	if tags := m.in.Absent[c.ID]; len(tags) > 0 {
		all = append(all, fault{Warned, "has a tag that is not in the registry", fmt.Sprintf("Run '%s'.", push), list(tags)})
	}
	e, known := m.in.Evidence[c.Digest]
	if !known || c.Digest == "" {
		return all
	}
	key := ""
	if e.Key != "" {
		key = "--key FILE "
	}
	not := func(state State, why string) {
		all = append(all, fault{state: state, why: why, hint: fmt.Sprintf("'cudabuild verify --attestations %s%s' says more.", key, e.Ref)})
	}
	switch {
	case e.Error != "":
		not(Warned, "has evidence that could not be read: "+strings.ReplaceAll(strings.TrimPrefix(e.Error, e.Ref+": "), e.Ref, "it"))
	case e.Digest != c.Digest:
		not(Warned, "has evidence of another image alone")
	case e.State != attest.Valid && !slices.ContainsFunc(e.Images, incomplete):
		not(Warned, "has evidence that is "+cmp.Or(string(e.State), "not known")+" as a whole")
	}
	for _, img := range e.Images {
		for _, d := range img.Documents {
			if d.State == attest.Failed {
				not(Bad, fmt.Sprintf("has evidence that speaks against it: %s: %s", d.Kind, d.Why))
			}
		}
		if incomplete(img) {
			not(Warned, strings.TrimSuffix(fmt.Sprintf("has evidence that is %s: %s", cmp.Or(string(img.State), "not known"), evidenceWhy(img)), ": "))
		}
	}
	return all
}

func incomplete(img attest.Image) bool { return img.State != attest.Valid || len(img.Missing) > 0 }

// evidenceWhy says what does not hold, and of which kinds nothing is there.
func evidenceWhy(img attest.Image) string {
	var words, none, reasons []string
	told, of := map[string]bool{}, map[string][]string{} // of: kinds by what they are
	for _, d := range img.Documents {
		if d.State == attest.Valid {
			continue
		}
		kind, reason := string(d.Kind), strings.TrimSuffix(string(d.State)+": "+d.Why, ": ")
		if told[kind] = true; of[reason] == nil {
			reasons = append(reasons, reason)
		}
		of[reason] = append(of[reason], documentName(kind))
	}
	for _, reason := range reasons {
		words = append(words, fmt.Sprintf("its %s %s %s", list(of[reason]), verb("is", len(of[reason])), reason))
	}
	for _, kind := range img.Missing {
		if !told[string(kind)] {
			none = append(none, documentName(string(kind)))
		}
	}
	if len(none) > 0 {
		words = append(words, "it has no valid "+list(none))
	}
	return strings.Join(append(words, img.Bad...), "; ")
}

// documentName is what a kind of evidence is called.
func documentName(kind string) string {
	names := map[string]string{"sbom": "SBOM", "report": "report of the verifier", "vsa": "verification summary (VSA)", "rows": "rows of GPUs", "": "document"}
	return cmp.Or(names[kind], kind)
}

// evidenceItems are what is wrong in a registry.
func (m *maker) evidenceItems() []Item {
	var g group
	for _, c := range m.in.Run.Cells {
		for _, f := range m.attached(c) {
			g.fault(f, c.ID)
		}
	}
	return append(g.told(), m.uncheckedItems()...)
}

// uncheckedItems say, in one item for all images, that no key was given to check signatures of evidence with. That makes no
// image worse: who pushes without a key would have all of them warned for ever. Nothing else claims that evidence is signed.
func (m *maker) uncheckedItems() []Item {
	ids, unsigned, signed := []string{}, 0, false
	for _, img := range m.doc.Images {
		var none, some bool // are signed, of those that hold
		for _, p := range img.Platforms {
			for _, e := range p.Evidence {
				none, some = none || e.State == string(attest.Unsigned), some || e.State == unchecked
			}
		}
		if m.in.Evidence[img.Digest].Key != "" || !none && !some {
			continue
		}
		signed = signed || some
		unsigned += b2i(none)
		ids = append(ids, img.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	text, do := fmt.Sprintf("Nobody has checked who signed the evidence of %s", who(ids)), "Give --key and the public key that must have signed it."
	switch {
	case !signed:
		text, do = fmt.Sprintf("The evidence of %s is not signed", who(ids)), "Push with --sign-key if somebody is to check it."
	case unsigned > 0:
		text += fmt.Sprintf("; of that of %d not all is signed", unsigned)
	}
	return []Item{{State: Noted, Text: text + ".", Do: do, Images: ids}}
}
