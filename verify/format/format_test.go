// SPDX-License-Identifier: Apache-2.0

package format_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/verify"
	"github.com/cudabuild/cudabuild/verify/format"
)

// images is one report of each verdict, with every kind of finding.
func images() []verify.Report {
	two := 2
	layer := &verify.Layer{Index: 1, Digest: "sha256:" + strings.Repeat("ab", 32), DiffID: "sha256:" + strings.Repeat("cd", 32), CreatedBy: "RUN apt-get install <x> && \"y\""}
	report := func(ref string, verdict verify.Verdict, findings ...verify.Finding) verify.Report {
		return verify.Report{
			Ref: ref, Digest: "sha256:" + strings.Repeat("01", 32), Platform: "linux/amd64", Verdict: verdict, Rules: "0123456789abcdef",
			Findings: append([]verify.Finding{}, findings...), Stats: verify.Stats{Layers: 2, BytesRead: 10, BytesCached: 5, Seconds: 1.5},
		}
	}
	return []verify.Report{
		report("oci:out:clean", verify.Pass),
		report("oci:out:leak", verify.Fail,
			verify.Finding{Rule: "driver-library", Severity: verify.SeverityFail, Path: "usr/lib/a b:%c.so", Layer: layer, Detail: "libcuda of driver 550.54.15", DeletedIn: &two},
			verify.Finding{Rule: "forward-compat", Severity: verify.SeverityInfo, Path: "usr/local/cuda/compat/libcuda.so.1", Layer: layer, Detail: "libcuda"}),
		report("oci:out:odd", verify.Warn, verify.Finding{Rule: "driver-api-provider", Severity: verify.SeverityWarn, Path: "a:b\x01\xff", Layer: layer, Detail: "exports \x00"}),
		report("oci:out:broken", verify.Unknown, verify.Finding{Rule: "unreadable", Severity: verify.SeverityWarn, Layer: layer, Detail: "archive, entry 0"}),
	}
}

func write(t *testing.T, form string, images []verify.Report) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := format.Write(&buf, form, "v1.2.3", images); err != nil {
		t.Fatalf("Write(%s): %v", form, err)
	}
	return buf.Bytes()
}

func decode(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return v
}

// at walks into decoded JSON: "runs.0.results".
func at(t *testing.T, v any, path string) any {
	t.Helper()
	for _, step := range strings.Split(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[step]
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(node) {
				t.Fatalf("%s: no element %s", path, step)
			}
			v = node[i]
		default:
			t.Fatalf("%s: nothing at %s", path, step)
		}
	}
	return v
}

