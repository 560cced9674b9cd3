// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
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
	var read func([]byte) (Document, error)
	switch artifactType {
	case SPDX:
		read = parseSPDX
	case InToto:
		read = parseStatement
	default:
		return Document{}, other("artifacts of type %.100q hold none", artifactType)
	}
	if len(data) > MaxBytes {
		return Document{}, other("%w", errTooBig)
	}
	d, err := read(data)
	if err == nil {
		err = check(data)
	}
	var compact bytes.Buffer
	if err == nil {
		err = json.Compact(&compact, d.Predicate)
	}
	switch {
	case errors.Is(err, ErrOther):
		return Document{}, err
	case err != nil:
		return Document{}, fmt.Errorf("%w: %w", ErrForm, err)
	}
	d.Predicate = compact.Bytes()
	return d, nil
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

func parseStatement(data []byte) (Document, error) {
	var s statement
	if err := unmarshal(data, &s); err != nil {
		return Document{}, err
	}
	kind := kindOf(s.PredicateType)
	switch {
	case s.Type != statementType:
		return Document{}, other("_type is %.100q, want %q", s.Type, statementType)
	case kind == "":
		return Document{}, other("a statement of type %.100q", s.PredicateType)
	case len(s.Subject) != 1:
		return Document{}, other("%d subjects, want 1", len(s.Subject))
	case !bytes.HasPrefix(bytes.TrimSpace(s.Predicate), []byte("{")):
		return Document{}, other("the predicate is no object")
	}
	of := Subject{s.Subject[0].Name, s.Subject[0].sha256()}
	if !digestForm.MatchString(of.Digest) || len(of.Name) > maxName {
		return Document{}, other("its subject is %.100q, with digest %.80q", of.Name, of.Digest)
	}
	d := Document{Kind: kind, Subject: of, Predicate: s.Predicate}
	return d, d.ours()
}

// ours is the error of a predicate that says that another tool has made it, or does not say that this
// one has: of some types there are many makers. A later version of ours is another tool's.
func (d Document) ours() error {
	switch d.Kind {
	case SBOM:
		var s spdx
		return cmp.Or(unmarshal(d.Predicate, &s), s.ours())
	case Provenance:
		var p provenance
		return cmp.Or(unmarshal(d.Predicate, &p), mark("buildType", p.Definition.Type, page+"#provenance"))
	case VSA:
		var v vsa
		return cmp.Or(unmarshal(d.Predicate, &v), mark("verifier", v.Verifier.ID, page+"#vsa"))
	case Report:
		var r report
		return cmp.Or(unmarshal(d.Predicate, &r), mark("version", r.Version, 1))
	case Rows:
		var r rows
		return cmp.Or(unmarshal(d.Predicate, &r), mark("version", r.Version, 1))
	}
	return nil
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

func parseSPDX(data []byte) (Document, error) {
	var s spdx
	if err := cmp.Or(unmarshal(data, &s), s.ours()); err != nil {
		return Document{}, err
	}
	of, err := s.subject()
	return Document{Kind: SBOM, Subject: of, Created: s.CreationInfo.Created, Predicate: data}, err
}

// check reports bytes that are not one JSON value, of text, or in which an object has a key
// twice: readers take the first or the last, and Go's take keys for equal that differ in case.
func check(data []byte) error {
	if !utf8.Valid(data) {
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
