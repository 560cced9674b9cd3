// SPDX-License-Identifier: Apache-2.0

package retire

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/registry"
)

// Do removes the tags of a plan. Before the first one goes all must be where the plan saw them,
// or gone. It is an error with exit code 1 if one has moved, and if any of them stays, which [Done.Left] has
// with the reason.
func (r *Retirer) Do(ctx context.Context, p *Plan) (*Done, error) {
	done := &Done{Removed: []string{}, Gone: []string{}, Images: []string{}, Left: []Left{}, Ahead: []string{}}
	defer func() { p.ahead(done) }()
	s, err := r.look(ctx)
	if err != nil {
		return done, err
	}
	if err := p.unmoved(s); err != nil {
		return done, err
	}
	var images []Image // with tags that are there yet
	for _, i := range p.Images {
		i.Tags = slices.DeleteFunc(slices.Clone(i.Tags), func(t Tag) bool {
			_, there := s.digests[t.Name]
			if !there {
				done.Gone = append(done.Gone, t.Name)
			}
			return !there
		})
		if len(i.Tags) > 0 {
			images = append(images, i)
		}
	}
	if len(images) == 0 {
		return done, nil
	}
	w, err := r.ways(ctx, done)
	if err != nil {
		return done, err
	}
	// Indexes first: one that stays in spite of the plan keeps its images.
	slices.SortStableFunc(images, func(a, b Image) int {
		return cmp.Compare(len(s.indexes[b.Digest].manifests), len(s.indexes[a.Digest].manifests))
	})
	for _, i := range images {
		if err := r.remove(ctx, w, i, done); err != nil {
			return done, fmt.Errorf("%w; the same command goes on: what is gone is done", err)
		}
	}
	return done, done.verdict(w)
}

// ahead notes the tags of which nothing is known yet.
func (p *Plan) ahead(done *Done) {
	known := slices.Concat(done.Removed, done.Gone)
	for _, l := range done.Left {
		known = append(known, l.Tag)
	}
	for _, i := range p.Images {
		for _, t := range i.Tags {
			if !slices.Contains(known, t.Name) {
				done.Ahead = append(done.Ahead, t.Name)
			}
		}
	}
}

// unmoved makes sure that no tag names something else than the plan says.
func (p *Plan) unmoved(s *standing) error {
	var moved []string
	for _, i := range p.Images {
		for _, t := range i.Tags {
			if now, there := s.digests[t.Name]; there && now != i.Digest {
				moved = append(moved, fmt.Sprintf("tag %s named %s and names %s now", t.Name, i.Digest, now))
			}
		}
	}
	if len(moved) == 0 {
		return nil
	}
	return &failedError{"nothing was removed: " + strings.Join(moved, "; "), "'cudabuild retire --ended --json' plans anew; look who moved it"}
}

// remove removes the tags of an image, or the image with them.
func (r *Retirer) remove(ctx context.Context, w ways, i Image, done *Done) error {
	if w.whole() {
		return r.removeWhole(ctx, i, done)
	}
	for _, t := range i.Tags {
		if w.refusal != nil {
			done.leave(t.Name, fmt.Sprintf("the registry does not remove tags, or not for you: %v", w.refusal))
			continue
		}
		why, err := r.removeTag(ctx, w, i, t.Name)
		if err != nil {
			return fmt.Errorf("tag %s: %w", t.Name, err)
		}
		done.add(t.Name, why)
	}
	return nil
}

