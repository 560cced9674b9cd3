// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/registry"
)

// Undone is what became of the tags that a run had moved.
type Undone struct {
	Back []string `json:"back"` // put back, or removed where they were new; never null
	New  []string `json:"new"`  // those of them that were; never null
	Left []string `json:"left"` // with the reason; never null
	// Unstaged are staging tags that were removed now, Staged those that the registry keeps; never null.
	Unstaged []string `json:"unstaged"`
	Staged   []string `json:"staged"`
	// Detached are the artifacts of evidence that are gone, Attached those that the registry
	// keeps, Kept those of images that have a tag yet; by digest, never null.
	Detached []string `json:"detached"`
	Attached []string `json:"attached"`
	Kept     []string `json:"kept"`
}

func newUndone() *Undone {
	return &Undone{Back: []string{}, New: []string{}, Left: []string{}, Unstaged: []string{}, Staged: []string{}, Detached: []string{}, Attached: []string{}, Kept: []string{}}
}

// Undo puts the tags back that a run has moved, the last one first, and removes those that
// were new, where the registry removes tags. A tag that somebody else has moved since stays.
// Then the evidence goes that runs of these journals have attached to images that have no other tag, and staging tags.
// What the registry does not answer for keeps nothing else from going; the run has not ended then.
func (p *Publisher) Undo(ctx context.Context, j Journal) (*Undone, error) {
	result := newUndone()
	var err error
	if p.journal, err = openJournal(p.Journals, j.Run); err != nil {
		return result, err
	}
	defer p.journal.close()
	cells := j.Plan().Cells
	for _, step := range []func() error{
		func() error { return p.putBack(ctx, j, result) },
		func() error { return p.detach(ctx, j, result) },
		func() (err error) { result.Unstaged, result.Staged, err = p.unstage(ctx, cells); return err },
	} {
		if ctx.Err() == nil {
			err = errors.Join(err, step())
		}
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		return result, fmt.Errorf("%w; '%s' does the rest", err, p.CommandTo("--undo"))
	}
	if err := p.journal.write(Entry{What: abandoned}); err != nil {
		return result, err
	}
	if len(result.Left) > 0 {
		return result, failed(errors.New("not all tags are as they were"), "")
	}
	return result, nil
}

