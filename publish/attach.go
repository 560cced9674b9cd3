// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
)

// Evidence is a document about an image of a cell.
type Evidence struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"` // digest of the image, or of the index
	Digest  string `json:"digest"`  // of the artifact that holds it, or will
	State   string `json:"state"`   // new or there
}

// What becomes of the evidence as a whole.
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
	Why   string `json:"why"` // the registry does not take it, "" if it does
}

// spoils is the outcome of an error by which a registry shows that it knows no evidence,
// nil if it is another one. The images do without then.
func spoils(err error) *Outcome {
	var refused *referrer.RefusedError
	var unlisted *referrer.NotListError
	switch {
	case errors.As(err, &unlisted): // may be what it is refused for
		return &Outcome{NotListed, unlisted.Error()}
	case errors.As(err, &refused):
		return &Outcome{NotTaken, refused.Error()}
	}
	return nil
}

// attach attaches what the plan found to be new: whoever sees a tag finds the evidence of its
// image. Documents of one image come one after the other, so that a run which goes on leaves
// what an undisturbed one does.
func (p *Publisher) attach(ctx context.Context, plan *Plan) (phase Phase, err error) {
	m := p.Show.Begin(Attach, plan.Totals.EvidenceNew+plan.Totals.EvidenceThere, 0)
	defer func() {
		phase = m.End(err)
		if outcome := spoils(err); outcome != nil {
			p.outcome, err = *outcome, nil
		}
	}()
	if p.outcome.State == NotListed {
		return phase, nil
	}
	m.Add(plan.Totals.EvidenceThere, 0)
	var works []work
	for _, c := range plan.Cells {
		for i, e := range c.Evidence {
			if i == 0 || e.Subject != c.Evidence[i-1].Subject {
				works = append(works, work{cell: c})
			}
			if e.State == Created {
				last := &works[len(works)-1]
				last.pieces = append(last.pieces, i)
			}
		}
	}
	err = registry.Each(ctx, len(works), func(ctx context.Context, i int) error { return p.attachTo(ctx, works[i], m) })
	if err == nil {
		p.outcome = Outcome{State: Attached}
	}
	return phase, err
}

// work is what one image lacks: evidence of its cell, by its place there.
type work struct {
	cell   Cell
	pieces []int
}

// attachTo attaches documents to one image. The journal knows of each before it is there, so
// that undoing leaves none.
func (p *Publisher) attachTo(ctx context.Context, w work, m *record.Meter) error {
	for _, i := range w.pieces {
		cell, e := w.cell, w.cell.Evidence[i]
		entry := Entry{What: attaching, Cell: cell.ID, Digest: e.Digest, Kind: e.Kind, Subject: e.Subject}
		if err := p.journal.write(entry); err != nil {
			return err
		}
		if _, _, err := p.attests.Attach(ctx, p.pieces[cell.ID][i]); err != nil {
			return fmt.Errorf("%s: %s of %s: %w", cell.ID, e.Kind, e.Subject, err)
		}
		m.Add(1, 0)
		entry.What = attached
		if err := p.journal.write(entry); err != nil {
			return err
		}
	}
	return nil
}
