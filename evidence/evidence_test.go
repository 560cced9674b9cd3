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
	"github.com/cudabuild/cudabuild/internal/plain"
)

var (
	subject = evidence.Subject{Name: "ghcr.io/acme/cuda", Digest: "sha256:" + strings.Repeat("a", 64)}
	created = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
)

const page = "https://github.com/cudabuild/cudabuild/blob/main/docs/evidence.md"

// marks are by what documents of each kind are known for ours.
const marks = `"version":1,"verifier":{"id":"` + page + `#vsa"},"buildDefinition":{"buildType":"` + page + `#provenance"}`

const spdx = `{` + marks + `,"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","creationInfo":{"created":"2026-11-20T08:00:00Z","creators":["Person: x","Tool: cudabuild-v1"]},` +
	`"packages":[{"SPDXID":"SPDXRef-p","name":"gcc"},{"SPDXID":"SPDXRef-image","name":"ghcr.io/acme/cuda",` +
	`"checksums":[{"algorithm":"SHA256","checksumValue":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]}],` +
	`"relationships":[{"spdxElementId":"SPDXRef-image","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-p"},` +
	`{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-image"}]}`

// TestThereAndBack: what an artifact holds is read back as the document that it was made of.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for _, kind := range evidence.Kinds() {
		d := evidence.Document{Kind: kind, Subject: subject, Predicate: json.RawMessage(spdx)}
		if kind == evidence.Signature {
			d = evidence.NewSignature(subject, time.Time{})
		}
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

// TestSignature: these bytes are what cosign signs.
func TestSignature(t *testing.T) {
	t.Parallel()
	want := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"ghcr.io/acme/cuda","digest":{"sha256":"` + strings.Repeat("a", 64) + `"}}],` +
		`"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`
	if diff := cmp.Diff(want, string(evidence.NewSignature(subject, created).Statement())); diff != "" {
		t.Errorf("Statement (-want +got):\n%s", diff)
	}
}

// TestParseRefuses: what is not ours is of another tool, and what is and two readers could understand in two
// ways, or nobody, is no document.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := string(evidence.Document{Kind: evidence.VSA, Subject: subject, Predicate: json.RawMessage(`{"a":1,` + marks + `}`)}.Statement())
	of := func(kind evidence.Kind, predicate string) string {
		return string(evidence.Document{Kind: kind, Subject: subject, Predicate: json.RawMessage(predicate)}.Statement())
	}
	edit := func(text, old, now string) string {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("%q is not in %s", old, text)
		}
		return strings.Replace(text, old, now, 1)
	}
	for condition, tests := range map[error]map[string]struct{ artifactType, data, want string }{
		evidence.ErrForm: {
			"nothing":      {evidence.InToto, "", "unexpected end"},
			"half":         {evidence.InToto, good[:len(good)-1], "unexpected end"},
			"more":         {evidence.InToto, good + "{}", "after top-level value"},
			"not UTF-8":    {evidence.InToto, edit(good, "ghcr", "\xff"), "not UTF-8"},
			"twice":        {evidence.InToto, edit(good, `"subject"`, `"subject":[],"subject"`), `key "subject" is there twice`},
			"in two cases": {evidence.InToto, edit(good, `"a":1`, `"a":1,"A":2`), `key "A" is there twice`},
			"deep":         {evidence.InToto, edit(good, `"a":1`, `"a":`+strings.Repeat("[", 80)+strings.Repeat("]", 80)), "more than 64 levels deep"},
		},
		evidence.ErrOther: {
			"type":            {"application/json", good, `artifacts of type "application/json" hold none`},
			"big":             {evidence.InToto, strings.Repeat(" ", evidence.MaxBytes) + good, "more than 16 MiB"},
			"many packages":   {evidence.SPDX, edit(spdx, `"packages":[`, `"packages":[`+strings.Repeat("{},", 600_000)), "more than 600000 values"},
			"version":         {evidence.InToto, edit(good, "Statement/v1", "Statement/v0.1"), `_type is "https://in-toto.io/Statement/v0.1"`},
			"predicateType":   {evidence.InToto, edit(good, "slsa.dev/verification_summary/v1", "cosign.sigstore.dev/attestation/v1"), `type "https://cosign.sigstore.dev/attestation/v1"`},
			"no subject":      {evidence.InToto, edit(good, `"subject"`, `"object"`), "0 subjects, want 1"},
			"two subjects":    {evidence.InToto, edit(good, `"subject":[`, `"subject":[{},`), "2 subjects, want 1"},
			"subject":         {evidence.InToto, edit(good, `"subject":[`, `"subject":[1,`), "cannot unmarshal number"},
			"digest":          {evidence.InToto, edit(good, `"aaa`, `"AAA`), "with digest"},
			"predicate":       {evidence.InToto, good[:strings.Index(good, `{"a"`)] + `"text"}`, "the predicate is no object"},
			"of nothing":      {evidence.InToto, of(evidence.VSA, "{}"), `verifier is ""`},
			"verifier":        {evidence.InToto, of(evidence.VSA, `{"verifier":{"id":"https://example.com"}}`), `verifier is "https://example.com"`},
			"buildType":       {evidence.InToto, of(evidence.Provenance, `{"buildDefinition":{"buildType":"https://mobyproject.org/buildkit@v1"}}`), "buildType is"},
			"predicate shape": {evidence.InToto, of(evidence.Provenance, `{"buildDefinition":[]}`), "cannot unmarshal array"},
			"later report":    {evidence.InToto, of(evidence.Report, `{"version":2}`), `version is "2", want "1"`},
			"rows":            {evidence.InToto, of(evidence.Rows, "{}"), `version is "0"`},
			"SBOM":            {evidence.InToto, of(evidence.SBOM, "{}"), `spdxVersion is ""`},
			"SPDX version":    {evidence.SPDX, edit(spdx, "SPDX-2.3", "SPDX-3.0"), `spdxVersion is "SPDX-3.0"`},
			"SPDX creator":    {evidence.SPDX, edit(spdx, "cudabuild-v1", "syft-1"), "cudabuild is not among its creators"},
			"SPDX of none":    {evidence.SPDX, edit(spdx, "DESCRIBES", "OTHER"), "it describes 0 packages"},
			"SPDX checksum":   {evidence.SPDX, edit(spdx, "SHA256", "SHA1"), "without a SHA256"},
		},
	} {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				_, err := evidence.Parse(test.artifactType, []byte(test.data))
				if !errors.Is(err, condition) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("Parse = %v, want %v with %q", err, condition, test.want)
				}
			})
		}
	}
	if d, err := evidence.Parse(evidence.InToto, []byte(edit(good, `"name":"ghcr.io/acme/cuda",`, ""))); err != nil || d.Subject.Name != "" {
		t.Errorf("Parse without the subject's name, which in-toto does not ask for = %+v, %v", d.Subject, err)
	}
}

