// SPDX-License-Identifier: Apache-2.0

// Package attest attaches evidence to images in a registry, and reads it back.
//
// [Repository.Find] says which pieces are there already, [Repository.Attach] attaches one:
// as it is, or signed if there is a key. [Look] says of an image and all its platforms what is
// there, by whom it is signed, what is missing and what does not hold.
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

// Signature is the kind of what `cosign sign` makes, beside those of documents.
const Signature evidence.Kind = "signature"

// signPredicate is the predicateType of [sign.ImageStatement].
const signPredicate = "https://sigstore.dev/cosign/sign/v1"

// Annotations of artifacts.
const (
	createdAnnotation   = "org.opencontainers.image.created"
	predicateAnnotation = "in-toto.io/predicate-type"
)

// Piece is a document about an image, or the signature of one, as it is to be attached.
type Piece struct {
	Kind    evidence.Kind
	Subject v1.Descriptor

	statement []byte
	created   string
	bare      referrer.Artifact // of a document
}

// Document is a piece for the image of a descriptor, which must be the document's subject.
func Document(d evidence.Document, subject v1.Descriptor) Piece {
	kind, mediaType, data := d.Bare()
	created := d.Created.UTC().Format(time.RFC3339)
	return Piece{
		Kind: d.Kind, Subject: subject, statement: d.Statement(), created: created,
		bare: referrer.Artifact{Type: kind, MediaType: mediaType, Data: data, Annotations: map[string]string{
			predicateAnnotation: d.Kind.PredicateType(), createdAnnotation: created,
		}},
	}
}

// Signed is the signature of an image in a repository, which only a key can make.
func Signed(repo string, subject v1.Descriptor, created time.Time) Piece {
	return Piece{Kind: Signature, Subject: subject, statement: sign.ImageStatement(repo, subject.Digest.String()), created: created.UTC().Format(time.RFC3339)}
}

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
// order of the pieces; the zero value where there is none.
func (r *Repository) Find(ctx context.Context, subject v1.Hash, pieces []Piece) ([]v1.Hash, error) {
	list, err := r.refs.List(ctx, subject)
	if err != nil {
		return nil, err
	}
	digests := make([]v1.Hash, len(pieces))
	for i, p := range pieces {
		if digests[i], err = r.find(ctx, list, p); err != nil {
			return nil, err
		}
	}
	return digests, nil
}

// find returns the artifact that holds a piece: the one that would be attached, or a bundle of
// the same key that somebody else has made of the same statement.
func (r *Repository) find(ctx context.Context, list []referrer.Found, p Piece) (v1.Hash, error) {
	digest, err := r.Digest(p)
	if err != nil || slices.ContainsFunc(list, func(f referrer.Found) bool { return f.Digest == digest.String() }) {
		return digest, err
	}
	if r.key == nil {
		return v1.Hash{}, nil
	}
	for _, f := range list {
		if f.Type != sign.BundleType {
			continue
		}
		a, err := r.refs.Read(ctx, f)
		if unread(err) {
			return v1.Hash{}, err
		}
		if statement, err := r.key.Public().Open(a.Data); err == nil && bytes.Equal(statement, p.statement) {
			return v1.NewHash(f.Digest)
		}
	}
	return v1.Hash{}, nil
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

// Detach takes an artifact away from its subject. It is no error if it is not there.
func (r *Repository) Detach(ctx context.Context, subject, artifact v1.Hash) error {
	return r.refs.Detach(ctx, subject, artifact)
}
