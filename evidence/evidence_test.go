// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/evidence"
)

var (
	subject = evidence.Subject{Name: "ghcr.io/acme/cuda", Digest: "sha256:" + strings.Repeat("a", 64)}
	created = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
)

const spdx = `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","creationInfo":{"created":"2026-11-20T08:00:00Z"},` +
	`"packages":[{"SPDXID":"SPDXRef-p","name":"gcc"},{"SPDXID":"SPDXRef-image","name":"ghcr.io/acme/cuda",` +
	`"checksums":[{"algorithm":"SHA256","checksumValue":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]}],` +
	`"relationships":[{"spdxElementId":"SPDXRef-image","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-p"},` +
	`{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-image"}]}`

// TestThereAndBack: what an artifact holds is read back as the document that it was made of.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for _, kind := range evidence.Kinds() {
		d := evidence.Document{Kind: kind, Subject: subject, Predicate: json.RawMessage(spdx)}
		for artifactType, data := range map[string][]byte{evidence.InToto: d.Statement(), bareType(d): bareData(d)} {
			want := d
			if artifactType == evidence.SPDX {
				want.Created = created
			}
			got, err := evidence.Parse(artifactType, data)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("Parse(%s, %s): %v (-want +got):\n%s", artifactType, kind, err, diff)
			}
		}
	}
}

func bareType(d evidence.Document) string {
	artifactType, _, _ := d.Bare()
	return artifactType
}

func bareData(d evidence.Document) []byte {
	_, _, data := d.Bare()
	return data
}

// TestStatement: other programs read these bytes, and signatures cover them.
func TestStatement(t *testing.T) {
	t.Parallel()
	d := evidence.Document{Kind: evidence.Report, Subject: subject, Created: created, Predicate: json.RawMessage(`{ "a": "<&>" }`)}
	want := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"ghcr.io/acme/cuda","digest":{"sha256":"` + strings.Repeat("a", 64) + `"}}],` +
		`"predicateType":"https://github.com/cudabuild/cudabuild/blob/main/docs/evidence.md#report","predicate":{"a":"<&>"}}`
	if diff := cmp.Diff(want, string(d.Statement())); diff != "" {
		t.Errorf("Statement (-want +got):\n%s", diff)
	}
}

// TestParseRefuses: what two readers could understand in two ways is no document.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := string(evidence.Document{Kind: evidence.VSA, Subject: subject, Predicate: json.RawMessage(`{"a":1}`)}.Statement())
	tests := map[string]struct{ artifactType, data, want string }{
		"type":          {"application/json", good, `artifacts of type "application/json" hold none`},
		"nothing":       {evidence.InToto, "", "EOF"},
		"half":          {evidence.InToto, good[:len(good)-1], "EOF"},
		"more":          {evidence.InToto, good + "{}", "something follows its end"},
		"not UTF-8":     {evidence.InToto, strings.Replace(good, "ghcr", "\xff", 1), "not UTF-8"},
		"twice":         {evidence.InToto, strings.Replace(good, `"subject"`, `"subject":[],"subject"`, 1), `key "subject" is there twice`},
		"in two cases":  {evidence.InToto, strings.Replace(good, `"subject"`, `"ſubject":[],"subject"`, 1), `key "subject" is there twice`},
		"deep":          {evidence.InToto, strings.Replace(good, "1}", strings.Repeat("[", 80)+strings.Repeat("]", 80)+"}", 1), "more than 64 levels deep"},
		"version":       {evidence.InToto, strings.Replace(good, "Statement/v1", "Statement/v0.1", 1), `_type is "https://in-toto.io/Statement/v0.1"`},
		"no subject":    {evidence.InToto, strings.Replace(good, `"subject"`, `"object"`, 1), "0 subjects, want 1"},
		"no name":       {evidence.InToto, strings.Replace(good, "ghcr.io/acme/cuda", "", 1), "the subject has no name"},
		"digest":        {evidence.InToto, strings.Replace(good, `"aaa`, `"AAA`, 1), "the subject's digest is"},
		"predicate":     {evidence.InToto, strings.Replace(good, `{"a":1}`, "[]", 1), "the predicate is no object"},
		"SPDX version":  {evidence.SPDX, strings.Replace(spdx, "SPDX-2.3", "SPDX-3.0", 1), `spdxVersion is "SPDX-3.0"`},
		"SPDX of none":  {evidence.SPDX, strings.Replace(spdx, "DESCRIBES", "OTHER", 1), "it describes 0 packages"},
		"SPDX checksum": {evidence.SPDX, strings.Replace(spdx, "SHA256", "SHA1", 1), "the subject has no name"},
		"big":           {evidence.InToto, strings.Repeat(" ", evidence.MaxBytes) + good, "more than 16 MiB"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := evidence.Parse(test.artifactType, []byte(test.data))
			if !errors.Is(err, evidence.ErrForm) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse = %v, want %q", err, test.want)
			}
		})
	}
	foreign := strings.Replace(good, "slsa.dev/verification_summary/v1", "cosign.sigstore.dev/attestation/v1", 1)
	_, err := evidence.Parse(evidence.InToto, []byte(foreign))
	if other := (*evidence.OtherError)(nil); !errors.As(err, &other) || other.PredicateType != "https://cosign.sigstore.dev/attestation/v1" {
		t.Errorf("Parse of another tool's statement = %v, want an OtherError", err)
	}
}

// FuzzEvidence: bytes are a document or an error, a document is read from its own
// statement as it is, and what it says fits a terminal.
func FuzzEvidence(f *testing.F) {
	f.Add(true, []byte(spdx))
	f.Add(false, evidence.Document{Kind: evidence.SBOM, Subject: subject, Predicate: json.RawMessage(spdx)}.Statement())
	for _, kind := range evidence.Kinds()[1:] {
		statement, err := os.ReadFile("testdata/" + string(kind) + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(false, statement)
	}
	f.Fuzz(func(t *testing.T, bare bool, data []byte) {
		artifactType := evidence.InToto
		if bare {
			artifactType = evidence.SPDX
		}
		d, err := evidence.Parse(artifactType, data)
		if err != nil {
			if diff := cmp.Diff(evidence.Document{}, d); diff != "" {
				t.Fatalf("an error, and a document:\n%s", diff)
			}
			return
		}
		if lines := d.Summary(); len(lines) > 20 || slices.Contains(lines, "") {
			t.Fatalf("Summary = %q", lines)
		}
		_ = d.Stale(evidence.Known{Rules: "r", Policy: &policy, Images: []string{subject.Digest}, Attached: []string{}})
		again, err := evidence.Parse(evidence.InToto, d.Statement())
		d.Created = time.Time{}
		if diff := cmp.Diff(d, again); diff != "" || err != nil {
			t.Fatalf("Parse of the statement: %v (-want +got):\n%s", err, diff)
		}
	})
}
