// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/verify"
)

// judged is a report as it is made: where the image lay, and what it cost.
func judged(ref string, seconds float64) verify.Report {
	return verify.Report{
		Ref: ref, Digest: subject.Digest, Config: "sha256:" + strings.Repeat("c", 64), Platform: "linux/amd64", Verdict: verify.Pass, Rules: "r1",
		Findings: []verify.Finding{}, Libcuda: verify.Libcuda{Winner: verify.HostLibcuda},
		Portability: verify.Portability{SASS: []string{}, PTX: []string{}, Parts: []verify.GPUPart{}, Predictions: []verify.DriverGPU{}, HostLibraries: []verify.HostLibrary{}},
		Stats:       verify.Stats{Layers: 3, BytesRead: int64(seconds * 1000), BytesCached: 7, Known: 1, Seconds: seconds},
	}
}

func observation(sample string, started time.Time, change func(*gpu.Observation)) gpu.Observation {
	o := gpu.Observation{
		Host: gpu.Host{Driver: "580.159.04", GPUs: []gpu.GPU{{Name: "NVIDIA H200", Capability: "9.0"}}, Problems: []string{}},
		Row: gpu.Row{
			Image: "oci:/home/me/out/images:12.4-base-debian13", Digest: subject.Digest, Sample: sample, Engine: "direct", Devices: []string{"GPU-1"},
			Started: started, Result: gpu.Passed, DeviceNodes: []string{}, Left: gpu.Left{Files: []string{}},
		},
	}
	if change != nil {
		change(&o)
	}
	return o
}

// policy asks for as much as a matrix can.
var policy = evidence.Policy{
	Verify: "warn", GPU: []evidence.OnGPU{{Driver: ">=535", GPUs: []string{"sm_90"}, Samples: []string{"nbody"}}}, Immutable: []string{"*-[0-9][0-9].[0-9][0-9]"},
	Tests: map[string][]string{"train": {"sha256:1", "sha256:2"}},
}

func check(t *testing.T, d evidence.Document, err error) evidence.Document {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, d.Statement(), "", "  "); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/"+string(d.Kind)+".json", text.String()+"\n")
	return d
}

// TestJudged: what the verifier and GPUs said of an image, and the summary that goes by it.
func TestJudged(t *testing.T) {
	t.Parallel()
	report, err := evidence.NewReport(subject, created, judged("oci:/home/me/out/images:12.4-base-debian13", 3.5))
	report = check(t, report, err)
	again, err := evidence.NewReport(subject, created, judged("cuda:12.4-base-debian13", 0.1))
	if err != nil || again.Digest() != report.Digest() {
		t.Errorf("NewReport of the same image elsewhere: %v, %s, want %s", err, again.Statement(), report.Statement())
	}
	first, second := observation("nbody", created.Add(time.Hour), nil), observation("nbody", created.Add(2*time.Hour), func(o *gpu.Observation) { o.Row.Digest, o.Row.Config = "sha256:other", judged("", 0).Config })
	seen := []gpu.Observation{
		second, first, first,
		observation("deviceQuery", created, func(o *gpu.Observation) { o.Row.StandIn = true }),
		observation("deviceQuery", created, func(o *gpu.Observation) { o.Host.StandIn = true }),
		observation("deviceQuery", created, func(o *gpu.Observation) { o.Row.Dry = true }),
		observation("deviceQuery", created, func(o *gpu.Observation) { o.Row.Result = "" }),
		observation("deviceQuery", created, func(o *gpu.Observation) { o.Row.Digest = "sha256:other" }),
	}
	rows, err := evidence.NewRows(subject, created, seen, judged("", 0))
	rows = check(t, rows, err)
	slices.Reverse(seen)
	other, err := evidence.NewRows(subject, created, seen, judged("", 0))
	if err != nil || other.Digest() != rows.Digest() {
		t.Errorf("NewRows in another order: %v, %s, want %s", err, other.Statement(), rows.Statement())
	}
	vsa, err := evidence.NewVSA(subject, created, policy, []string{"warn: pass", "nbody on sm_90 with driver >=535: pass on NVIDIA H200"}, report, rows)
	check(t, vsa, err)
}

// TestNothingToSay: no document says less than its kind promises.
func TestNothingToSay(t *testing.T) {
	t.Parallel()
	if _, err := evidence.NewRows(subject, created, nil, judged("", 0)); !errors.Is(err, evidence.ErrNoRows) {
		t.Errorf("NewRows of none = %v, want ErrNoRows", err)
	}
	if _, err := evidence.NewReport(subject, created, verify.Unread("x", errors.New("no such image"))); err == nil {
		t.Error("NewReport of an image that was not read: no error")
	}
	if _, err := evidence.NewReport(subject, created); err == nil {
		t.Error("NewReport of nothing: no error")
	}
	if _, err := evidence.NewVSA(subject, created, policy, nil); err == nil {
		t.Error("NewVSA of no gates: no error")
	}
	if _, err := evidence.NewVSA(evidence.Subject{Name: "x", Digest: "latest"}, created, policy, []string{"warn: pass"}); err == nil {
		t.Error("NewVSA of no digest: no error")
	}
}