// FuzzEvidence: bytes are a document or an error, a document is read from its own
// statement as it is, and what it says fits a terminal.
func FuzzEvidence(f *testing.F) {
	f.Add(true, []byte(spdx))
	f.Add(false, evidence.Document{Kind: evidence.SBOM, Subject: subject, Predicate: json.RawMessage(spdx)}.Statement())
	f.Add(false, evidence.NewSignature(subject, created).Statement())
	f.Add(true, []byte(strings.Replace(spdx, `"packages":[`, `"packages":[{},{"SPDXID":"SPDXRef-image"},`, 1)))
	for _, kind := range []evidence.Kind{evidence.Provenance, evidence.Report, evidence.Rows, evidence.VSA} {
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
		known := evidence.Known{Rules: "r", Policy: policy.Digest(), Images: []evidence.Image{{Digest: subject.Digest}}}
		d, says, err := evidence.Read(artifactType, data, known)
		if err != nil {
			if diff := cmp.Diff(evidence.Document{}, d); diff != "" {
				t.Fatalf("an error, and a document:\n%s", diff)
			}
			return
		}
		if len(says.Summary) > 20 || slices.Contains(says.Summary, "") {
			t.Fatalf("Summary = %q", says.Summary)
		}
		if diff := cmp.Diff(says, d.Says(known)); diff != "" {
			t.Fatalf("Says, of what was read (-want +got):\n%s", diff)
		}
		of := d.Says(evidence.Known{})
		for _, why := range append(says.Summary, says.Stale, says.Fault, of.Stale, of.Fault) {
			if len(why) > 400 || plain.Text(why) != why || strings.ContainsAny(why, "\n\t") {
				t.Fatalf("%q is no line", why)
			}
		}
		again, err := evidence.Parse(evidence.InToto, d.Statement())
		d.Created = time.Time{}
		if diff := cmp.Diff(d, again); diff != "" || err != nil {
			t.Fatalf("Parse of the statement: %v (-want +got):\n%s", err, diff)
		}
	})
}
