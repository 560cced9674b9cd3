// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Known is what is known now, when documents are read. What is nil or "" is not known, and makes
// nothing stale.
type Known struct {
	Rules  string  // version of the verifier's rules
	Policy *Policy // what is asked for
	// Images are the digests of the manifests and configurations of the subject, of an index of all
	// its images.
	Images []string
	// Attached are the digests of the documents that the subject has ([Document.Digest]).
	Attached []string
}

// Stale says why the document does not hold any more, or not for this image; "" if it does.
func (d Document) Stale(now Known) string {
	switch d.Kind {
	case Report:
		return stale(d, now, report.stale)
	case Rows:
		return stale(d, now, rows.stale)
	case VSA:
		return stale(d, now, vsa.stale)
	}
	return ""
}

func stale[T any](d Document, now Known, why func(T, Known) string) string {
	var predicate T
	if err := json.Unmarshal(d.Predicate, &predicate); err != nil {
		return "it is not as its type says: " + err.Error()
	}
	return why(predicate, now)
}

func (r report) stale(now Known) string {
	for _, i := range r.Images {
		switch {
		case now.Images != nil && !slices.Contains(now.Images, i.Digest):
			return fmt.Sprintf("it has a report on another image, %s", i.Digest)
		case now.Rules != "" && i.Rules != now.Rules:
			return fmt.Sprintf("its rules are %s, those of now %s: 'cudabuild verify' judges the image by these", i.Rules, now.Rules)
		}
	}
	return ""
}

func (r rows) stale(now Known) string {
	for _, row := range r.Rows {
		if now.Images != nil && !slices.Contains(now.Images, row.Digest) && (row.Config == "" || !slices.Contains(now.Images, row.Config)) {
			return fmt.Sprintf("it has a row of another image, %s", row.Digest)
		}
	}
	return ""
}

func (v vsa) stale(now Known) string {
	if asked := now.Policy; asked != nil && v.Policy.Digest["sha256"] != digests(asked.Digest())["sha256"] {
		return fmt.Sprintf("it is by another policy than that of now, %s", asked.Digest())
	}
	for _, in := range v.Inputs {
		if digest := "sha256:" + in.Digest["sha256"]; now.Attached != nil && !slices.Contains(now.Attached, digest) {
			return fmt.Sprintf("it goes by a %s that is not there, %s", in.Name, digest)
		}
	}
	return ""
}
