// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
)

// Evidence is a document about an image of a cell.
type Evidence struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"` // digest of the image, or of the index
	// Digest is that of the artifact that holds it, or will; "" if it is missing.
	Digest string `json:"digest"`
	// State is new, there, missing of what should have been staged, or refused or unlisted where the
	// registry does not take it.
	State string `json:"state"`
}

// What becomes of the evidence as a whole, and of an image's.
const (
	Off      = "off"      // it is left out
	Wanted   = "wanted"   // it was planned and not attached yet
	Attached = "attached" // all of it is there
	// NotTaken is that of a registry that takes no such manifests, NotListed of one that gives
	// no list of them.
	NotTaken  = "refused"
	NotListed = "unlisted"
)

// Outcome is what becomes, or became, of the evidence.
type Outcome struct {
	State string `json:"state"`
	Why   string `json:"why"` // the registry does not take that of an image, "" if it does
	// Without are the digests of the images that do without therefore, the first of which has that state; sorted, never null.
	Without []string `json:"without"`
}

// add notes an image that does without evidence.
func (o *Outcome) add(state, image, why string) {
	if o.Without = append(o.Without, image); len(o.Without) == 1 {
		o.State, o.Why = state, why
	}
	slices.Sort(o.Without)
}

// spoils is the state of evidence by an error with which a registry shows that it does not take an
// image's, and what it says in short; "" if the error is another one. The image does without then.
func spoils(err error) (state, why string) {
	var noList *referrer.NotListError // may be what it is refused for
	var refused *referrer.RefusedError
	switch {
	case errors.As(err, &noList):
		return NotListed, noList.Error()
	case errors.As(err, &refused):
		return NotTaken, refused.Error()
	}
	return "", ""
}

// unsigned is an error if images do without evidence that was to be signed, nil if none does:
// who gives a key wants nothing that is not signed.
func (plan *Plan) unsigned() error {
	if plan.Key == "" || len(plan.Evidence.Without) == 0 {
		return nil
	}
	return hint.New(fmt.Sprintf("there would be images without the evidence that is to be signed, %d in all: %s", len(plan.Evidence.Without), plan.Evidence.Why), withoutEvidence)
}

const withoutEvidence = "--evidence=false publishes without evidence"

// attach attaches what the plan found to be new, and what has gone since: whoever sees a tag finds the evidence of
// its image, as the registry gives it right before the first tag moves. Documents of one image come one after the other,
// so that a run which goes on leaves what an undisturbed one does.
func (p *Publisher) attach(ctx context.Context, plan *Plan) (phase Phase, err error) {
	m := p.Show.Begin(Attach, plan.Totals.EvidenceNew+plan.Totals.EvidenceThere, 0)
	defer func() { phase = m.End(err) }()
	m.Add(plan.Totals.EvidenceThere, 0)
	works := p.worksOf(plan)
	err = registry.Each(ctx, len(works), func(ctx context.Context, i int) error {
		left, err := p.attachAll(ctx, works[i], m)
		if state, why := spoils(err); state != "" {
			p.without(plan, works[i].evidence, left, state, why)
			err = nil
		}
		return err
	})
	if err != nil {
		return phase, err
	}
	plan.sum()
	if err := failed(plan.unsigned(), ""); err != nil {
		return phase, err
	}
	if len(plan.Evidence.Without) == 0 {
		plan.Evidence.State = Attached
	}
	return phase, p.staged(ctx, plan)
}

// without notes that an image does without what is left of its evidence.
func (p *Publisher) without(plan *Plan, evidence []Evidence, left []int, state, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range left {
		evidence[i].State = state
	}
	plan.Evidence.add(state, evidence[left[0]].Subject, why)
}

// staged is an error if what should have been staged with images is not there, where the registry takes it.
func (p *Publisher) staged(ctx context.Context, plan *Plan) error {
	var errs []error
	for _, c := range plan.Cells {
		for i, e := range c.Evidence {
			if e.State != Missing || slices.Contains(plan.Evidence.Without, e.Subject) {
				continue
			}
			signed, err := p.attests.Signed(ctx, p.pieces[c.ID][i])
			if err != nil {
				return err
			}
			text := "was staged without its %s"
			switch {
			case signed && p.Key == nil:
				text = "was staged with a signed %s alone: give --sign-key the key that signed it"
			case p.Key != nil:
				text += ", or with one that this key has not signed"
			}
			errs = append(errs, fmt.Errorf("%s: %s "+text, c.ID, e.Subject, e.Kind))
		}
	}
	return failed(errors.Join(errs...), fmt.Sprintf("'%s' attaches it, where the images are; %s", p.CommandTo("--stage"), withoutEvidence))
}

