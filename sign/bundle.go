// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/cudabuild/cudabuild/internal/strict"
)

// BundleType is the media type of a bundle, and the artifactType of an OCI artifact that has
// one as its only layer.
const BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// payloadType is the media type of statements in envelopes.
const payloadType = "application/vnd.in-toto+json"

// bundle is as much as we need of https://github.com/sigstore/protobuf-specs,
// protos/sigstore_bundle.proto: what belongs to logs and certificates is left out and not read.
type bundle struct {
	MediaType string   `json:"mediaType"`
	Material  material `json:"verificationMaterial"`
	Envelope  envelope `json:"dsseEnvelope"`
}

type material struct {
	PublicKey publicKey `json:"publicKey"`
}

type publicKey struct {
	Hint string `json:"hint"`
}

type envelope struct {
	Payload     []byte      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	Sig []byte `json:"sig"`
}

// ErrOther is in the error about a bundle that is in order and holds something else than one statement with one
// signature, such as the signature of a file.
var ErrOther = errors.New("no bundle of a signed statement")

// Bundle signs an in-toto statement.
func (k *Key) Bundle(statement []byte) ([]byte, error) {
	sig, err := k.sign(dsse.PAE(payloadType, statement))
	if err != nil {
		return nil, err
	}
	return json.Marshal(bundle{
		MediaType: BundleType,
		Material:  material{publicKey{k.public.hint}},
		Envelope:  envelope{statement, payloadType, []signature{{sig}}},
	})
}

// Open verifies a bundle and returns the statement in it. The error of one that is in order
// but not signed by p wraps [ErrSignature].
func (p Public) Open(data []byte) (statement []byte, err error) {
	s, err := Read(data)
	if err != nil {
		return nil, err
	}
	if !p.HasSigned(s) {
		return nil, fmt.Errorf("bundle: %w", ErrSignature)
	}
	return s.Statement, nil
}

// Signed is what a bundle holds. Nothing of it is verified.
type Signed struct {
	Statement []byte
	Hint      string // the [Public.Hint] of the key that has signed it, as the bundle says

	signature []byte
}

// HasSigned reports whether p has signed the statement of a bundle.
func (p Public) HasSigned(s Signed) bool {
	return p.verify(dsse.PAE(payloadType, s.Statement), s.signature)
}

// maxValues bounds what a bundle holds: one with a certificate and the proofs of a log has some hundred values.
const maxValues = 10_000

// Read reads a bundle that has a statement and one signature. It is an error if two readers could understand it in
// two ways.
func Read(data []byte) (Signed, error) {
	ambiguous := strict.Check(data, maxValues)
	if errors.Is(ambiguous, strict.ErrMany) {
		return Signed{}, fmt.Errorf("%w: more than %d values", ErrOther, maxValues)
	}
	var b bundle
	err := json.Unmarshal(data, &b)
	switch e := b.Envelope; {
	case err != nil:
		return Signed{}, fmt.Errorf("bundle: %w", err)
	case b.MediaType != BundleType:
		return Signed{}, fmt.Errorf("%w: media type %.100q, want %q", ErrOther, b.MediaType, BundleType)
	case e.PayloadType != payloadType:
		return Signed{}, fmt.Errorf("%w: payload of type %.100q, want %q", ErrOther, e.PayloadType, payloadType)
	case len(e.Signatures) != 1:
		return Signed{}, fmt.Errorf("%w: %d signatures, want 1", ErrOther, len(e.Signatures))
	case ambiguous != nil:
		return Signed{}, fmt.Errorf("bundle: %w", ambiguous)
	}
	return Signed{b.Envelope.Payload, b.Material.PublicKey.Hint, b.Envelope.Signatures[0].Sig}, nil
}
