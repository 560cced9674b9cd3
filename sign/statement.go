// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"encoding/json"
	"strings"
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	// signPredicate is cosign's, of a statement that says of its subject that it is signed.
	signPredicate = "https://sigstore.dev/cosign/sign/v1"
)

type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     struct{}  `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// ImageStatement is the statement that `cosign sign` signs of an image: digest is
// "sha256:HEX", name its repository.
func ImageStatement(name, digest string) []byte {
	algorithm, hex, _ := strings.Cut(digest, ":")
	data, err := json.Marshal(statement{
		Type:          statementType,
		Subject:       []subject{{name, map[string]string{algorithm: hex}}},
		PredicateType: signPredicate,
	})
	if err != nil {
		panic(err) // strings only
	}
	return data
}

// BundleAnnotations are those that cosign gives to the manifest of an artifact that holds a
// bundle of this statement, but for the time, which is the caller's.
func BundleAnnotations(text []byte) map[string]string {
	annotations := map[string]string{"dev.sigstore.bundle.content": "dsse-envelope"}
	var s struct{ PredicateType string }
	if json.Unmarshal(text, &s) == nil && s.PredicateType != "" {
		annotations["dev.sigstore.bundle.predicateType"] = s.PredicateType
	}
	return annotations
}
