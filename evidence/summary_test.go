// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/evidence"
)

// read is a document of testdata, as a registry has it.
func read(t *testing.T, kind evidence.Kind) evidence.Document {
	t.Helper()
	data, err := os.ReadFile("testdata/" + string(kind) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := evidence.Parse(evidence.InToto, data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for kind, want := range map[evidence.Kind]string{
		evidence.SBOM: "SPDX-2.3, 9 packages",
		evidence.Provenance: "12.4-nbody-ubuntu22.04 for linux/amd64, linux/arm64, group default\n" +
			"by buildkitd linux/amd64 v0.33.1, buildkitd linux/arm64 v0.32.0, cudabuild v0.2.0\n" +
			"of lists " + sha("4") + ", 2026-11-20\nof matrix " + sha("2") + "\n" +
			"of root for linux/amd64 " + sha("3") + "\nof root for linux/arm64 " + sha("b") + "\n" +
			"and of 5 other things: recipes, repositories, keys, sources",
		evidence.Report: "linux/amd64: pass, 0 findings, rules r1",
		evidence.Rows:   "nbody: pass on NVIDIA H200, driver 580.159.04, 2026-11-20 (2 rows)",
		evidence.VSA:    "PASSED: CUDABUILD_GATES_PASSED, by policy " + policy.Digest() + "\nwarn: pass\nnbody on sm_90 with driver >=535: pass on NVIDIA H200",
	} {
		if diff := cmp.Diff(want, strings.Join(read(t, kind).Says(evidence.Known{}).Summary, "\n")); diff != "" {
			t.Errorf("Summary of %s (-want +got):\n%s", kind, diff)
		}
	}
	for text, want := range map[string]string{
		`{"buildDefinition":[]}`: "it is not as its type says: json: cannot unmarshal array into Go struct field provenance.buildDefinition of type evidence.definition",
	} {
		d := evidence.Document{Kind: evidence.Provenance, Subject: subject, Predicate: json.RawMessage(text)}
		if diff := cmp.Diff(want, strings.Join(d.Says(evidence.Known{}).Summary, "\n")); diff != "" {
			t.Errorf("Summary of %s (-want +got):\n%s", text, diff)
		}
	}
	one := evidence.Document{Kind: evidence.Rows, Subject: subject, Predicate: json.RawMessage(`{"rows":[{"sample":"nbody","result":"pass","started":"2026-11-20T00:00:00Z","host":{"driver":"580"}}]}`)}
	if got := one.Says(evidence.Known{}).Summary; !slices.Equal(got, []string{"nbody: pass on no GPU, driver 580, 2026-11-20"}) {
		t.Errorf("Summary of one row = %q", got)
	}
	foreign := `{"verificationResult":"PASSED\u001b[2J\n","verifiedLevels":["x"],"policy":{},"https://github.com/cudabuild/cudabuild/blob/main/docs/evidence.md#vsa":{"met":[` +
		`"` + strings.Repeat("long", 1000) + `",` + strings.Repeat(`"a","",`, 30) + `"b"]}}`
	lines := evidence.Document{Kind: evidence.VSA, Subject: subject, Predicate: json.RawMessage(foreign)}.Says(evidence.Known{}).Summary
	if len(lines) > 20 || len(lines[1]) != 400 || !strings.HasPrefix(lines[0], `PASSED\u001b[2J : x`) || lines[len(lines)-1] != "and 14 more" {
		t.Errorf("Summary of many lines = %q", lines)
	}
}
