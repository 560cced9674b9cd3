// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/cudabuild/cudabuild/registry"
)

// promote moves the tags: those of the cells first, then their other names. Registries cannot
// compare and swap: a tag is read right before and right after its move, and what somebody
// else did meanwhile is reported and left.
func (p *Publisher) promote(ctx context.Context, plan *Plan) (phase Phase, err error) {
	m := p.begin(Promote, plan.Totals.New+plan.Totals.Same+plan.Totals.Moved, 0)
	defer func() { phase = m.end(err) }()
	// Before the first one moves, all must be where the plan saw them: half of a release is none.
	var first, rest []move
	for _, c := range plan.Cells {
		for i, t := range c.Tags {
			switch {
			case t.Move == Same:
			case i == 0:
				first = append(first, move{c, t})
			default:
				rest = append(rest, move{c, t})
			}
		}
	}
	m.add(plan.Totals.Same, 0)
	all := slices.Concat(first, rest)
	if err := p.each(ctx, len(all), func(ctx context.Context, i int) error { return p.untouched(ctx, all[i]) }); err != nil {
		return phase, err
	}
	for _, moves := range [][]move{first, rest} {
		err := p.each(ctx, len(moves), func(ctx context.Context, i int) error {
			defer m.add(1, 0)
			return p.tag(ctx, moves[i])
		})
		if err != nil {
			return phase, err
		}
	}
	return phase, nil
}

// move is a tag that is to name a cell's image.
type move struct {
	cell Cell
	tag  Tag
}

// foreign is the error of a tag that somebody else moved.
func foreign(m move, now *v1.Descriptor) error {
	names := "nothing"
	if now != nil {
		names = now.Digest.String()
	}
	return failed(fmt.Errorf("%s: tag %s named %s and names %s now: somebody else moved it, and it stays there", m.cell.ID, m.tag.Name, m.tag.from(), names),
		"look who else publishes; 'cudabuild push' plans anew, and 'cudabuild push --undo' puts the tags back that have moved")
}

// untouched makes sure that a tag is where the plan saw it, or where it is to go.
func (p *Publisher) untouched(ctx context.Context, m move) error {
	now, err := p.current(ctx, m.tag.Name)
	if err == nil && !m.at(now) && !m.done(now) {
		err = foreign(m, now)
	}
	return err
}

// at and done report whether a tag is where the plan saw it, and where it is to go.
func (m move) at(now *v1.Descriptor) bool {
	if now == nil || m.tag.From == nil {
		return now == nil && m.tag.From == nil
	}
	return now.Digest.String() == *m.tag.From
}

func (m move) done(now *v1.Descriptor) bool { return now != nil && now.Digest.String() == m.tag.To }

// attempts is how often a tag is put where the registry's answer does not say whether it was.
const attempts = 10

// put gives an image a tag that is ours alone: nobody else moves it meanwhile.
func (p *Publisher) put(ctx context.Context, tag string, img remote.Taggable) error {
	for attempt := 1; ; attempt++ {
		if err := p.pusher.Put(ctx, p.repo.Tag(tag), img); err == nil || !registry.Again(err) || attempt == attempts {
			return err
		}
	}
}

// untag removes a tag.
func (p *Publisher) untag(ctx context.Context, tag string) error {
	for attempt := 1; ; attempt++ {
		if err := p.pusher.Delete(ctx, p.repo.Tag(tag)); err == nil || absent(err) {
			return nil
		} else if !registry.Again(err) || attempt == attempts {
			return err
		}
	}
}

// tag moves one tag.
func (p *Publisher) tag(ctx context.Context, m move) error {
	entry := Entry{What: moving, Cell: m.cell.ID, Digest: m.tag.To, Tag: m.tag.Name, From: m.tag.From}
	if err := p.journal.write(entry); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		now, err := p.current(ctx, m.tag.Name)
		switch {
		case err != nil:
			return err
		case m.done(now):
			entry.What = tagged
			return p.journal.write(entry)
		case !m.at(now):
			return foreign(m, now)
		case attempt > attempts:
			return fmt.Errorf("%s: tag %s does not move: the registry takes it and names what it named before", m.cell.ID, m.tag.Name)
		}
		img := p.images[m.cell.Digest]
		if err := p.pusher.Put(ctx, p.repo.Tag(m.tag.Name), img); err != nil && (!registry.Again(err) || attempt == attempts) {
			if _, lost := lacks(err, img); lost {
				err = failed(fmt.Errorf("the registry lacks what it had when it was read back: %w", err), "it loses blobs, or collects garbage just now: publish again later, from where the images are")
			}
			return fmt.Errorf("%s: tag %s: %w", m.cell.ID, m.tag.Name, err)
		}
	}
}

// unstage removes staging tags, of images that have other names now or are given up. What
// the registry does not remove is returned, with the reason.
func (p *Publisher) unstage(ctx context.Context, cells []Cell) (left []string, err error) {
	for i, c := range cells {
		now, err := p.current(ctx, c.Staging)
		if err != nil {
			return left, err
		}
		if now == nil {
			continue
		}
		if err := p.untag(ctx, c.Staging); err != nil {
			if ctx.Err() != nil || !refusesDelete(err) {
				return left, err
			}
			return append(left, tagNames(cells[i:])...), nil
		}
		if err := p.journal.write(Entry{What: unstaged, Cell: c.ID, Tag: c.Staging}); err != nil {
			return left, err
		}
		if !p.promoted {
			continue
		}
		if err := p.survives(ctx, c); err != nil {
			return left, err
		}
	}
	return left, nil
}

// survives makes sure that with a staging tag only that tag went: some registries remove the
// image, and all its tags.
func (p *Publisher) survives(ctx context.Context, c Cell) error {
	for _, t := range c.Tags {
		now, err := p.current(ctx, t.Name)
		if err != nil {
			return err
		}
		if now == nil {
			if err := p.put(ctx, t.Name, p.images[c.Digest]); err != nil {
				return fmt.Errorf("%s: tag %s went with tag %s, and could not be put back: %w", c.ID, t.Name, c.Staging, err)
			}
		}
	}
	return nil
}

func tagNames(cells []Cell) (all []string) {
	for _, c := range cells {
		all = append(all, c.Staging)
	}
	return all
}

// refusesDelete reports an answer of a registry that removes no tags, or not for us.
func refusesDelete(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode >= http.StatusBadRequest && answer.StatusCode < http.StatusInternalServerError
}
