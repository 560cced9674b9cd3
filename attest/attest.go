// SPDX-License-Identifier: Apache-2.0

// Package attest attaches evidence to images in a registry, and reads it back.
//
// [Repository.Find] says which pieces are there already, [Repository.Attach] attaches one:
// as it is, or signed if there is a key. [Look] says of an image and all its platforms what is
// there, by whom it is signed, what is missing and what does not hold; a [Looker] of many images of one repository.
//
// It promises that no piece is attached twice: one that is there is left alone, be it byte for
// byte the same or signed by the same key, whoever has made that signature.
package attest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/sign"
)

// Annotations of artifacts.
const (
	createdAnnotation   = "org.opencontainers.image.created"
	predicateAnnotation = "in-toto.io/predicate-type"
)

// Piece is a document about an image, or the signature of one, as it is to be attached.
type Piece struct {
	Kind    evidence.Kind
	Subject v1.Descriptor

	predicate string // type of
	statement []byte // nil of a piece that was made elsewhere
	created   string
	bare      referrer.Artifact // of a document
}

// Document is a piece for the image of a descriptor, which must be the document's subject.
func Document(d evidence.Document, subject v1.Descriptor) Piece {
	kind, mediaType, data := d.Bare()
	created := d.Created.UTC().Format(time.RFC3339)
	return Piece{
		Kind: d.Kind, Subject: subject, predicate: d.Kind.PredicateType(), statement: d.Statement(), created: created,
		bare: referrer.Artifact{Type: kind, MediaType: mediaType, Data: data, Annotations: map[string]string{
			predicateAnnotation: d.Kind.PredicateType(), createdAnnotation: created,
		}},
	}
}

// Signed is the signature of an image in a repository, which only a key can make.
func Signed(repo string, subject v1.Descriptor, created time.Time) Piece {
	return Document(evidence.NewSignature(evidence.Subject{Name: repo, Digest: subject.Digest.String()}, created), subject)
}

// Elsewhere is a document that somebody else made of an image: any of that kind. It can be found, and not attached.
func Elsewhere(kind evidence.Kind, subject v1.Descriptor) Piece {
	return Piece{Kind: kind, Subject: subject, predicate: kind.PredicateType()}
}

// Elsewhere reports whether a piece was made by [Elsewhere].
func (p Piece) Elsewhere() bool { return p.statement == nil }

// Repository is where pieces are attached to images.
type Repository struct {
	refs *referrer.Repository
	key  *sign.Key
}

// Open returns a repository. With a key each piece is signed, nil leaves them as they are.
func Open(repo name.Repository, client *registry.Client, key *sign.Key) (*Repository, error) {
	refs, err := referrer.Open(repo, client)
	return &Repository{refs, key}, err
}

// artifact is a piece as it is stored.
func (r *Repository) artifact(p Piece) (referrer.Artifact, error) {
	if r.key == nil {
		return p.bare, nil
	}
	data, err := r.key.Bundle(p.statement)
	if err != nil {
		return referrer.Artifact{}, fmt.Errorf("%s: sign: %w", p.Kind, err)
	}
	annotations := map[string]string{createdAnnotation: p.created}
	maps.Copy(annotations, sign.BundleAnnotations(p.statement))
	return referrer.Artifact{Type: sign.BundleType, MediaType: sign.BundleType, Data: data, Annotations: annotations}, nil
}

// Find returns the digests of the artifacts that hold pieces of one subject already, in the
// order of the pieces; the zero value where there is none. What holds a piece is the artifact that
// would be attached, or a bundle of the same key that somebody else has made of the same statement.
// It counts once it was read: a registry that collects what has no tag may list it yet. What is not found when it has been
// attached is damaged: the registry has its manifest or its blob in other bytes, and keeps these.
func (r *Repository) Find(ctx context.Context, subject v1.Hash, pieces []Piece) ([]v1.Hash, error) {
	list, err := r.refs.List(ctx, subject)
	if err != nil {
		return nil, err
	}
	would, digests := make([]string, len(pieces)), make([]v1.Hash, len(pieces))
	for i, p := range pieces {
		if p.Elsewhere() {
			continue
		}
		digest, err := r.Digest(p)
		if err != nil {
			return nil, err
		}
		would[i] = digest.String()
	}
	for _, f := range list {
		if err := r.find(ctx, f, pieces, would, digests); err != nil {
			return nil, err
		}
	}
	return digests, nil
}

