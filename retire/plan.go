// SPDX-License-Identifier: Apache-2.0

package retire

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
)

// standing is what a repository has.
type standing struct {
	digests  map[string]string   // of all tags but those of lists of evidence
	children map[string][]string // manifests of the indexes that they name, by digest
}

// look reads what the tags of the repository name.
func (r *Retirer) look(ctx context.Context) (*standing, error) {
	tags, err := r.puller.List(ctx, r.repo)
	if registry.Absent(err) {
		tags, err = nil, nil // no repository yet, or no tags any more
	}
	if err != nil {
		return nil, err
	}
	tags = slices.DeleteFunc(tags, referrer.IsTag)
	s := &standing{digests: map[string]string{}, children: map[string][]string{}}
	var mu sync.Mutex
	err = registry.Each(ctx, len(tags), func(ctx context.Context, i int) error {
		desc, err := r.puller.Head(ctx, r.repo.Tag(tags[i])) // which no registry counts as a pull
		if registry.Absent(err) {                            // it went meanwhile
			return nil
		}
		if err != nil {
			return fmt.Errorf("tag %s: %w", tags[i], err)
		}
		mu.Lock()
		defer mu.Unlock()
		s.digests[tags[i]] = desc.Digest.String()
		if desc.MediaType.IsIndex() {
			s.children[desc.Digest.String()] = nil
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	indexes := slices.Sorted(maps.Keys(s.children))
	return s, registry.Each(ctx, len(indexes), func(ctx context.Context, i int) error {
		children, err := r.children(ctx, indexes[i])
		mu.Lock()
		defer mu.Unlock()
		s.children[indexes[i]] = children
		return err
	})
}

// children are the digests of the manifests that an index names.
func (r *Retirer) children(ctx context.Context, digest string) (all []string, err error) {
	if known, ok := r.indexes.Load(digest); ok {
		return known.([]string), nil
	}
	desc, err := r.puller.Get(ctx, r.repo.Digest(digest))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", digest, err)
	}
	index, err := image.ParseIndex(desc.Manifest, desc.MediaType)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", digest, err)
	}
	for _, child := range index.Manifests {
		all = append(all, child.Digest.String())
	}
	r.indexes.Store(digest, all)
	return all, nil
}

// keepers are the tags that need an image, sorted, but for those by which these images go.
func (s *standing) keepers(digest string, going ...Image) []string {
	goes := map[string]string{}
	for _, i := range going {
		for _, t := range i.Tags {
			goes[t.Name] = i.Digest
		}
	}
	all := []string{}
	for tag, named := range s.digests {
		if goes[tag] != named && (named == digest || slices.Contains(s.children[named], digest)) {
			all = append(all, tag)
		}
	}
	slices.Sort(all)
	return all
}

// Plan says which tags of the cells go, all of which have ended. A tag that a cell shares with
// others over time, "latest", goes only if it names the cell's image.
func (r *Retirer) Plan(ctx context.Context, cells []Cell) (*Plan, error) {
	s, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	p := &Plan{Version: 1, To: r.repo.Name(), Images: []Image{}, Left: []Left{}}
	for _, c := range cells {
		p.add(s, c)
	}
	slices.SortFunc(p.Images, func(a, b Image) int { return cmp.Compare(a.Tags[0].Name, b.Tags[0].Name) })
	for i := range p.Images {
		p.Images[i].KeptBy = s.keepers(p.Images[i].Digest, p.Images...)
	}
	return p, registry.Each(ctx, len(p.Images), func(ctx context.Context, i int) error {
		if len(p.Images[i].KeptBy) > 0 {
			return nil
		}
		return r.addAttached(ctx, &p.Images[i])
	})
}

// add adds the tags of a cell.
func (p *Plan) add(s *standing, c Cell) {
	canonical, there := s.digests[c.Tags[0]]
	for _, name := range slices.Backward(c.Tags) {
		switch digest, named := s.digests[name]; {
		case !named:
		case !there:
			p.Left = append(p.Left, Left{name, fmt.Sprintf("there is no tag %s, so nobody knows whether it names that cell's image", c.Tags[0])})
		case digest != canonical:
			p.Left = append(p.Left, Left{name, fmt.Sprintf("it names %s, which is not what %s does", digest, c.Tags[0])})
		default:
			p.image(s, digest).add(Tag{name, c.ID, c.Ends})
		}
	}
}

// image returns the image of the plan with that digest, a new one if there is none.
func (p *Plan) image(s *standing, digest string) *Image {
	i := slices.IndexFunc(p.Images, func(i Image) bool { return i.Digest == digest })
	if i < 0 {
		i = len(p.Images)
		p.Images = append(p.Images, Image{Digest: digest, Platforms: append([]string{}, s.children[digest]...), KeptBy: []string{}, Attached: []Attached{}})
	}
	return &p.Images[i]
}

func (i *Image) add(t Tag) { i.Tags = append(i.Tags, t) }

// addAttached lists what is attached to an image and its platforms.
func (r *Retirer) addAttached(ctx context.Context, i *Image) error {
	for _, digest := range append(slices.Clone(i.Platforms), i.Digest) {
		subject, err := v1.NewHash(digest)
		if err != nil {
			return err
		}
		found, err := r.attached.List(ctx, subject)
		if err != nil {
			return fmt.Errorf("what is attached to %s: %w", digest, err)
		}
		for _, f := range found {
			if f.Digest != "" {
				i.Attached = append(i.Attached, Attached{f.Digest, f.Type, digest})
			}
		}
	}
	return nil
}
