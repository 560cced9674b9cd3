// SPDX-License-Identifier: Apache-2.0

package retire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/registry"
)

// The tags by which [Retirer.ways] sees what the registry does with tags; the names are reserved.
var probes = []string{"staging-cudabuild-retire-1", "staging-cudabuild-retire-2"}

// ways is how a registry can be asked to remove something.
type ways struct {
	refusal error // of tags; nil if it removes them
	alone   bool  // it removes a tag, and leaves the image to its other tags
}

// Do removes the tags of a plan. Before the first one goes all must be where the plan saw them,
// or gone. It is an error with exit code 1 if one has moved, and if any of them stays, which [Done.Left] has
// with the reason.
func (r *Retirer) Do(ctx context.Context, p *Plan) (*Done, error) {
	done := &Done{Removed: []string{}, Gone: []string{}, Images: []string{}, Left: []Left{}}
	s, err := r.look(ctx)
	if err != nil {
		return done, err
	}
	if err := p.unmoved(s); err != nil {
		return done, err
	}
	goes := p.goes()
	var images []Image // with tags that are there yet
	shared := false
	for _, i := range p.Images {
		i.Tags = slices.DeleteFunc(slices.Clone(i.Tags), func(t Tag) bool {
			_, there := s.digests[t.Name]
			if !there {
				done.Gone = append(done.Gone, t.Name)
			}
			return !there
		})
		if i.KeptBy = s.keepers(i.Digest, goes); len(i.Tags) > 0 { // the world has gone on since the plan
			images, shared = append(images, i), shared || len(i.KeptBy) > 0
		}
	}
	if len(images) == 0 {
		return done, nil
	}
	w, err := r.ways(ctx, shared)
	if err != nil {
		return done, err
	}
	for _, i := range images {
		if err := r.remove(ctx, w, i, done); err != nil {
			return done, fmt.Errorf("%w; the same command goes on: what is gone is done", err)
		}
	}
	return done, done.verdict(w)
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

// ways finds out what the registry removes. Whether a tag goes alone is tried, on two tags of an
// image without content, only if any image has other tags: where it does not, these would be lost.
func (r *Retirer) ways(ctx context.Context, shared bool) (w ways, err error) {
	err = r.delete(ctx, r.repo.Tag(probes[0])) // which is not there, unless a run was killed here; its answer says enough
	if refuses(err) {
		return ways{refusal: err}, nil
	}
	if err != nil || !shared {
		return w, err
	}
	img := mutate.Annotations(empty.Image, map[string]string{"org.opencontainers.image.title": "cudabuild retire: does a tag go alone?"}).(v1.Image)
	for _, tag := range probes {
		if err := r.pusher.Push(ctx, r.repo.Tag(tag), img); err != nil {
			return w, fmt.Errorf("tag %s, to see whether the registry removes tags alone: %w", tag, err)
		}
	}
	if err := r.delete(ctx, r.repo.Tag(probes[0])); err != nil {
		return w, err
	}
	other, err := r.current(ctx, probes[1])
	if err != nil {
		return w, err
	}
	return ways{alone: other != ""}, r.delete(ctx, r.repo.Tag(probes[1]))
}

// remove removes the tags of an image.
func (r *Retirer) remove(ctx context.Context, w ways, i Image, done *Done) error {
	switch {
	case w.refusal != nil && len(i.KeptBy) == 0:
		return r.removeWhole(ctx, i, done)
	case w.refusal != nil:
		done.leave(i.Tags, fmt.Sprintf("the registry removes no tags, and with the image %s would go", strings.Join(i.KeptBy, ", ")))
		return nil
	case len(i.KeptBy) > 0 && !w.alone:
		done.leave(i.Tags, fmt.Sprintf("the registry removes the image with its tag, and %s would go too", strings.Join(i.KeptBy, ", ")))
		return nil
	}
	for _, t := range i.Tags {
		why, err := r.removeTag(ctx, t.Name, i.Digest)
		switch {
		case err != nil:
			return fmt.Errorf("tag %s: %w", t.Name, err)
		case why != "":
			done.leave([]Tag{t}, why)
		default:
			done.Removed = append(done.Removed, t.Name)
		}
	}
	return nil
}

// removeTag removes a tag that names a digest, or says why it stays. A registry cannot compare and
// remove, so it is read right before.
func (r *Retirer) removeTag(ctx context.Context, tag, digest string) (why string, err error) {
	now, err := r.current(ctx, tag)
	switch {
	case err != nil || now == "": // it may have gone with another one of this image
		return "", err
	case now != digest:
		return fmt.Sprintf("it names %s now: somebody moved it just now", now), nil
	}
	if err := r.delete(ctx, r.repo.Tag(tag)); err != nil {
		return "", err
	}
	if now, err = r.current(ctx, tag); err == nil && now != "" {
		why = fmt.Sprintf("the registry took the request, and it names %s", now)
	}
	return why, err
}

// removeWhole removes an image that no other tag needs, and with it its tags.
func (r *Retirer) removeWhole(ctx context.Context, i Image, done *Done) error {
	for _, t := range i.Tags {
		if now, err := r.current(ctx, t.Name); err != nil || now != i.Digest {
			done.leave(i.Tags, fmt.Sprintf("tag %s was moved just now", t.Name))
			return err
		}
	}
	err := r.delete(ctx, r.repo.Digest(i.Digest))
	switch {
	case refuses(err):
		done.leave(i.Tags, fmt.Sprintf("the registry removes neither tags nor images: %v", err))
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", i.Digest, err)
	}
	done.Images = append(done.Images, i.Digest)
	for _, t := range i.Tags {
		done.Removed = append(done.Removed, t.Name)
	}
	return nil
}

func (d *Done) leave(tags []Tag, why string) {
	for _, t := range tags {
		d.Left = append(d.Left, Left{t.Name, why})
	}
}

// verdict is an error if any tag stays.
func (d *Done) verdict(w ways) error {
	if len(d.Left) == 0 {
		return nil
	}
	next := "remove them where the registry lets you, or give the tags that stay images of their own first"
	if w.refusal != nil {
		next = "allow it to remove (storage.delete.enabled of the distribution project's registry), log in as somebody who may, or remove them in the registry's own way"
	}
	tags := "a tag stays"
	if len(d.Left) > 1 {
		tags = fmt.Sprintf("%d tags stay", len(d.Left))
	}
	return &failedError{fmt.Sprintf("%s: %s: %s", tags, d.Left[0].Tag, d.Left[0].Why), next}
}

// current is the digest that a tag names, "" if it names nothing.
func (r *Retirer) current(ctx context.Context, tag string) (string, error) {
	desc, err := r.puller.Head(ctx, r.repo.Tag(tag))
	if registry.Absent(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return desc.Digest.String(), nil
}

// attempts is how often a removal is asked for where the registry does not say whether it was made.
const attempts = 10

// delete removes what a reference names, if there is such.
func (r *Retirer) delete(ctx context.Context, ref name.Reference) error {
	for attempt := 1; ; attempt++ {
		err := r.pusher.Delete(ctx, ref)
		switch {
		case err == nil, registry.Absent(err):
			return nil
		case !registry.Again(err), attempt == attempts:
			return err
		}
	}
}

// refuses reports an answer that will not change: the registry does not remove that, or not for us.
func refuses(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode >= http.StatusBadRequest && answer.StatusCode < http.StatusInternalServerError
}