// putBack puts back the tags that a run has moved.
func (p *Publisher) putBack(ctx context.Context, j Journal, result *Undone) error {
	seen, cells := map[string]bool{}, j.Plan().Cells
	var errs []error
	for _, e := range slices.Backward(j.life()) {
		if e.What != moving && e.What != tagged || seen[e.Tag] {
			continue
		}
		seen[e.Tag] = true
		why, err := p.back(ctx, e, cells)
		if err != nil {
			errs = append(errs, fmt.Errorf("tag %s: %w", e.Tag, err))
			continue
		}
		if why != "" {
			result.Left = append(result.Left, e.Tag+": "+why)
			continue
		}
		if result.Back = append(result.Back, e.Tag); e.From == nil {
			result.New = append(result.New, e.Tag)
		}
		if err := p.journal.write(Entry{What: putBack, Cell: e.Cell, Tag: e.Tag, Digest: e.Digest, From: e.From}); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(errs...)
}

// back puts one tag back, or says why not.
func (p *Publisher) back(ctx context.Context, e Entry, cells []Cell) (why string, err error) {
	now, err := p.current(ctx, e.Tag)
	switch {
	case err != nil:
		return "", err
	case e.From == nil && now == nil, e.From != nil && now != nil && now.Digest.String() == *e.From:
		return "", nil // as it was
	case now == nil || now.Digest.String() != e.Digest:
		return "somebody else has moved it since", nil
	case e.From == nil:
		return p.removeNew(ctx, e.Tag, cells)
	}
	old, err := p.puller.Get(ctx, p.repo.Digest(*e.From))
	if registry.Absent(err) {
		return fmt.Sprintf("the registry has %s no more", *e.From), nil
	}
	if err != nil {
		return "", err
	}
	if err := p.put(ctx, e.Tag, old); err != nil {
		return "", err
	}
	return p.now(ctx, e.Tag, &old.Digest)
}

// removeNew removes a tag that was new.
func (p *Publisher) removeNew(ctx context.Context, tag string, cells []Cell) (why string, err error) {
	if _, err := p.untag(ctx, tag, cells); err != nil {
		if refusesDelete(err) {
			return fmt.Sprintf("it was new, and the registry does not remove it: %v", err), nil
		}
		return "", err
	}
	return p.now(ctx, tag, nil)
}

// now makes sure that a tag names a digest, or nothing.
func (p *Publisher) now(ctx context.Context, tag string, want *v1.Hash) (why string, err error) {
	desc, err := p.current(ctx, tag)
	switch {
	case err != nil:
		return "", err
	case want == nil && desc == nil, want != nil && desc != nil && desc.Digest == *want:
		return "", nil
	}
	return "the registry took it, and names something else", nil
}

// Abandon removes the staging tags of a run that will not go on. It is an error if the run
// has moved a tag.
func (p *Publisher) Abandon(ctx context.Context, j Journal) (*Undone, error) {
	if j.moved() {
		return newUndone(), failed(fmt.Errorf("run %s has moved tags", j.Run), fmt.Sprintf("'%s' goes on, '%s' puts them back", p.CommandTo("--resume"), p.CommandTo("--undo")))
	}
	return p.Undo(ctx, j)
}

// detach takes away what the runs of these journals have attached to images of this run, the last one first: no list is
// left by them of an image that had none. What images have that keep a tag stays: it is true, and others may go by it.
func (p *Publisher) detach(ctx context.Context, j Journal, result *Undone) error {
	ours, err := p.attachedHere(j)
	if len(ours) == 0 || err != nil {
		return err
	}
	named, err := p.stillNamed(ctx, j.Plan().Cells)
	if err != nil {
		return err
	}
	var errs []error
	unread := map[string]bool{} // images of which a document was not taken away
	for _, e := range slices.Backward(ours) {
		switch {
		case unread[e.Subject]:
			continue
		case named[e.Subject]:
			result.Kept = append(result.Kept, e.Digest)
			continue
		}
		if err := p.detachOne(ctx, e, result); err != nil {
			unread[e.Subject] = true
			errs = append(errs, fmt.Errorf("%s of %s: %w", e.Kind, e.Subject, err))
		}
	}
	return errors.Join(errs...)
}

// detachOne takes one document away.
func (p *Publisher) detachOne(ctx context.Context, e Entry, result *Undone) error {
	subject, err := v1.NewHash(e.Subject)
	if err != nil {
		return err
	}
	artifact, err := v1.NewHash(e.Digest)
	if err != nil {
		return err
	}
	was, err := p.attests.Detach(ctx, subject, artifact)
	switch {
	case err != nil && registry.Refused(err):
		result.Attached = append(result.Attached, e.Digest)
		return nil
	case err != nil || !was:
		return err
	}
	result.Detached = append(result.Detached, e.Digest)
	e.What, e.Added = detached, false
	return p.journal.write(e)
}

// attachedHere are the documents that runs with a journal here have attached to images of this one: what others than
// this run attached may have stayed for the sake of its tags.
func (p *Publisher) attachedHere(j Journal) (ours []Entry, err error) {
	all, err := Journals(p.Journals)
	if err != nil {
		return nil, err
	}
	images, about, entries := map[string]bool{}, map[string]bool{}, []Entry{}
	for _, c := range j.Plan().Cells {
		images[c.Digest] = true
	}
	for _, other := range all {
		plan := other.Plan()
		if plan.To != j.Plan().To {
			continue
		}
		entries = append(entries, other.Entries...)
		for _, c := range plan.Cells {
			for _, e := range c.Evidence {
				about[e.Subject] = about[e.Subject] || images[c.Digest]
			}
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	return slices.DeleteFunc(attachedBy(entries), func(e Entry) bool { return !about[e.Subject] }), nil
}

// stillNamed are the digests of the images that tags name, other than the staging ones of cells: of an index those of its
// images too. Where the registry lists no tags, those of the cells are asked for.
func (p *Publisher) stillNamed(ctx context.Context, cells []Cell) (map[string]bool, error) {
	tags, err := p.puller.List(ctx, p.repo)
	if err != nil && !registry.Refused(err) {
		return nil, err
	}
	if err != nil {
		tags = nil
		for _, c := range cells {
			for _, t := range c.Tags {
				tags = append(tags, t.Name)
			}
		}
	}
	staging := tagNames(cells)
	tags = slices.DeleteFunc(tags, func(tag string) bool { return strings.HasPrefix(tag, "sha256-") || slices.Contains(staging, tag) })
	named := map[string]bool{}
	return named, registry.Each(ctx, len(tags), func(ctx context.Context, i int) error {
		now, err := p.current(ctx, tags[i])
		if err != nil || now == nil {
			return err
		}
		p.mu.Lock()
		known := named[now.Digest.String()]
		named[now.Digest.String()] = true
		p.mu.Unlock()
		if known || !now.MediaType.IsIndex() {
			return nil
		}
		raw, err := remotely{p}.manifest(ctx, now.Digest)
		if registry.Absent(err) {
			return nil
		}
		if err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, child := range childrenOf(raw, now.MediaType) {
			named[child.String()] = true
		}
		return nil
	})
}

// childrenOf are the manifests that an index names; none of what is no index.
func childrenOf(raw []byte, mediaType types.MediaType) (all []v1.Hash) {
	if !mediaType.IsIndex() {
		return nil
	}
	index, err := image.ParseIndex(raw, mediaType)
	if err != nil { // somebody else's: what cannot be read names nothing
		return nil
	}
	for _, d := range index.Manifests {
		all = append(all, d.Digest)
	}
	return all
}
