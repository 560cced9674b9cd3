// SPDX-License-Identifier: Apache-2.0

// Package transfer copies an image from one repository to another with all that is attached to it.
//
// [New] makes a [Copier]; [Copier.Look] reads what there is and what the other side lacks of it, a
// [Plan], and [Copier.Run] looks and then does it. It promises:
//
//   - Manifests are the same to the byte, so digests are too: the image or the index of images,
//     what is attached to each of them, and what is attached to that.
//   - Where the other registry has no referrers API, the lists of what is attached are made there,
//     and they are read where the first one has none.
//   - What is there is not sent again: to go on is to run it again. Blobs of one registry are mounted.
//   - The tag moves last, when all has been read back.
//
// What a list names and what is not there whole, or is attached to something else, is left, and said.
package transfer

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
)

// Options are what is copied, and where to.
type Options struct {
	From     name.Reference
	To       name.Repository
	Tag      string // of the image there; "" gives it none
	Registry registry.Options
	Show     record.Show // nil shows nothing
}

// Phase is how far a phase came.
type Phase = record.Phase

// The phases, in their order.
const (
	Looking  = "look"
	Upload   = "upload"    // blobs
	Putting  = "manifests" // and the lists of what is attached
	ReadBack = "read back"
	Tagging  = "tag"
)

// Plan is what there is to copy.
type Plan struct {
	From      string     `json:"from"` // repository
	To        string     `json:"to"`   // repository
	Digest    string     `json:"digest"`
	Tag       *Tag       `json:"tag"`       // null if the image gets none
	Manifests []Manifest `json:"manifests"` // what a manifest names, or is attached to, comes before it; never null
	Blobs     []Blob     `json:"blobs"`     // never null
	Left      []string   `json:"left"`      // what is listed as attached and is not, or cannot be copied, and why; never null
	Totals    Totals     `json:"totals"`
}

// Totals are sums over all of a plan.
type Totals struct {
	Manifests   int   `json:"manifests"`
	Attached    int   `json:"attached"` // of these
	New         int   `json:"new"`      // of these
	Bytes       int64 `json:"bytes"`    // of blobs
	UploadBytes int64 `json:"upload_bytes"`
}

// sum fills the totals.
func (p *Plan) sum() {
	t := Totals{Manifests: len(p.Manifests)}
	for _, m := range p.Manifests {
		if m.Subject != "" {
			t.Attached++
		}
		if m.State == StateNew {
			t.New++
		}
	}
	for _, b := range p.Blobs {
		t.Bytes += b.Size
		if b.How == ByUpload {
			t.UploadBytes += b.Size
		}
	}
	p.Totals = t
}

// What becomes of a manifest or a tag.
const (
	StateNew   = "new"
	StateThere = "there"
	StateMoved = "moved"
)

// Tag is what becomes of the tag.
type Tag struct {
	Name  string  `json:"name"`
	From  *string `json:"from"` // the digest that it names now, null if there is no such tag
	State string  `json:"state"`
}

// Manifest is one of an image, of an index, or of what is attached to one.
type Manifest struct {
	Digest    string `json:"digest"`
	MediaType string `json:"media_type"`
	Subject   string `json:"subject"` // the digest of what it is attached to, "" if it is not
	Type      string `json:"type"`    // of what is attached, "" of what is not
	State     string `json:"state"`
}

// How a blob gets to where it is to be.
const (
	ByMount  = "mount"
	ByUpload = "upload"
)

// Blob is a layer or a configuration.
type Blob struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	How    string `json:"how"` // there, mount or upload
}

// Copier copies an image.
type Copier struct {
	Options

	from, to side
	root     v1.Descriptor // the image
	tree     *tree
}

// side is a repository, to read from or to write to.
type side struct {
	repo     name.Repository
	puller   *remote.Puller
	pusher   *remote.Pusher
	attached *referrer.Repository
}

// New returns a copier. It asks nothing of the registries.
func New(ctx context.Context, o Options) (*Copier, error) {
	if o.Show == nil {
		o.Show = func(Phase, bool) {}
	}
	from, err := open(ctx, o.From.Context(), o.Registry)
	if err != nil {
		return nil, err
	}
	to, err := open(ctx, o.To, o.Registry)
	return &Copier{Options: o, from: from, to: to}, err
}

func open(ctx context.Context, repo name.Repository, o registry.Options) (s side, err error) {
	s.repo = repo
	client, err := registry.New(ctx, repo, o)
	if err != nil {
		return s, err
	}
	if s.puller, s.pusher, err = client.Remotes(remote.WithTransport(image.Bounded(client))); err != nil {
		return s, err
	}
	s.attached, err = referrer.Open(repo, client)
	return s, err
}

// head is what stands under a reference, nil if nothing does.
func (s side) head(ctx context.Context, ref name.Reference) (*v1.Descriptor, error) {
	d, err := s.puller.Head(ctx, ref)
	if registry.Absent(err) {
		return nil, nil
	}
	return d, err
}

// blob reports whether the repository has a blob of that size.
func (s side) blob(ctx context.Context, d v1.Descriptor) (bool, error) {
	layer, err := s.puller.Layer(ctx, s.repo.Digest(d.Digest.String()))
	if err != nil {
		return false, err
	}
	size, err := layer.Size()
	if registry.Absent(err) {
		return false, nil
	}
	if err == nil && size >= 0 && size != d.Size {
		err = refuse(s.repo.Name()+" says that blob "+d.Digest.String()+" has another size than the manifest", "")
	}
	return err == nil, err
}

// RefusedError is a copy that cannot be: exit code 1.
type RefusedError struct {
	text, hint string
	cause      error
}

// Error implements error.
func (e *RefusedError) Error() string { return e.text }

// Hint says what to do.
func (e *RefusedError) Hint() string { return e.hint }

// Code is that of something that was checked.
func (e *RefusedError) Code() int { return 1 }

// Unwrap returns what a registry said, nil if it was not one that refused.
func (e *RefusedError) Unwrap() error { return e.cause }

func refuse(text, hint string) error { return &RefusedError{text: text, hint: hint} }
