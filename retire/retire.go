// SPDX-License-Identifier: Apache-2.0

// Package retire takes the tags of images away from a repository that nobody maintains any more.
//
// [Retirer.Plan] says which tags would go, which others name the same images, and what is attached
// to them; it changes nothing. [Retirer.Do] does what such a plan says and nothing else, and nothing
// at all if a tag of it has moved since.
//
// Tags go, images do not: what nothing names any more is the registry's to collect. Only where a
// registry says that it removes no tags, for nobody, is an image removed, and then one that no tag needs
// which stays. One that is busy is asked again later, one that denies it to us keeps all.
// A run that was interrupted goes on when it is repeated with the same plan, which is its journal:
// a tag of it that is gone is done. Tags that the matrix did not make are never touched.
package retire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/internal/strict"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/support"
)

// Cell is an image of the matrix that has ended.
type Cell struct {
	ID   string
	Tags []string // without the repository, the canonical one first
	Ends support.End
	// Keeps are tags of these that stay all the same, with the reason.
	Keeps map[string]string
}

// Plan is which tags of a repository go. Lists are never null.
type Plan struct {
	Version int     `json:"version"` // 1
	To      string  `json:"to"`      // registry/repo
	Images  []Image `json:"images"`  // in the order of their first tags
	Left    []Left  `json:"left"`    // tags of ended cells that stay all the same
}

// Image is an image, or an index of them, that loses tags.
type Image struct {
	Digest    string   `json:"digest"`
	Platforms []string `json:"platforms"` // of an index: the digests of its manifests
	Tags      []Tag    `json:"tags"`      // that go, in that order: a cell's own after its other ones
	KeptBy    []string `json:"kept_by"`   // tags that stay, and name it or an index that has it
	// Attached is what is attached to an image that no tag names then, and to its platforms. It stays
	// with the digest until the registry collects both.
	Attached []Attached `json:"attached"`
}

// Tag is one that goes.
type Tag struct {
	Name string      `json:"name"`
	Cell string      `json:"cell"`
	Ends support.End `json:"ends"`
}

// Attached is a document of evidence.
type Attached struct {
	Digest  string `json:"digest"`
	Type    string `json:"type"`
	Subject string `json:"subject"`
}

// Left is a tag that stays, or an image that a registry does not remove.
type Left struct {
	Tag string `json:"tag"`
	Why string `json:"why"`
}

// Done is what became of the tags of a plan. Lists are never null.
type Done struct {
	Removed []string `json:"removed"`
	Gone    []string `json:"gone"`   // before: by an earlier run, or somebody else
	Images  []string `json:"images"` // that were removed with their tags, by digest, where the registry has no other way
	Left    []Left   `json:"left"`
	Ahead   []string `json:"ahead"` // that a run which ended with an error has not come to
}

// maxValues bounds what is read of a plan: that of ten thousand tags has a tenth of it.
const maxValues = 1 << 20

// ParsePlan reads a plan as [Plan] is printed. Keys that it does not know are left to a newer cudabuild.
func ParsePlan(data []byte) (*Plan, error) {
	if err := strict.Check(data, maxValues); err != nil {
		return nil, err
	}
	var p Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, err
	}
	repo, err := name.NewRepository(p.To)
	switch {
	case p.Version != 1:
		return nil, fmt.Errorf("version %d, want 1", p.Version)
	case err != nil || repo.Name() != p.To:
		return nil, fmt.Errorf("to %q is no repository", p.To)
	case p.Images == nil:
		return nil, errors.New("it has no images")
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// check reports what names no image or no tag, and what is there twice.
func (p *Plan) check() error {
	seen := map[string]bool{}
	for _, image := range p.Images {
		digests := append([]string{image.Digest}, image.Platforms...)
		for _, a := range image.Attached {
			digests = append(digests, a.Digest, a.Subject)
		}
		for _, digest := range digests {
			if _, err := v1.NewHash(digest); err != nil {
				return err
			}
		}
		if len(image.Tags) == 0 {
			return fmt.Errorf("image %s has no tags", image.Digest)
		}
		names := []string{image.Digest}
		for _, tag := range image.Tags {
			if _, err := name.NewTag(p.To+":"+tag.Name, name.StrictValidation); err != nil || referrer.IsTag(tag.Name) {
				return fmt.Errorf("%q cannot be a tag of an image", tag.Name)
			}
			names = append(names, tag.Name)
		}
		for _, name := range names {
			if seen[name] {
				return fmt.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
	}
	return nil
}

// Retirer speaks to one repository.
type Retirer struct {
	repo     name.Repository
	puller   *remote.Puller
	pusher   *remote.Pusher
	attached *referrer.Repository
	say      func(line string) // as registry.Options.Say; may be nil
	indexes  sync.Map          // of index by digest: they never change
}

// New returns a Retirer of a repository. It asks the registry nothing.
func New(ctx context.Context, repo name.Repository, o registry.Options) (*Retirer, error) {
	client, err := registry.New(ctx, repo, o)
	if err != nil {
		return nil, err
	}
	r := &Retirer{repo: repo, say: o.Say}
	if r.puller, r.pusher, err = client.Remotes(); err != nil {
		return nil, err
	}
	r.attached, err = referrer.Open(repo, client)
	return r, err
}

// failedError is something that was looked at and does not hold: exit code 1.
type failedError struct{ text, next string }

func (e *failedError) Error() string { return e.text }
func (e *failedError) Hint() string  { return e.next }
func (e *failedError) Code() int     { return 1 }