// removeTag removes a tag of an image, or says why it stays.
func (r *Retirer) removeTag(ctx context.Context, w ways, i Image, tag string) (why string, err error) {
	err = registry.Remove(ctx, r.pusher, r.repo.Tag(tag), func() (bool, error) {
		now, err := r.current(ctx, tag)
		switch {
		case err != nil || now == "": // it may have gone with another one of this image
			return false, err
		case now != i.Digest:
			why = movedNow(now)
			return false, nil
		case w.alone:
			return true, nil
		}
		s, err := r.look(ctx)
		if err != nil {
			return false, err
		}
		if keepers := s.keepers(i.Digest, i); len(keepers) > 0 {
			why = fmt.Sprintf("the registry removes the image with its tag, and %s would go too", strings.Join(keepers, ", "))
		}
		return why == "", nil
	})
	switch {
	case registry.Refused(err):
		return fmt.Sprintf("the registry does not remove it: %v", err), nil
	case err != nil || why != "":
		return why, err
	}
	return r.stands(ctx, tag)
}

// removeWhole removes an image that no other tag needs, and with it its tags.
func (r *Retirer) removeWhole(ctx context.Context, i Image, done *Done) error {
	var s *standing
	var keepers []string
	asked := false
	err := registry.Remove(ctx, r.pusher, r.repo.Digest(i.Digest), func() (_ bool, err error) {
		if s, err = r.look(ctx); err != nil {
			return false, err
		}
		keepers = s.keepers(i.Digest, i)
		asked = len(keepers) == 0 && slices.ContainsFunc(i.Tags, func(t Tag) bool { return s.digests[t.Name] == i.Digest })
		return asked, nil
	})
	if err != nil && !registry.Refused(err) {
		return fmt.Errorf("%s: %w", i.Digest, err)
	}
	for _, t := range i.Tags {
		why := ""
		switch now := s.digests[t.Name]; {
		case now == "":
		case now != i.Digest:
			why = movedNow(now)
		case len(keepers) > 0:
			why = fmt.Sprintf("the registry removes no tags, and with the image %s would go", strings.Join(keepers, ", "))
		case err != nil:
			why = fmt.Sprintf("the registry removes neither tags nor this image: %v", err)
		default:
			var failed error
			if why, failed = r.stands(ctx, t.Name); failed != nil {
				return fmt.Errorf("tag %s: %w", t.Name, failed)
			}
		}
		done.add(t.Name, why)
	}
	if asked && err == nil {
		done.Images = append(done.Images, i.Digest)
	}
	return nil
}

// stands says why a tag stays that the registry was asked to remove, "" if it does not.
func (r *Retirer) stands(ctx context.Context, tag string) (why string, err error) {
	now, err := r.current(ctx, tag)
	if err == nil && now != "" {
		why = fmt.Sprintf("the registry took the request, and it names %s", now)
	}
	return why, err
}

func movedNow(to string) string {
	return fmt.Sprintf("it names %s now: somebody moved it just now", to)
}

// add notes a tag that is removed, or, if there is a reason, stays.
func (d *Done) add(tag, why string) {
	if why == "" {
		d.Removed = append(d.Removed, tag)
	} else {
		d.leave(tag, why)
	}
}

func (d *Done) leave(tag, why string) { d.Left = append(d.Left, Left{tag, why}) }

// verdict is an error if any tag stays.
func (d *Done) verdict(w ways) error {
	if len(d.Left) == 0 {
		return nil
	}
	next := "remove them where the registry lets you, or give the tags that stay images of their own first"
	switch {
	case w.whole():
		next = "have deletion allowed there (storage.delete.enabled of the distribution project's registry), or remove them in the registry's own way"
	case w.refusal != nil:
		next = "log in, with 'docker login', as somebody who may remove tags, or remove them in the registry's own way"
	}
	tags := "a tag stays"
	if len(d.Left) > 1 {
		tags = fmt.Sprintf("%d tags stay", len(d.Left))
	}
	return &failedError{fmt.Sprintf("%s: %s: %s", tags, d.Left[0].Tag, d.Left[0].Why), next}
}

// current is the digest that a tag names, "" if it names nothing.
func (r *Retirer) current(ctx context.Context, tag string) (string, error) {
	desc, err := registry.Current(ctx, r.puller, r.repo.Tag(tag))
	if err != nil || desc == nil {
		return "", err
	}
	return desc.Digest.String(), nil
}
