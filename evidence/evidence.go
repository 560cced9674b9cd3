// SPDX-License-Identifier: Apache-2.0

// Package evidence makes and reads the documents that travel with an image: what is in it
// ([SBOM]), how it was built ([Provenance]), that the gates let it through ([VSA]), what the
// verifier found ([Report]) and what ran on GPUs ([Rows]); and that a key's owner signed it
// ([Signature]). docs/evidence.md says what each holds.
//
// A [Document] is about one image or index, by digest. [Document.Statement] is what is signed,
// [Document.Bare] what an artifact holds that is not; [Parse] reads both back, of whomever, and
// [Document.Says] says what it says and whether it holds; [Read] does both at once.
//
// It promises that the same inputs give the same bytes, on any machine, in any folder and at
// any time: no document has a time but that of the image and those inside rows, and none but rows
// has a path, a host's name, a mirror or a proxy. It does no I/O, and it signs nothing.
package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/internal/strict"
)

// Kind is what a document says of an image.
type Kind string

// The kinds.
const (
	SBOM       Kind = "sbom"
	Provenance Kind = "provenance"
	VSA        Kind = "vsa"
	Report     Kind = "report"
	Rows       Kind = "rows"
	Signature  Kind = "signature" // what `cosign sign` signs: nothing, but of this image
)

// page describes every document; addresses in documents are those of its sections.
const page = "https://github.com/cudabuild/cudabuild/blob/main/docs/evidence.md"

// predicates are the kinds in the order in which people read them.
var predicates = []struct {
	kind Kind
	is   string // predicateType
}{
	{SBOM, "https://spdx.dev/Document"},
	{Provenance, "https://slsa.dev/provenance/v1"},
	{Report, page + "#report"},
	{Rows, page + "#rows"},
	{VSA, "https://slsa.dev/verification_summary/v1"},
	{Signature, "https://sigstore.dev/cosign/sign/v1"},
}

// Kinds are all kinds, in the order in which people read them.
func Kinds() (all []Kind) {
	for _, p := range predicates {
		all = append(all, p.kind)
	}
	return all
}

// PredicateType is the kind by the name that other tools know.
func (k Kind) PredicateType() string {
	for _, p := range predicates {
		if p.kind == k {
			return p.is
		}
	}
	return ""
}

// KindOf is the kind of a predicateType, "" if it is none of ours.
func KindOf(predicateType string) Kind {
	for _, p := range predicates {
		if p.is == predicateType {
			return p.kind
		}
	}
	return ""
}

// Subject is what a document is about.
type Subject struct {
	Name   string // repository, without a tag
	Digest string // of the manifest or index, "sha256:..."
}

// Document is one piece of evidence. Equal documents have equal statements.
type Document struct {
	Kind    Kind
	Subject Subject
	// Created is the image's own date. A statement does not say it: it is zero in one that was read.
	Created   time.Time
	Predicate json.RawMessage // compact
}

// Types of artifacts and of their layers.
const (
	InToto = "application/vnd.in-toto+json"
	SPDX   = "application/spdx+json"
)

// Statements of in-toto.
// Source: in-toto attestation framework, spec/v1/statement.md.
const statementType = "https://in-toto.io/Statement/v1"

type statement struct {
	Type          string          `json:"_type"`
	Subject       []resource      `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// resource is a ResourceDescriptor.
// Source: in-toto attestation framework, spec/v1/resource_descriptor.md.
type resource struct {
	Name      string            `json:"name,omitempty"`
	URI       string            `json:"uri,omitempty"`
	Digest    map[string]string `json:"digest,omitempty"`
	MediaType string            `json:"mediaType,omitempty"`
}

// sha256 is the digest of a resource, "sha256:" if it has none.
func (r resource) sha256() string { return "sha256:" + r.Digest["sha256"] }

// Statement is the document as in-toto Statement, which is what a signature covers.
func (d Document) Statement() []byte {
	data, err := encode(statement{
		Type:          statementType,
		Subject:       []resource{{Name: d.Subject.Name, Digest: digests(d.Subject.Digest)}},
		PredicateType: d.Kind.PredicateType(), Predicate: d.Predicate,
	})
	if err != nil {
		panic(fmt.Sprintf("%s: predicate: %v", d.Kind, err)) // whoever makes documents makes JSON
	}
	return data
}

// Digest is that of the statement, by which other documents name this one.
func (d Document) Digest() string { return digestOf(d.Statement()) }

// Bare is what an artifact holds that nobody signed: an SBOM as tools for SBOMs read it, else
// the statement.
func (d Document) Bare() (artifactType, mediaType string, data []byte) {
	if d.Kind == SBOM {
		return SPDX, SPDX, d.Predicate
	}
	return InToto, InToto, d.Statement()
}

// NewSignature says nothing of an image; who signs it says that the image is signed.
func NewSignature(s Subject, created time.Time) Document {
	return Document{Kind: Signature, Subject: s, Created: created, Predicate: json.RawMessage("{}")}
}

// newDocument makes one of any predicate that can be JSON.
func newDocument(kind Kind, s Subject, created time.Time, predicate any) (Document, error) {
	if err := s.check(); err != nil {
		return Document{}, fmt.Errorf("%s: %w", kind, err)
	}
	data, err := encode(predicate)
	if err != nil {
		return Document{}, fmt.Errorf("%s: %w", kind, err)
	}
	if len(data) > MaxBytes {
		err = errTooBig
	} else {
		err = strict.Check(data, maxValues-maxAround)
	}
	if err != nil { // who reads it would not take it
		return Document{}, fmt.Errorf("%s of %s@%s: %w", kind, s.Name, s.Digest, err)
	}
	return Document{Kind: kind, Subject: s, Created: created, Predicate: data}, nil
}

// uri is the subject as a package URL.
func (s Subject) uri() string {
	return purl{kind: "oci", name: baseOf(s.Name), version: s.Digest, more: [][2]string{{"repository_url", s.Name}}}.String()
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (s Subject) check() error {
	switch {
	case s.Name == "":
		return errors.New("the subject has no name")
	case !digestForm.MatchString(s.Digest):
		return fmt.Errorf("the subject's digest is %q, want sha256 and 64 hexadecimal digits", s.Digest)
	}
	return nil
}

// digests is a digest as in-toto writes it.
func digests(digest string) map[string]string {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok {
		return nil
	}
	return map[string]string{algorithm: hex}
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// encode is the one way in which documents become bytes: compact, maps sorted, nothing escaped
// that JSON does not want escaped.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return slices.Clip(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}