// find reads an artifact, if it can hold one of the pieces that were not found yet, and notes which it holds. One
// that is listed wrong, or damaged, holds none that can be attached again.
func (r *Repository) find(ctx context.Context, f referrer.Found, pieces []Piece, would []string, digests []v1.Hash) error {
	var asked []int
	for i, p := range pieces {
		if digests[i] == (v1.Hash{}) && (f.Wrong == "" || p.Elsewhere()) && (f.Digest == would[i] || r.may(f, p)) {
			asked = append(asked, i)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	a, err := r.refs.Read(ctx, f)
	switch {
	case registry.Unread(err):
		return err
	case err != nil: // damaged, or gone
		return nil
	}
	digest, err := v1.NewHash(f.Digest)
	for _, i := range asked {
		if f.Digest == would[i] || r.holds(a, pieces[i]) {
			digests[i] = digest
		}
	}
	return err
}

// may reports whether an artifact that is another than would be attached can hold a piece, by what the list says of it.
func (r *Repository) may(f referrer.Found, p Piece) bool {
	if f.Type == sign.BundleType {
		return r.key != nil && signs(f, p)
	}
	return r.key == nil && p.Elsewhere() && (f.Type == evidence.InToto || f.Type == evidence.SPDX)
}

// signs reports whether an artifact can be a bundle with a piece, by what the list says of it.
func signs(f referrer.Found, p Piece) bool {
	of := f.Annotations[sign.PredicateAnnotation]
	return f.Type == sign.BundleType && (of == p.predicate || of == "")
}

// Signed reports whether a piece is there as a list has it that somebody has signed, whoever that is.
func (r *Repository) Signed(ctx context.Context, p Piece) (bool, error) {
	list, err := r.refs.List(ctx, p.Subject.Digest)
	return slices.ContainsFunc(list, func(f referrer.Found) bool { return signs(f, p) }), err
}

// holds reports whether an artifact holds a piece; with a key in a bundle that is signed by it.
func (r *Repository) holds(a referrer.Artifact, p Piece) bool {
	of, data := a.Type, a.Data
	if of == sign.BundleType {
		if r.key == nil { // its list said that it is something else
			return false
		}
		var err error
		if data, err = r.key.Public().Open(data); err != nil {
			return false
		}
		of = evidence.InToto
	}
	if !p.Elsewhere() {
		return bytes.Equal(data, p.statement)
	}
	d, err := evidence.Parse(of, data)
	return err == nil && d.Kind == p.Kind && d.Subject.Digest == p.Subject.Digest.String()
}

// Digest is that of the artifact that [Repository.Attach] makes of a piece.
func (r *Repository) Digest(p Piece) (v1.Hash, error) {
	a, err := r.artifact(p)
	if err != nil {
		return v1.Hash{}, err
	}
	_, d := a.Manifest(p.Subject)
	return d.Digest, nil
}

// Attach attaches a piece to its subject. Errors are those of [referrer.Repository.Attach].
func (r *Repository) Attach(ctx context.Context, p Piece) (digest v1.Hash, added bool, err error) {
	a, err := r.artifact(p)
	if err != nil {
		return v1.Hash{}, false, err
	}
	return r.refs.Attach(ctx, p.Subject, a)
}

// Detach takes an artifact away from its subject, as [referrer.Repository.Detach] does.
func (r *Repository) Detach(ctx context.Context, subject, artifact v1.Hash) (was bool, err error) {
	return r.refs.Detach(ctx, subject, artifact)
}

// Save is [referrer.Repository.Save].
func (r *Repository) Save(ctx context.Context, subject v1.Hash) (again func(context.Context) error, err error) {
	return r.refs.Save(ctx, subject)
}
