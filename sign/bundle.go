// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
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
	b, err := read(data)
	if err != nil {
		return nil, err
	}
	if !p.verify(dsse.PAE(payloadType, b.Envelope.Payload), b.Envelope.Signatures[0].Sig) {
		return nil, fmt.Errorf("bundle: %w", ErrSignature)
	}
	return b.Envelope.Payload, nil
}

// Payload returns the statement in a bundle and the [Public.Hint] of the key that has signed
// it, as the bundle says. Nothing of that is verified.
func Payload(data []byte) (statement []byte, hint string, err error) {
	b, err := read(data)
	if err != nil {
		return nil, "", err
	}
	return b.Envelope.Payload, b.Material.PublicKey.Hint, nil
}

// read returns a bundle that has a statement and one signature.
func read(data []byte) (b bundle, err error) {
	if err := json.Unmarshal(data, &b); err != nil {
		return b, fmt.Errorf("bundle: %w", err)
	}
	switch e := b.Envelope; {
	case b.MediaType != BundleType:
		return b, fmt.Errorf("%w: media type %.100q, want %q", ErrOther, b.MediaType, BundleType)
	case e.PayloadType != payloadType:
		return b, fmt.Errorf("%w: payload of type %.100q, want %q", ErrOther, e.PayloadType, payloadType)
	case len(e.Signatures) != 1:
		return b, fmt.Errorf("%w: %d signatures, want 1", ErrOther, len(e.Signatures))
	}
	return b, nil
}
