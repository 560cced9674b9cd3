// SPDX-License-Identifier: Apache-2.0

package sign

import "encoding/json"

// PredicateAnnotation is in which of them a list says the type of the statement.
const PredicateAnnotation = "dev.sigstore.bundle.predicateType"

// BundleAnnotations are those that cosign gives to the manifest of an artifact that holds a
// bundle of this statement, but for the time, which is the caller's.
func BundleAnnotations(text []byte) map[string]string {
	annotations := map[string]string{"dev.sigstore.bundle.content": "dsse-envelope"}
	var s struct{ PredicateType string }
	if json.Unmarshal(text, &s) == nil && s.PredicateType != "" {
		annotations[PredicateAnnotation] = s.PredicateType
	}
	return annotations
}
