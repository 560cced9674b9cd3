// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/evidence"
)

// TestHolds: a document says of its image that it passed, or why not.
func TestHolds(t *testing.T) {
	t.Parallel()
	now := evidence.Known{Rules: "r1", Policy: policy.Digest(), Images: []evidence.Image{{Digest: subject.Digest, Config: judged("", 0).Config}}}
	with := func(edit func(*evidence.Known)) evidence.Known {
		k := now
		edit(&k)
		return k
	}
	strict := policy
	strict.Verify = "pass"
	index := with(func(k *evidence.Known) { k.Images = append(now.Images, evidence.Image{Digest: sha("b")}) })
	for name, test := range map[string]struct {
		kind         evidence.Kind
		old, changed string // in the predicate
		now          evidence.Known
		fault, stale string
	}{
		"SBOM of another":       {evidence.SBOM, sha("a")[7:] + `"}],"licenseConcluded"`, sha("c")[7:] + `"}],"licenseConcluded"`, now, "it describes another image, " + sha("c"), ""},
		"SBOM of one of two":    {evidence.SBOM, "", "", index, "it leaves out " + sha("b"), ""},
		"provenance of nothing": {evidence.Provenance, `"cell":"12.4-nbody-ubuntu22.04"`, `"cell":""`, now, "it names no cell, or no platform", ""},
		"report of another":     {evidence.Report, "", "", with(func(k *evidence.Known) { k.Images = []evidence.Image{{Digest: sha("c")}} }), "it has a report on another image, " + sha("a"), ""},
		"report of one of two":  {evidence.Report, "", "", index, "it leaves out " + sha("b"), ""},
		"report of a fail":      {evidence.Report, `"verdict":"pass"`, `"verdict":"fail"`, now, "its verdict on " + sha("a") + ` is "fail"`, ""},
		"report of who knows":   {evidence.Report, `"verdict":"pass"`, `"verdict":"unknown"`, now, "its verdict on " + sha("a") + ` is "unknown"`, ""},
		"report of none":        {evidence.Report, `"images":[`, `"images":[],"more":[`, now, "it has a report on no image", ""},
		"report by other rules": {evidence.Report, "", "", with(func(k *evidence.Known) { k.Rules = "r2" }), "", "its rules are r1, those of now r2: 'cudabuild verify' judges the image by these"},
		"rows of another": {evidence.Rows, "", "", with(func(k *evidence.Known) {
			k.Images = now.Images[:0:0]
			k.Images = append(k.Images, evidence.Image{Digest: sha("c")})
		}), "it has a row of another image, sha256:other", ""},
		"rows of none":           {evidence.Rows, `"rows":[`, `"rows":[],"more":[`, now, "it has no row", ""},
		"VSA that failed":        {evidence.VSA, `"PASSED"`, `"FAILED"`, now, `it says "FAILED", and of levels ["CUDABUILD_GATES_PASSED"]; the gates let through what is PASSED and CUDABUILD_GATES_PASSED`, ""},
		"VSA of another level":   {evidence.VSA, `["CUDABUILD_GATES_PASSED"]`, `["SLSA_BUILD_LEVEL_3"]`, now, `it says "PASSED", and of levels ["SLSA_BUILD_LEVEL_3"]; the gates let through what is PASSED and CUDABUILD_GATES_PASSED`, ""},
		"VSA of another":         {evidence.VSA, `"resourceUri":"pkg:oci/cuda@`, `"resourceUri":"pkg:oci/other@`, now, `it is about another resource, "pkg:oci/other@` + sha("a") + `?repository_url=ghcr.io%2Facme%2Fcuda"`, ""},
		"VSA by nothing":         {evidence.VSA, `"inputAttestations":[`, `"inputAttestations":[],"more":[`, now, "it goes by no report", ""},
		"VSA by rows alone":      {evidence.VSA, `"name":"report"`, `"name":"rows"`, now, "it goes by no report", ""},
		"VSA by something":       {evidence.VSA, `"name":"report"`, `"name":"x"`, now, `it goes by something that is no document, "x"`, ""},
		"VSA by no digest":       {evidence.VSA, `"inputAttestations":[{`, `"inputAttestations":[{"name":"report"},{`, now, `it goes by something that is no document, "report"`, ""},
		"VSA by very much":       {evidence.VSA, `"inputAttestations":[`, `"inputAttestations":[` + strings.Repeat("{},", 100), now, "it goes by 102 documents, more than 100", ""},
		"VSA by another policy":  {evidence.VSA, "", "", with(func(k *evidence.Known) { k.Policy = sha("d") }), "", "it is by another policy than the one that is asked for, " + sha("d")},
		"VSA of a stricter one":  {evidence.VSA, `"policy":{"verify":"warn"`, `"policy":{"verify":"pass"`, now, "its policy has digest " + strict.Digest() + ", and not " + policy.Digest() + " as it says", ""},
		"VSA where nothing asks": {evidence.VSA, "", "", evidence.Known{}, "", ""},
		"not as its type says":   {evidence.VSA, `"verifiedLevels":[`, `"verifiedLevels":3,"more":[`, with(func(k *evidence.Known) { k.Policy = "" }), "it is not as its type says: json: cannot unmarshal number into Go struct field vsa.verifiedLevels of type []string", ""},
	} {
		d := read(t, test.kind)
		if test.old != "" {
			if changed := bytes.Replace(d.Predicate, []byte(test.old), []byte(test.changed), 1); bytes.Equal(changed, d.Predicate) {
				t.Errorf("%s: %s is not in %s", name, test.old, d.Predicate)
			} else {
				d.Predicate = json.RawMessage(changed)
			}
		}
		got := d.Says(test.now)
		if diff := cmp.Diff([]string{test.fault, test.stale}, []string{got.Fault, got.Stale}); diff != "" {
			t.Errorf("%s: Fault, Stale (-want +got):\n%s", name, diff)
		}
	}
	for _, d := range append(all(t), evidence.NewSignature(subject, created)) {
		for _, known := range []evidence.Known{now, {}} {
			if got := d.Says(known); got.Fault+got.Stale != "" {
				t.Errorf("%s: %+v, want that it holds", d.Kind, got)
			}
		}
	}
}

// all are the goldens that are about one image.
func all(t *testing.T) (documents []evidence.Document) {
	for _, kind := range []evidence.Kind{evidence.SBOM, evidence.Provenance, evidence.Report, evidence.Rows, evidence.VSA} {
		documents = append(documents, read(t, kind))
	}
	return documents
}

// TestInputs: a summary goes by what is attached to its image, and by what is attached to others.
func TestInputs(t *testing.T) {
	t.Parallel()
	report, rows := read(t, evidence.Report), read(t, evidence.Rows)
	rows.Subject.Digest = sha("c")
	vsa, err := evidence.NewVSA(subject, created, policy, []string{"warn: pass"}, report, rows)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]evidence.Input{{Kind: evidence.Report, Digest: report.Digest()}}, vsa.Says(evidence.Known{}).Inputs); diff != "" {
		t.Errorf("Inputs (-want +got):\n%s", diff)
	}
	if got := report.Says(evidence.Known{}).Inputs; got != nil {
		t.Errorf("Inputs of a report = %v", got)
	}
}
