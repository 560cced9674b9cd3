// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/registry"
)

// promote moves the tags: those of the cells first, then their other names. Registries cannot
// compare and swap: a tag is read right before and right after its move, and what somebody
// else did meanwhile is reported and left.
func (p *Publisher) promote(ctx context.Context, plan *Plan) (phase Phase, err error) {
	m := p.Show.Begin(Promote, plan.Totals.New+plan.Totals.Same+plan.Totals.Moved, 0)
	defer func() { phase = m.End(err) }()
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
	m.Add(plan.Totals.Same, 0)
	all := slices.Concat(first, rest)
	if err := registry.Each(ctx, len(all), func(ctx context.Context, i int) error { return p.untouched(ctx, all[i]) }); err != nil {
		return phase, err
	}
	// Who interrupts it now gets all tags moved, or back, within that time.
	ctx, cancel := grace(ctx, graceTime)
	defer cancel()
	var begun tally
	for _, moves := range [][]move{first, rest} {
		// What is under way when one fails goes to its end: a request that was given up may be carried out all the same.
		err := registry.Each(ctx, len(moves), func(_ context.Context, i int) error {
			begun.add(moves[i])
			err := p.tag(ctx, moves[i])
			if err == nil {
				m.Add(1, 0)
			}
			return err
		})
		if err != nil {
			return phase, p.halfway(ctx, err, begun.moves)
		}
	}
	// Somebody else may have moved one right behind us.
	return phase, registry.Each(ctx, len(all), func(ctx context.Context, i int) error {
		now, err := p.current(ctx, all[i].tag.Name)
		if err == nil && !all[i].done(now) {
			err = failed(fmt.Errorf("%s: tag %s was moved to %s by somebody else right after it was moved here", all[i].cell.ID, all[i].tag.Name, what(now)), p.lookAround())
		}
		return err
	})
}

// tally collects moves that are made at the same time.
type tally struct {
	mu    sync.Mutex
	moves []move
}

func (t *tally) add(m move) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moves = append(t.moves, m)
}

// graceTime is how long moving tags may go on after it was interrupted.
const graceTime = 20 * time.Second

// grace returns a context that ends some time after ctx does.
func grace(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(after, cancel)
		context.AfterFunc(late, func() { timer.Stop() })
	})
	return late, func() { stop(); cancel() }
}

// halfway ends a promotion of which some tags have moved: where the registry does not take a
// tag, these are put back. Where it is away, or somebody else moves tags too, they stay, and the error says so.
func (p *Publisher) halfway(ctx context.Context, err error, moves []move) error {
	var foreign *FailedError
	if !errors.As(err, &foreign) && !registry.Again(err) && ctx.Err() == nil {
		if p.takeBack(ctx, moves) == nil {
			return failed(fmt.Errorf("%w; the tags that had moved are back where they were", err), "")
		}
	}
	text := fmt.Sprintf("some tags have moved: '%s' puts them back", p.CommandTo("--undo"))
	if foreign != nil {
		return failed(fmt.Errorf("%w; %s", err, text), p.lookAround())
	}
	return fmt.Errorf("%w; %s", err, text)
}

// takeBack puts tags back to what they named.
func (p *Publisher) takeBack(ctx context.Context, moves []move) error {
	for _, m := range slices.Backward(moves) {
		e := Entry{Cell: m.cell.ID, Tag: m.tag.Name, Digest: m.tag.To, From: m.tag.From}
		if why, err := p.back(ctx, e, []Cell{m.cell}); err != nil || why != "" {
			return cmp.Or(err, errors.New(why))
		}
		e.What = putBack
		_ = p.journal.write(e) // that it moved is written, and undoing it twice does nothing
	}
	return nil
}

// move is a tag that is to name a cell's image.
type move struct {
	cell Cell
	tag  Tag
}

// foreign is the error of a tag that somebody else moved.
func (p *Publisher) foreign(m move, now *v1.Descriptor) error {
	return failed(fmt.Errorf("%s: tag %s named %s and names %s now: somebody else moved it, and it stays there", m.cell.ID, m.tag.Name, m.tag.from(), what(now)), p.lookAround())
}

func (p *Publisher) lookAround() string {
	return fmt.Sprintf("look who else publishes; '%s' plans anew, and '%s' puts the tags back that have moved", p.CommandTo(""), p.CommandTo("--undo"))
}