// work is the evidence of one image, which is part of that of its cell, with the pieces that hold it.
type work struct {
	cell     string
	subject  v1.Hash
	evidence []Evidence
	pieces   []attest.Piece
}

// worksOf are the images with evidence that the registry takes.
func (p *Publisher) worksOf(plan *Plan) (works []work) {
	for _, c := range plan.Cells {
		all := p.pieces[c.ID]
		for i := 0; i < len(c.Evidence); {
			end := i
			for end < len(c.Evidence) && c.Evidence[end].Subject == c.Evidence[i].Subject {
				end++
			}
			if !slices.Contains(plan.Evidence.Without, c.Evidence[i].Subject) {
				works = append(works, work{c.ID, all[i].Subject.Digest, c.Evidence[i:end], all[i:end]})
			}
			i = end
		}
	}
	return works
}

// attachAll attaches what is new, and looks what is there then: who publishes or gives up the same image meanwhile may
// have taken away what was there when it was planned, and registries lose things. That is attached once. What is left
// after an error is returned.
func (p *Publisher) attachAll(ctx context.Context, w work, m *record.Meter) (left []int, err error) {
	var missing []int
	for i, e := range w.evidence {
		if e.State == Created {
			missing = append(missing, i)
		}
	}
	if left, err := p.attachTo(ctx, w, missing, func() { m.Add(1, 0) }); err != nil {
		return left, err
	}
	for _, again := range []bool{true, false} {
		if missing, err = p.gone(ctx, w); len(missing) == 0 || err != nil {
			return missing, err
		}
		if again {
			if left, err := p.attachTo(ctx, w, missing, func() {}); err != nil {
				return left, err
			}
		}
	}
	e := w.evidence[missing[0]]
	return missing, failed(fmt.Errorf("%s: %s of %s was attached, and the registry does not give it", w.cell, e.Kind, e.Subject),
		"its list of what is attached, or what it stores, is damaged; "+withoutEvidence)
}

// gone finds the evidence of an image that is not there and can be attached, and notes of all what is there.
func (p *Publisher) gone(ctx context.Context, w work) (missing []int, err error) {
	there, err := p.attests.Find(ctx, w.subject, w.pieces)
	if err != nil {
		for i := range w.evidence {
			missing = append(missing, i)
		}
		return missing, fmt.Errorf("%s: %w", w.cell, err)
	}
	for i, digest := range there {
		switch e := &w.evidence[i]; {
		case digest != (v1.Hash{}) && e.State != Created:
			e.Digest, e.State = digest.String(), There
		case digest != (v1.Hash{}):
		case w.pieces[i].Elsewhere():
			e.Digest, e.State = "", Missing
		default:
			missing = append(missing, i)
		}
	}
	return missing, nil
}

// attachTo attaches documents to one image. The journal knows of each before it is there, so
// that undoing leaves none, and behind it whether it was us who brought it. What is left after an
// error is returned.
func (p *Publisher) attachTo(ctx context.Context, w work, missing []int, did func()) (left []int, err error) {
	for n, i := range missing {
		e := &w.evidence[i]
		would, err := p.attests.Digest(w.pieces[i])
		if err != nil {
			return missing[n:], err
		}
		e.Digest, e.State = would.String(), Created
		entry := Entry{What: attaching, Cell: w.cell, Digest: e.Digest, Kind: e.Kind, Subject: e.Subject}
		if err := p.journal.write(entry); err != nil {
			return missing[n:], err
		}
		_, added, err := p.attests.Attach(ctx, w.pieces[i])
		if err != nil {
			return missing[n:], fmt.Errorf("%s: %s of %s: %w", w.cell, e.Kind, e.Subject, err)
		}
		did()
		entry.What, entry.Added = attached, added
		if err := p.journal.write(entry); err != nil {
			return missing[n:], err
		}
	}
	return nil, nil
}
