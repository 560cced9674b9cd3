// SPDX-License-Identifier: Apache-2.0

package retire

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/registry"
)

// Plan says which tags of the cells go, all of which have ended. A tag that a cell shares with
// others over time, "latest", goes only if it names the cell's image.
func (r *Retirer) Plan(ctx context.Context, cells []Cell) (*Plan, error) {
	s, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	if s.none {
		return nil, hint.New(fmt.Sprintf("there is no repository %s", r.repo), "look for a slip in its name, and whether you may read it: registries say the same of one that you may not")
	}
	p := &Plan{Version: 1, To: r.repo.Name(), Images: []Image{}, Left: []Left{}}
	for _, c := range cells {
		p.add(s, c)
	}
	for tag := range s.digests {
		if strings.HasPrefix(tag, probe) {
			p.Left = append(p.Left, Left{tag, "a run of retire --plan put it there, to see what the registry removes: if none is going on, remove it"})
		}
	}
	slices.SortStableFunc(p.Left, func(a, b Left) int { return cmp.Compare(a.Tag, b.Tag) })
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
		case c.Keeps[name] != "":
			p.Left = append(p.Left, Left{name, c.Keeps[name]})
		case !there:
			p.Left = append(p.Left, Left{name, fmt.Sprintf("there is no tag %s, so nobody knows whether it names that cell's image: look, and remove it in the registry's own way", c.Tags[0])})
		case digest != canonical:
			p.Left = append(p.Left, Left{name, fmt.Sprintf("it names another image, %s, than %s", digest, c.Tags[0])})
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
		p.Images = append(p.Images, Image{Digest: digest, Platforms: append([]string{}, s.indexes[digest].manifests...), KeptBy: []string{}, Attached: []Attached{}})
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
