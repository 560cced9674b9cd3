// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Result is what a run did.
type Result struct {
	Plan   *Plan   `json:"plan"`
	Phases []Phase `json:"phases"` // those that began, in their order; never null
	// Evidence is what became of the evidence.
	Evidence Outcome `json:"evidence"`
	// Left are staging tags that the registry did not remove; never null.
	Left []string `json:"left"`
}

// Run publishes: it plans, and does what the plan says. With want, it does so only if that is
// what it would plan now. After an error the result says how far it came; what began with a
// journal can go on with the same Run.
//
// The error is a [FailedError] or [NotReadyError] for what was looked at and does not hold, a
// [MissingError] for a gate that could not be checked, or that of the registry.
func (p *Publisher) Run(ctx context.Context, want *Plan) (*Result, error) {
	result := &Result{Phases: []Phase{}, Left: []string{}, Evidence: Outcome{Without: []string{}}}
	m := p.Show.Begin(Preflight, len(p.Cells), 0)
	err := p.Ready(ctx)
	if err == nil {
		result.Plan, err = p.Plan(ctx)
	}
	if err == nil {
		err = p.acceptable(result.Plan, want)
	}
	if err == nil {
		m.Add(len(p.Cells), 0)
	}
	result.Phases = append(result.Phases, m.End(err))
	if err != nil {
		return result, err
	}
	result.Evidence = result.Plan.Evidence
	if err := p.open(result.Plan); err != nil {
		return result, err
	}
	defer p.journal.close()
	for _, phase := range p.phases() {
		done, err := phase(ctx, result.Plan)
		result.Evidence = result.Plan.Evidence
		result.Phases = append(result.Phases, done)
		if err != nil {
			return result, p.goesOn(err)
		}
	}
	if p.StageOnly {
		return result, nil
	}
	if _, result.Left, err = p.unstage(ctx, result.Plan.Cells); err != nil {
		return result, fmt.Errorf("all tags have moved; staging tags: %w; '%s' removes them", err, p.again())
	}
	return result, p.journal.write(Entry{What: done})
}

// goesOn says how a run goes on that ended where nothing was found to be wrong.
func (p *Publisher) goesOn(err error) error {
	var failed *FailedError
	var missing *MissingError
	if errors.As(err, &failed) || errors.As(err, &missing) {
		return err
	}
	return fmt.Errorf("%w; '%s' goes on", err, p.again())
}

// acceptable reports what keeps a plan from being carried out, before anything is uploaded.
func (p *Publisher) acceptable(plan, want *Plan) error {
	if err := plan.Verdict(); err != nil {
		return err
	}
	if want != nil {
		if err := want.Compare(plan); err != nil {
			return err
		}
	}
	return p.since(plan)
}

// since reports tags that somebody else moved since the run began, if it goes on.
func (p *Publisher) since(plan *Plan) error {
	if p.began == nil {
		return nil
	}
	from, asked := map[string]Tag{}, map[string]Cell{}
	for _, c := range p.began.Cells {
		asked[c.ID] = c
		for _, t := range c.Tags {
			from[t.Name] = t
		}
	}
	var errs []error
	for _, c := range plan.Cells {
		if !slices.EqualFunc(asked[c.ID].Gates, c.Gates, func(a, b Gate) bool { return a.Kind == b.Kind && a.Want == b.Want }) {
			errs = append(errs, fmt.Errorf("%s: its gates are not those that run %s began with: is it the same matrix?", c.ID, p.ID))
		}
		for _, t := range c.Tags {
			was, known := from[t.Name]
			if known && t.Move == Moved && was.from() != t.from() {
				errs = append(errs, fmt.Errorf("%s: tag %s was moved to %s by somebody else since run %s began", c.ID, t.Name, *t.From, p.ID))
			}
		}
	}
	givesUp := "--abandon"
	if p.moved {
		givesUp = "--undo"
	}
	return failed(errors.Join(errs...), fmt.Sprintf("'%s' gives the run up, and '%s' begins another", p.CommandTo(givesUp), p.CommandTo("")))
}

// phases are what is done behind the preflight.
func (p *Publisher) phases() []func(context.Context, *Plan) (Phase, error) {
	var all []func(context.Context, *Plan) (Phase, error)
	if p.Images != nil {
		all = append(all, p.upload)
	}
	all = append(all, p.readBack)
	if !p.StageOnly {
		all = append(all, p.gate)
	}
	if !p.NoEvidence {
		all = append(all, p.attach)
	}
	if !p.StageOnly {
		all = append(all, p.promote)
	}
	return all
}

// open begins the journal, or goes on with it.
func (p *Publisher) open(plan *Plan) (err error) {
	if p.journal, err = openJournal(p.Journals, p.ID); err != nil {
		return err
	}
	if p.began != nil {
		return nil
	}
	return p.journal.write(Entry{What: planned, Plan: plan, As: &As{p.StageOnly, p.Images == nil, p.FullReadBack, p.Older, p.FewerPlatforms, p.NoEvidence}})
}

// Resume makes p go on with a run that has a journal: its cells must be those of the journal.
func (p *Publisher) Resume(j Journal) error {
	var errs []error
	began := map[string]Cell{}
	for _, c := range j.Plan().Cells {
		began[c.ID] = c
	}
	for _, c := range p.Cells {
		was, known := began[c.ID]
		if !known {
			errs = append(errs, fmt.Errorf("%s is not in run %s", c.ID, j.Run))
			continue
		}
		var tags []string
		for _, t := range was.Tags {
			tags = append(tags, t.Name)
		}
		if now := tagsOf(c); strings.Join(now, " ") != strings.Join(tags, " ") {
			errs = append(errs, fmt.Errorf("%s: its tags were %s and are %s", c.ID, strings.Join(tags, ", "), strings.Join(now, ", ")))
		}
		if built := p.built[c.ID]; built.Digest != was.Digest {
			errs = append(errs, fmt.Errorf("%s: its image was %s and is %s", c.ID, was.Digest, built.Digest))
		}
	}
	if len(p.Cells) < len(began) {
		errs = append(errs, fmt.Errorf("run %s has %d cells, and %d are chosen", j.Run, len(began), len(p.Cells)))
	}
	if j.Ended() {
		errs = append(errs, fmt.Errorf("run %s is at its end", j.Run))
	}
	p.began, p.moved = j.Plan(), j.moved()
	as := j.As()
	p.StageOnly, p.FullReadBack = as.StageOnly, p.FullReadBack || as.FullReadBack
	p.Older, p.FewerPlatforms = p.Older || as.Older, p.FewerPlatforms || as.FewerPlatforms
	p.NoEvidence = p.NoEvidence || as.NoEvidence
	if as.Staged {
		p.Images = nil
	}
	if key := p.signer(); key != p.began.Key && (key != "" || !p.NoEvidence) || as.NoEvidence && p.Key != nil {
		errs = append(errs, fmt.Errorf("run %s signs %s, and goes on with the same --sign-key", j.Run, signedBy(p.began.Key)))
	}
	return failed(errors.Join(errs...), fmt.Sprintf("a run goes on with the matrix, --release and images that it began with; '%s' begins another", p.CommandTo("")))
}