// what a tag names, in words.
func what(now *v1.Descriptor) string {
	if now == nil {
		return "nothing"
	}
	return now.Digest.String()
}

// untouched makes sure that a tag is where the plan saw it, or where it is to go.
func (p *Publisher) untouched(ctx context.Context, m move) error {
	now, err := p.current(ctx, m.tag.Name)
	if err == nil && !m.at(now) && !m.done(now) {
		err = p.foreign(m, now)
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

// untag removes a tag, if there is such. Some registries remove its image, and with it all its
// tags and what is attached to it: tags and evidence of the cells are put back then.
func (p *Publisher) untag(ctx context.Context, tag string, cells []Cell) (was bool, err error) {
	now, err := p.puller.Get(ctx, p.repo.Tag(tag))
	if registry.Absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var others []string
	for _, c := range cells {
		if c.Digest != now.Digest.String() {
			continue
		}
		for _, t := range c.Tags {
			if t.Name == tag {
				continue
			}
			other, err := p.current(ctx, t.Name)
			if err != nil {
				return true, err
			}
			if other != nil && other.Digest == now.Digest {
				others = append(others, t.Name)
			}
		}
	}
	if len(others) == 0 {
		return true, p.remove(ctx, tag)
	}
	attachAgain, err := p.save(ctx, now)
	if err != nil {
		return true, err
	}
	if err := p.remove(ctx, tag); err != nil {
		return true, err
	}
	p.alone = true
	for _, other := range others {
		there, err := p.current(ctx, other)
		if err == nil && there == nil {
			p.alone, err = false, p.put(ctx, other, now)
		}
		if err != nil {
			return true, fmt.Errorf("tag %s went with tag %s, and could not be put back: %w", other, tag, err)
		}
	}
	if p.alone {
		return true, nil
	}
	return true, attachAgain(ctx)
}

// save notes what is attached to an image and to those of its platforms, and returns what attaches it again. There is
// nothing to note once the registry has removed a tag alone.
func (p *Publisher) save(ctx context.Context, of *remote.Descriptor) (attachAgain func(context.Context) error, err error) {
	var all []func(context.Context) error
	if !p.alone {
		for _, subject := range append(childrenOf(of.Manifest, of.MediaType), of.Digest) {
			again, err := p.attests.Save(ctx, subject)
			if err != nil {
				return nil, err
			}
			all = append(all, again)
		}
	}
	return func(ctx context.Context) error {
		return registry.Each(ctx, len(all), func(ctx context.Context, i int) error { return all[i](ctx) })
	}, nil
}

// remove removes a tag, and whatever the registry removes with it.
func (p *Publisher) remove(ctx context.Context, tag string) error {
	return refusal(registry.Remove(ctx, p.pusher, p.repo.Tag(tag), nil))
}

// staysError is the answer of a registry that removes no tags, or not for us.
type staysError struct{ error }

func (e staysError) Unwrap() error { return e.error }

// refusal makes the error of a tag that was to go one, if it is.
func refusal(err error) error {
	if registry.Refused(err) {
		return staysError{err}
	}
	return err
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
			return p.foreign(m, now)
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

// unstage removes staging tags, of images that have other names now or are given up. Those that were there are
// returned, and those that the registry does not remove. An error keeps no other tag from going, unless it is that the
// registry was busy for as long as it was asked.
func (p *Publisher) unstage(ctx context.Context, cells []Cell) (gone, left []string, err error) {
	gone, left = []string{}, []string{}
	var errs []error
	for i, c := range cells {
		was, err := p.untag(ctx, c.Staging, cells)
		switch {
		case err != nil && ctx.Err() == nil && refusesDelete(err):
			return gone, append(left, tagNames(cells[i:])...), errors.Join(errs...)
		case err != nil:
			errs = append(errs, fmt.Errorf("tag %s: %w", c.Staging, err))
		case was:
			gone = append(gone, c.Staging)
			if err := p.journal.write(Entry{What: unstaged, Cell: c.ID, Tag: c.Staging}); err != nil {
				return gone, left, errors.Join(append(errs, err)...)
			}
		}
		if ctx.Err() != nil || registry.Busy(err) {
			break
		}
	}
	return gone, left, errors.Join(errs...)
}

func tagNames(cells []Cell) (all []string) {
	for _, c := range cells {
		all = append(all, c.Staging)
	}
	return all
}

// refusesDelete reports a [staysError].
func refusesDelete(err error) bool { return errors.As(err, new(staysError)) }
