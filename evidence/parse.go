// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// What is read of others is bounded: in bytes, as GitHub bounds attestations, and in depth.
const (
	MaxBytes = 16 << 20
	maxDepth = 64
)

var errTooBig = fmt.Errorf("more than %d MiB", MaxBytes>>20)

// ErrForm is the condition that bytes are no document, or one that two readers could
// understand in two ways.
var ErrForm = errors.New("no document")

// OtherError means a sound statement of a kind that this package does not know, such as
// another tool's.
type OtherError struct{ PredicateType string }

func (e *OtherError) Error() string { return fmt.Sprintf("a statement of type %q", e.PredicateType) }

// Parse reads what an artifact of a type holds: an SPDX document, or a statement, as is also the
// payload of a signature ([InToto]). The bytes may be anybody's. The error wraps [ErrForm] or is
// an [OtherError].
func Parse(artifactType string, data []byte) (Document, error) {
	if err := check(data); err != nil {
		return Document{}, fmt.Errorf("%w: %w", ErrForm, err)
	}
	var d Document
	var err error
	switch artifactType {
	case SPDX:
		d, err = parseSPDX(data)
	case InToto:
		d, err = parseStatement(data)
	default:
		err = fmt.Errorf("artifacts of type %q hold none", artifactType)
	}
	if err == nil {
		err = d.Subject.check()
	}
	if other := (*OtherError)(nil); errors.As(err, &other) {
		return Document{}, err
	}
	if err != nil {
		return Document{}, fmt.Errorf("%w: %w", ErrForm, err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, d.Predicate); err != nil {
		return Document{}, fmt.Errorf("%w: %w", ErrForm, err)
	}
	d.Predicate = compact.Bytes()
	return d, nil
}

func parseStatement(data []byte) (Document, error) {
	var s statement
	if err := json.Unmarshal(data, &s); err != nil {
		return Document{}, err
	}
	switch {
	case s.Type != statementType:
		return Document{}, fmt.Errorf("_type is %q, want %q", s.Type, statementType)
	case kindOf(s.PredicateType) == "":
		return Document{}, &OtherError{s.PredicateType}
	case len(s.Subject) != 1:
		return Document{}, fmt.Errorf("%d subjects, want 1", len(s.Subject))
	case !bytes.HasPrefix(bytes.TrimSpace(s.Predicate), []byte("{")):
		return Document{}, errors.New("the predicate is no object")
	}
	of := s.Subject[0]
	return Document{
		Kind: kindOf(s.PredicateType), Subject: Subject{of.Name, "sha256:" + of.Digest["sha256"]}, Predicate: s.Predicate,
	}, nil
}

// spdx is as much of an SPDX document as tells what it is about: the package that the document
// describes, whose name is the repository and whose checksum is the digest of the manifest.
// Source: SPDX 2.3, clauses 6, 7 and 11.
type spdx struct {
	Version      string `json:"spdxVersion"`
	ID           string `json:"SPDXID"`
	CreationInfo struct {
		Created time.Time `json:"created"`
	} `json:"creationInfo"`
	Packages []struct {
		ID        string `json:"SPDXID"`
		Name      string `json:"name"`
		Purpose   string `json:"primaryPackagePurpose"`
		Checksums []struct {
			Algorithm string `json:"algorithm"`
			Value     string `json:"checksumValue"`
		} `json:"checksums"`
	} `json:"packages"`
	Relationships []struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	} `json:"relationships"`
}

func parseSPDX(data []byte) (Document, error) {
	var s spdx
	if err := json.Unmarshal(data, &s); err != nil {
		return Document{}, err
	}
	if s.Version != "SPDX-2.3" {
		return Document{}, fmt.Errorf("spdxVersion is %q, want SPDX-2.3", s.Version)
	}
	var described []string
	for _, r := range s.Relationships {
		if r.From == s.ID && r.Type == "DESCRIBES" {
			described = append(described, r.To)
		}
	}
	if len(described) != 1 {
		return Document{}, fmt.Errorf("it describes %d packages, want 1", len(described))
	}
	d := Document{Kind: SBOM, Created: s.CreationInfo.Created, Predicate: data}
	for _, p := range s.Packages {
		for _, sum := range p.Checksums {
			if p.ID == described[0] && sum.Algorithm == "SHA256" {
				d.Subject = Subject{p.Name, "sha256:" + sum.Value}
			}
		}
	}
	return d, nil
}

// check reports bytes that are not one JSON value, of text, or in which an object has a key
// twice: readers take the first or the last, and Go's take keys for equal that differ in case.
func check(data []byte) error {
	switch {
	case len(data) > MaxBytes:
		return errTooBig
	case !utf8.Valid(data):
		return errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return fmt.Errorf("more than %d levels deep", maxDepth)
	}
	keys := map[string]bool{}
	for dec.More() {
		if open == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			folded := strings.ToLower(strings.ToUpper(fmt.Sprint(key)))
			if keys[folded] {
				return fmt.Errorf("key %q is there twice", key)
			}
			keys[folded] = true
		}
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token() // its end
	return err
}