func TestJSONIsTheDocumentOfTheDesign(t *testing.T) {
	t.Parallel()
	var got struct {
		Version int
		Images  []verify.Report
	}
	if err := json.Unmarshal(write(t, "json", images()[:2]), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(images()[:2], got.Images); diff != "" || got.Version != 1 {
		t.Errorf("version %d, images (-want +got):\n%s", got.Version, diff)
	}
	if empty := at(t, decode(t, write(t, "json", nil)), "images"); len(empty.([]any)) != 0 {
		t.Errorf("no images: %v, want an empty list", empty)
	}
}

// TestSARIF checks what the schema of SARIF 2.1.0 and GitHub's code scanning require.
func TestSARIF(t *testing.T) {
	t.Parallel()
	document := decode(t, write(t, "sarif", images()))
	if document["version"] != "2.1.0" || document["$schema"] == nil {
		t.Errorf("version %v, $schema %v", document["version"], document["$schema"])
	}
	ids := map[string]bool{}
	for _, run := range document["runs"].([]any) {
		rules := at(t, run, "tool.driver.rules").([]any)
		if name := at(t, run, "tool.driver.name"); name != "cudabuild" || len(rules) != len(verify.Rules()) {
			t.Errorf("driver %v with %d rules", name, len(rules))
		}
		for _, r := range rules {
			for _, required := range []string{"id", "shortDescription.text", "help.text", "defaultConfiguration.level"} {
				if s, _ := at(t, r, required).(string); s == "" {
					t.Errorf("rule %v: no %s", r, required)
				}
			}
		}
		ids[at(t, run, "automationDetails.id").(string)] = true
		for _, result := range at(t, run, "results").([]any) {
			sarifResult(t, result, rules)
		}
		unknown := at(t, run, "properties.verdict") == "unknown"
		if ok := at(t, run, "invocations.0.executionSuccessful"); ok != !unknown {
			t.Errorf("executionSuccessful %v of an image with unknown %t", ok, unknown)
		}
	}
	if len(ids) != len(images()) {
		t.Errorf("%d ids of %d runs: uploads would replace each other", len(ids), len(images()))
	}
}

func sarifResult(t *testing.T, result any, rules []any) {
	t.Helper()
	index := int(at(t, result, "ruleIndex").(float64))
	if id := at(t, result, "ruleId"); id != at(t, rules[index], "id") {
		t.Errorf("ruleId %v, ruleIndex %d is %v", id, index, at(t, rules[index], "id"))
	}
	level := at(t, result, "level").(string)
	if !slices.Contains([]string{"error", "warning", "note"}, level) {
		t.Errorf("level %q", level)
	}
	if at(t, result, "ruleId") == "unreadable" && level != "error" {
		t.Errorf("level %q of what could not be read, want error", level)
	}
	if text := at(t, result, "message.text").(string); text == "" {
		t.Error("a result without a message")
	}
	if line := at(t, result, "locations.0.physicalLocation.region.startLine").(float64); line < 1 {
		t.Errorf("startLine %v", line)
	}
	uri := at(t, result, "locations.0.physicalLocation.artifactLocation.uri").(string)
	parsed, err := url.Parse(uri)
	if err != nil || parsed.IsAbs() || parsed.Path == "" {
		t.Errorf("uri %q: %v, want a relative reference", uri, err)
	}
	if n := len(at(t, result, "partialFingerprints").(map[string]any)); n != 1 {
		t.Errorf("%d fingerprints", n)
	}
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Tests int    `xml:"tests,attr"`
			Cases []struct {
				Name    string    `xml:"name,attr"`
				Class   string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Out     string    `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(write(t, "junit", images()), &got); err != nil {
		t.Fatal(err)
	}
	n := len(verify.Rules())
	if got.Tests != n*len(images()) || got.Failures != 1 || got.Errors != 1 || len(got.Suites) != len(images()) {
		t.Errorf("%d tests, %d failures, %d errors in %d suites", got.Tests, got.Failures, got.Errors, len(got.Suites))
	}
	for _, s := range got.Suites {
		if s.Tests != n || len(s.Cases) != n {
			t.Errorf("%s: %d tests, %d cases, want %d", s.Name, s.Tests, len(s.Cases), n)
		}
		for _, c := range s.Cases {
			failed, broken := c.Failure != nil, c.Error != nil
			if want := s.Name == "oci:out:leak" && c.Name == "driver-library"; failed != want {
				t.Errorf("%s %s: failure %t, want %t", s.Name, c.Name, failed, want)
			}
			if want := s.Name == "oci:out:broken" && c.Name == "unreadable"; broken != want {
				t.Errorf("%s %s: error %t, want %t", s.Name, c.Name, broken, want)
			}
			if want := s.Name == "oci:out:odd" && c.Name == "driver-api-provider" || s.Name == "oci:out:leak" && c.Name == "forward-compat"; (c.Out != "") != want {
				t.Errorf("%s %s: note %q, want one: %t", s.Name, c.Name, c.Out, want)
			}
		}
	}
}

// TestInToto checks what in-toto's statement v1 and test-result v0.1 require.
func TestInToto(t *testing.T) {
	t.Parallel()
	nothing := verify.Report{Ref: "registry.example/none", Verdict: verify.Unknown}
	lines := bytes.Split(bytes.TrimSpace(write(t, "in-toto", append(images(), nothing))), []byte("\n"))
	if len(lines) != len(images()) {
		t.Fatalf("%d statements, want one for each image that has a digest", len(lines))
	}
	for i, want := range []string{"PASSED", "FAILED", "WARNED", "FAILED"} {
		s := decode(t, lines[i])
		for path, want := range map[string]any{
			"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
			"subject.0.name": images()[i].Ref, "subject.0.digest.sha256": strings.Repeat("01", 32),
			"predicate.result": want, "predicate.configuration.0.annotations.rules": "0123456789abcdef",
			"predicate.cudabuild_report.verdict": string(images()[i].Verdict),
		} {
			if got := at(t, s, path); got != want {
				t.Errorf("statement %d: %s is %v, want %v", i, path, got, want)
			}
		}
		n := 0
		for _, list := range []string{"passedTests", "warnedTests", "failedTests"} {
			n += len(at(t, s, "predicate."+list).([]any))
		}
		if n != len(verify.Rules()) {
			t.Errorf("statement %d lists %d tests, want %d", i, n, len(verify.Rules()))
		}
	}
	if failed := at(t, decode(t, lines[3]), "predicate.failedTests").([]any); len(failed) != 1 || failed[0] != "unreadable" {
		t.Errorf("failed tests of an unknown verdict: %v, want unreadable", failed)
	}
}

// TestUnread holds that an image that could not be read is an error in each form.
func TestUnread(t *testing.T) {
	t.Parallel()
	unread := []verify.Report{verify.Unread("registry.example/none", io.ErrUnexpectedEOF)}
	run := at(t, decode(t, write(t, "sarif", unread)), "runs.0.invocations.0")
	if at(t, run, "executionSuccessful") != false || at(t, run, "toolExecutionNotifications.0.message.text") != "unexpected EOF" {
		t.Errorf("sarif: %v", run)
	}
	if suites := string(write(t, "junit", unread)); !strings.Contains(suites, `tests="1" failures="0" errors="1"`) || !strings.Contains(suites, `<error message="unexpected EOF"`) {
		t.Errorf("junit: %s", suites)
	}
	if got := at(t, decode(t, write(t, "json", unread)), "images.0.error"); got != "unexpected EOF" {
		t.Errorf("json: error %v", got)
	}
	if statement := write(t, "in-toto", unread); len(statement) > 0 {
		t.Errorf("in-toto: %s, want nothing to sign", statement)
	}
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	if err := format.Write(io.Discard, "yaml", "", nil); err == nil || !strings.Contains(err.Error(), "junit") {
		t.Errorf("Write(yaml) = %v, want the formats that there are", err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err) // not on this system
	}
	defer full.Close()
	for _, form := range format.Names() {
		if err := format.Write(full, form, "", images()); err == nil {
			t.Errorf("Write(%s) to a full disk: no error", form)
		}
	}
}
