// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
func (o *Outcome) add(state, image string, why error) {
	if o.Without = append(o.Without, image); len(o.Without) == 1 {
		o.State, o.Why = state, why.Error()
	}
	slices.Sort(o.Without)
}

// spoils is the state of evidence by an error with which a registry shows that it does not take an
// image's, "" if the error is another one. The image does without then.
func spoils(err error) string {
	switch {
	case errors.As(err, new(*referrer.NotListError)): // may be what it is refused for
		return NotListed
	case errors.As(err, new(*referrer.RefusedError)):
		return NotTaken
	}
	return ""
}

// unsigned is an error if images do without evidence that was to be signed, nil if none does:
// who gives a key wants nothing that is not signed.
func (plan *Plan) unsigned() error {
	if plan.Key == "" || len(plan.Evidence.Without) == 0 {
		return nil
	}
	return hint.New(fmt.Sprintf("%d images would be there without evidence that is to be signed: %s", len(plan.Evidence.Without), plan.Evidence.Why), withoutEvidence)
}

const withoutEvidence = "--evidence=false publishes without evidence"

// attach attaches what the plan found to be new: whoever sees a tag finds the evidence of its
// image. Documents of one image come one after the other, so that a run which goes on leaves
// what an undisturbed one does.
func (p *Publisher) attach(ctx context.Context, plan *Plan) (phase Phase, err error) {
	m := p.Show.Begin(Attach, plan.Totals.EvidenceNew+plan.Totals.EvidenceThere, 0)
	defer func() { phase = m.End(err) }()
	m.Add(plan.Totals.EvidenceThere, 0)
	works := worksOf(plan)
	err = registry.Each(ctx, len(works), func(ctx context.Context, i int) error {
		left, err := p.attachTo(ctx, works[i], m)
		if state := spoils(err); state != "" {
			p.without(plan, works[i].cell.Evidence, left, state, err)
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
	return phase, p.staged(plan)
}

// without notes that an image does without what is left of its evidence.
func (p *Publisher) without(plan *Plan, evidence []Evidence, left []int, state string, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range left {
		evidence[i].State = state
	}
	plan.Evidence.add(state, evidence[left[0]].Subject, why)
}

// staged is an error if what should have been staged with images is not there, where the registry takes it.
func (p *Publisher) staged(plan *Plan) error {
	var errs []error
	for _, c := range plan.Cells {
		for _, e := range c.Evidence {
			if e.State == Missing && !slices.Contains(plan.Evidence.Without, e.Subject) {
				errs = append(errs, fmt.Errorf("%s: %s was staged without its %s, or with one that this key has not signed", c.ID, e.Subject, e.Kind))
			}
		}
	}
	return failed(errors.Join(errs...), fmt.Sprintf("'cudabuild push --stage %s' attaches it, with the same --sign-key; %s", p.ID, withoutEvidence))
}

// work is what one image lacks: evidence of its cell, by its place there.
type work struct {
	cell   Cell
	pieces []int
}

// worksOf are the images that lack something.
func worksOf(plan *Plan) (works []work) {
	for _, c := range plan.Cells {
		of := ""
		for i, e := range c.Evidence {
			if e.State != Created {
				continue
			}
			if e.Subject != of {
				of, works = e.Subject, append(works, work{cell: c})
			}
			last := &works[len(works)-1]
			last.pieces = append(last.pieces, i)
		}
	}
	return works
}

// attachTo attaches documents to one image. The journal knows of each before it is there, so
// that undoing leaves none, and behind it whether it was us who brought it. What is left after an
// error is returned.
func (p *Publisher) attachTo(ctx context.Context, w work, m *record.Meter) (left []int, err error) {
	for n, i := range w.pieces {
		cell, e := w.cell, w.cell.Evidence[i]
		entry := Entry{What: attaching, Cell: cell.ID, Digest: e.Digest, Kind: e.Kind, Subject: e.Subject}
		if err := p.journal.write(entry); err != nil {
			return w.pieces[n:], err
		}
		_, added, err := p.attests.Attach(ctx, p.pieces[cell.ID][i])
		if err != nil {
			return w.pieces[n:], fmt.Errorf("%s: %s of %s: %w", cell.ID, e.Kind, e.Subject, err)
		}
		m.Add(1, 0)
		entry.What, entry.Added = attached, added
		if err := p.journal.write(entry); err != nil {
			return w.pieces[n:], err
		}
	}
	return nil, nil
}
