// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/internal/strict"
)

// What is read of others is bounded: in bytes, as GitHub bounds attestations, and in values, of which an SBOM of ours
// has one in 30 bytes.
const (
	MaxBytes  = 16 << 20
	maxValues = 600_000
	maxAround = 100 // values of a statement beside its predicate
)

var errTooBig = fmt.Errorf("more than %d MiB", MaxBytes>>20)

// What bytes are that are no document.
var (
	// ErrForm is the condition that they are no JSON, or are like a document and could be understood by
	// two readers in two ways.
	ErrForm = errors.New("no document")
	// ErrOther is the condition that they are something else than a document of cudabuild: whatever
	// other tools attach to images.
	ErrOther = errors.New("of another tool")
)

func other(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrOther, fmt.Errorf(format, args...))
}

// Parse reads what an artifact of a type holds: an SPDX document, or a statement, as is also the
// payload of a signature ([InToto]). The bytes may be anybody's. The error wraps [ErrForm] or [ErrOther].
func Parse(artifactType string, data []byte) (Document, error) {
	d, _, err := parse(artifactType, data)
	return d, err
}

// Read is Parse, and says what the document says and what it is worth, as [Document.Says] does: it decodes it once.
func Read(artifactType string, data []byte, now Known) (Document, Says, error) {
	d, p, err := parse(artifactType, data)
	if err != nil {
		return Document{}, Says{}, err
	}
	return d, says(p, d.Subject, now), nil
}

func parse(artifactType string, data []byte) (Document, predicate, error) {
	var read func([]byte) (Document, predicate, error)
	switch artifactType {
	case SPDX:
		read = parseSPDX
	case InToto:
		read = parseStatement
	default:
		return Document{}, nil, other("artifacts of type %.100q hold none", artifactType)
	}
	if len(data) > MaxBytes {
		return Document{}, nil, other("%w", errTooBig)
	}
	ambiguous := strict.Check(data, maxValues)
	if errors.Is(ambiguous, strict.ErrMany) {
		return Document{}, nil, other("more than %d values", maxValues)
	}
	d, p, err := read(data)
	if err == nil {
		err = ambiguous
	}
	switch {
	case errors.Is(err, ErrOther):
		return Document{}, nil, err
	case err != nil:
		return Document{}, nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return d, p, nil
}

// compact is JSON without what no reader sees.
func compact(data []byte) (json.RawMessage, error) {
	var b bytes.Buffer
	err := json.Compact(&b, data)
	return b.Bytes(), err
}

// unmarshal reads JSON. What is of another shape is somebody else's.
func unmarshal(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	if syntax := (*json.SyntaxError)(nil); err != nil && !errors.As(err, &syntax) {
		return other("%w", err)
	}
	return err
}

// maxName bounds the name of a repository, with that of its registry.
const maxName = 512

func parseStatement(data []byte) (Document, predicate, error) {
	var s statement
	if err := unmarshal(data, &s); err != nil {
		return Document{}, nil, err
	}
	kind := KindOf(s.PredicateType)
	switch {
	case s.Type != statementType:
		return Document{}, nil, other("_type is %.100q, want %q", s.Type, statementType)
	case kind == "":
		return Document{}, nil, other("a statement of type %.100q", s.PredicateType)
	case len(s.Subject) != 1:
		return Document{}, nil, other("%d subjects, want 1", len(s.Subject))
	case !bytes.HasPrefix(bytes.TrimSpace(s.Predicate), []byte("{")):
		return Document{}, nil, other("the predicate is no object")
	}
	of := Subject{s.Subject[0].Name, s.Subject[0].sha256()}
	if !digestForm.MatchString(of.Digest) || len(of.Name) > maxName {
		return Document{}, nil, other("its subject is %.100q, with digest %.80q", of.Name, of.Digest)
	}
	raw, err := compact(s.Predicate)
	if err != nil {
		return Document{}, nil, err
	}
	p := kind.predicate()
	return Document{Kind: kind, Subject: of, Predicate: raw}, p, cmp.Or(unmarshal(raw, p), p.ours())
}

func mark[T comparable](what string, is, want T) error {
	if is != want {
		return other("%s is %.100q, want %q", what, fmt.Sprint(is), fmt.Sprint(want))
	}
	return nil
}

// spdx is as much of an SPDX document as tells what it is about: the package that the document
// describes, whose name is the repository and whose checksum is the digest of the manifest.
// Source: SPDX 2.3, clauses 6, 7 and 11.
type spdx struct {
	silent

	Version      string `json:"spdxVersion"`
	ID           string `json:"SPDXID"`
	CreationInfo struct {
		Created  time.Time `json:"created"`
		Creators []string  `json:"creators"`
	} `json:"creationInfo"`
	Packages      []spdxPackage `json:"packages"`
	Relationships []struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	} `json:"relationships"`
}

type spdxPackage struct {
	ID        string `json:"SPDXID"`
	Name      string `json:"name"`
	Purpose   string `json:"primaryPackagePurpose"`
	Checksums []struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	} `json:"checksums"`
}

// sha256 is a package's digest, "sha256:" if it has none.
func (p spdxPackage) sha256() string {
	for _, sum := range p.Checksums {
		if sum.Algorithm == "SHA256" {
			return "sha256:" + sum.Value
		}
	}
	return "sha256:"
}

func (s spdx) ours() error {
	if err := mark("spdxVersion", s.Version, "SPDX-2.3"); err != nil {
		return err
	}
	if !slices.ContainsFunc(s.CreationInfo.Creators, func(by string) bool { return strings.HasPrefix(by, creator) }) {
		return other("cudabuild is not among its creators, %.100q", s.CreationInfo.Creators)
	}
	_, err := s.subject()
	return err
}

// subject is what the document describes.
func (s spdx) subject() (Subject, error) {
	var described []string
	for _, r := range s.Relationships {
		if r.From == s.ID && r.Type == "DESCRIBES" {
			described = append(described, r.To)
		}
	}
	if len(described) != 1 {
		return Subject{}, other("it describes %d packages, want 1", len(described))
	}
	for _, p := range s.Packages {
		if p.ID == described[0] && digestForm.MatchString(p.sha256()) && len(p.Name) <= maxName {
			return Subject{p.Name, p.sha256()}, nil
		}
	}
	return Subject{}, other("it describes something without a SHA256")
}

func parseSPDX(data []byte) (Document, predicate, error) {
	raw, err := compact(data)
	var s spdx
	if err := cmp.Or(err, unmarshal(raw, &s), s.ours()); err != nil {
		return Document{}, nil, err
	}
	of, err := s.subject()
	return Document{Kind: SBOM, Subject: of, Created: s.CreationInfo.Created, Predicate: raw}, &s, err
}
