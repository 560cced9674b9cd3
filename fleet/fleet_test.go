// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/fleet/observe"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/usertest"
	"github.com/cudabuild/cudabuild/verify"
)

// subject is a sample that was compiled for one architecture by CUDA 12.4.
func subject(digest, sample string, sm int) *fleet.Subject {
	test, _ := gpu.Sample(sample)
	s := &fleet.Subject{Pull: "registry.example.com/cuda@" + digest, Platform: "linux/amd64"}
	s.Subject = predict.Subject{Ref: "registry.example.com/cuda:1", Digest: digest, Test: test, Args: []string{sample, "--json"}, Env: []string{"NVIDIA_REQUIRE_CUDA=driver>=525.60.13"}}
	require, _ := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", "driver>=525.60.13")
	s.Report = verify.Report{Portability: verify.Portability{Program: "/usr/bin/" + sample, Needs: compat.Needs{
		Parts:   []compat.Part{{Name: sample, Runtime: "12.4", SASS: []compat.Target{{SM: sm}}}},
		Require: []compat.Requirement{require},
	}}}
	return s
}

// asks are for one test on several kinds of nodes.
func asks(s *fleet.Subject, kinds ...gpu.Asked) (all []fleet.Ask) {
	for _, on := range kinds {
		all = append(all, fleet.Ask{Subject: s, On: on})
	}
	return all
}

func planned(t testing.TB, asks []fleet.Ask, repeat int, how ...any) fleet.Plan {
	t.Helper()
	plan, err := fleet.New(t.Context(), asks, repeat, how...)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestMaxRows: what is left out does not count.
func TestMaxRows(t *testing.T) {
	t.Parallel()
	s := subject("sha256:aa", gpu.NBody, 90)
	kinds := asks(s, gpu.Asked{GPU: "sm_70", GPUs: 1}, gpu.Asked{GPU: "sm_90", GPUs: 1}, gpu.Asked{})
	if plan := planned(t, kinds, fleet.MaxRows/2); len(plan.Tasks) != fleet.MaxRows || len(plan.Left) != 1 {
		t.Errorf("%d rows, %d left out", len(plan.Tasks), len(plan.Left))
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := fleet.New(ended, kinds, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits for it: %v", err)
	}
	for _, repeat := range []int{fleet.MaxRows/2 + 1, math.MaxInt} {
		if plan, err := fleet.New(t.Context(), kinds, repeat); hint.Code(err, 0) != 2 || len(plan.Tasks) > 0 {
			t.Errorf("%d times each: %d rows, %v", repeat, len(plan.Tasks), err)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	s, old := subject("sha256:aa", gpu.NBody, 90), subject("sha256:bb", gpu.NBody, 70)
	h100, anyGPU := gpu.Asked{Driver: ">=535", GPU: "sm_90", GPUs: 1}, gpu.Asked{GPUs: 1}
	plan := planned(t, slices.Concat(asks(s, h100, anyGPU, gpu.Asked{}), asks(old, h100), asks(s, gpu.Asked{Driver: "<525", GPUs: 1})), 2, "o")
	var got []string
	for _, task := range plan.Tasks {
		got = append(got, fmt.Sprintf("%s %v %v %s", task.Subject.Digest, task.On, task.Where, task.Prediction.Result))
	}
	want := []string{
		"sha256:aa {>=535 sm_90 1} [{[sm_90] 535  []}] pass", "sha256:aa {>=535 sm_90 1} [{[sm_90] 535  []}] pass",
		"sha256:aa {  1} [{[sm_90] 525.60.13  []}] pass", "sha256:aa {  1} [{[sm_90] 525.60.13  []}] pass",
		"sha256:aa {  0} [] waived", "sha256:aa {  0} [] waived",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if len(plan.Left) != 2 {
		t.Fatalf("left out %+v, want 2", plan.Left)
	}
	for i, why := range []string{"has no code for sm_90", "driver>=525.60.13"} {
		if !strings.Contains(plan.Left[i].Why, why) {
			t.Errorf("left out: %q, want %q in it", plan.Left[i].Why, why)
		}
	}
	names := map[string]bool{}
	for _, task := range plan.Tasks {
		names[task.Name] = true
	}
	if len(names) != len(plan.Tasks) {
		t.Errorf("%d names for %d rows", len(names), len(plan.Tasks))
	}
}

// TestTooFewGPUs: of the nodes that there are some have fewer GPUs than a container is to get. Of nodes that may come
// nobody knows.
func TestTooFewGPUs(t *testing.T) {
	t.Parallel()
	node := func(driver string, gpus int) fleet.Node {
		return fleet.Node{Host: gpu.Host{Driver: driver, GPUs: slices.Repeat([]gpu.GPU{{Capability: "9.0"}}, gpus)}}
	}
	kinds := fleet.Classes([]fleet.Node{node("580.65.06", 8), node("550.54.14", 1), node("", 0), node("550.54.14", 2)})
	kinds = append(kinds, fleet.Ask{On: gpu.Asked{Driver: ">=550", GPU: "sm_90"}})
	for i := range kinds {
		kinds[i].Subject, kinds[i].On.GPUs = subject("sha256:aa", gpu.NBody, 90), 4
	}
	plan := planned(t, kinds, 1)
	var got []string
	for _, task := range plan.Tasks {
		got = append(got, task.On.Driver)
	}
	if diff := cmp.Diff([]string{"580.65.06", ">=550"}, got); diff != "" {
		t.Errorf("drivers of rows (-want +got):\n%s", diff)
	}
	want := []fleet.Left{{Test: "nbody", Image: "registry.example.com/cuda:1", On: gpu.Asked{Driver: "550.54.14", GPU: "sm_90", GPUs: 4}, Why: "no such node has 4 GPUs: at most 2"}}
	if diff := cmp.Diff(want, plan.Left); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

// TestUnfit: a test of one's own that takes two GPUs is for others than are asked for.
func TestUnfit(t *testing.T) {
	t.Parallel()
	s := subject("sha256:aa", gpu.NBody, 90)
	s.Own = &usertest.Test{GPUs: 2, Driver: ">=570"}
	plan := planned(t, asks(s, gpu.Asked{Driver: "550.54.14", GPUs: 2}), 1)
	if len(plan.Left) != 1 || plan.Left[0].Why != "it is for driver >=570, here is 550.54.14" {
		t.Errorf("left out %+v", plan.Left)
	}
}

// TestUnsure: it is not known which code of the image a script uses.
func TestUnsure(t *testing.T) {
	t.Parallel()
	s := subject("sha256:aa", gpu.NBody, 70)
	s.Report.Portability.Program = ""
	s.Report.Portability.Needs.Parts = append(s.Report.Portability.Needs.Parts, compat.Part{Name: "other", Runtime: "12.4", SASS: []compat.Target{{SM: 90}}})
	plan := planned(t, asks(s, gpu.Asked{GPU: "sm_90", GPUs: 1}, gpu.Asked{GPU: "sm_80", GPUs: 1}, gpu.Asked{Driver: "470", GPUs: 1}), 1, "o")
	if len(plan.Tasks) != 1 || plan.Tasks[0].On.GPU != "sm_90" || plan.Tasks[0].Prediction.Verdict != "unknown" {
		t.Errorf("rows %+v, left out %+v, want one that is unknown", plan.Tasks, plan.Left)
	}
}

// TestNames: the same words name the same run, others another one.
func TestNames(t *testing.T) {
	t.Parallel()
	named := func(digest, sample, driver string, repeat int, how string) fleet.Plan {
		return planned(t, asks(subject(digest, sample, 90), gpu.Asked{Driver: driver, GPUs: 1}), repeat, how)
	}
	first := named("sha256:aa", gpu.NBody, "", 1, "o")
	if again := named("sha256:aa", gpu.NBody, "", 1, "o"); again.Run != first.Run || again.Tasks[0].Name != first.Tasks[0].Name {
		t.Error("the same plan has two names")
	}
	for what, other := range map[string]fleet.Plan{
		"image":    named("sha256:bb", gpu.NBody, "", 1, "o"),
		"test":     named("sha256:aa", gpu.DeviceQuery, "", 1, "o"),
		"nodes":    named("sha256:aa", gpu.NBody, ">=535", 1, "o"),
		"number":   named("sha256:aa", gpu.NBody, "", 2, "o"),
		"observer": named("sha256:aa", gpu.NBody, "", 1, "p"),
	} {
		if other.Run == first.Run || other.Tasks[0].Name == first.Tasks[0].Name {
			t.Errorf("another %s, and the same name", what)
		}
	}
}

// TestRow makes rows of what was seen on a node of two GPUs.
func TestRow(t *testing.T) {
	t.Parallel()
	node := fleet.Node{Node: gpu.Node{Name: "n1", Labels: map[string]string{}}, Host: gpu.Host{Driver: "550.54.14", CUDA: "12.4", GPUs: []gpu.GPU{
		{Name: "NVIDIA-H100-80GB-HBM3", Capability: "9.0"}, {Name: "NVIDIA-H100-80GB-HBM3", Capability: "9.0"},
	}}}
	const passed = `{"version":1,"sample":"nbody","result":"PASS","error_code":0,"gflops":40000,"bodies":1024,"libcuda_path":"/usr/lib/libcuda.so.550.54.14"}`
	h100 := observe.GPU{UUID: "GPU-1", Name: "NVIDIA H100 80GB HBM3", BusID: "0000:00:06.0"}
	started := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	seen := func(change func(*observe.Seen)) observe.Seen {
		s := observe.Seen{Version: 1, Started: started, Seconds: 2, Stdout: observe.Output{Head: []byte(passed)}, LoadedLibcuda: "/usr/lib/libcuda.so.550.54.14", DeviceNodes: []string{}, Driver: "550.54.14", GPUs: []observe.GPU{h100}}
		change(&s)
		return s
	}
	for name, tc := range map[string]struct {
		seen   observe.Seen
		result gpu.Result
		reason string
		agrees bool
	}{
		"passed":        {seen(func(*observe.Seen) {}), gpu.Passed, "", true},
		"another limit": {seen(func(s *observe.Seen) { s.TimedOut, s.Stderr.Head = true, []byte("hangs") }), gpu.Failed, "no end within 1m0s: hangs", false},
		"not started":   {seen(func(s *observe.Seen) { s.Problem = "no such program" }), gpu.Failed, "no such program", false},
		"no libcuda": {seen(func(s *observe.Seen) {
			s.LoadedLibcuda, s.Stdout.Head = "", []byte(strings.Replace(passed, `,"libcuda_path":"/usr/lib/libcuda.so.550.54.14"`, "", 1))
		}), gpu.Failed, "no libcuda was mapped: it did not use the GPU", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := planned(t, asks(subject("sha256:aa", gpu.NBody, 90), gpu.Asked{GPUs: 1}), 1, "o")
			task := plan.Tasks[0]
			row, host := task.Row("k8s", task.At(node), tc.seen, time.Minute)
			if row.Result != tc.result || row.Reason != tc.reason || row.Agrees == nil || *row.Agrees != tc.agrees {
				t.Errorf("row %s %q agrees %v", row.Result, row.Reason, row.Agrees)
			}
			if diff := cmp.Diff([]string{"GPU-1"}, row.Devices); diff != "" || len(host.GPUs) != 1 || host.GPUs[0].Capability != "9.0" {
				t.Errorf("devices %s, host %+v", diff, host)
			}
			if !row.Started.Equal(started) || row.Job != task.Name || row.Node.Name != "n1" || row.Image != "registry.example.com/cuda@sha256:aa" || row.Engine != "k8s" {
				t.Errorf("row %+v", row)
			}
		})
	}
}

// TestHost: what was seen counts more than labels, which may be of another GPU of the node, or of the driver
// before.
func TestHost(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-SHARED"}
	node := fleet.Node{Node: gpu.Node{Name: "n1", Labels: labels}, Host: gpu.Host{Driver: "550.54.14", CUDA: "12.4", GPUs: []gpu.GPU{{Name: "NVIDIA H100-80GB-HBM3", Capability: "9.0"}}}}
	task := planned(t, asks(subject("sha256:aa", gpu.NBody, 90), gpu.Asked{GPUs: 1}), 1).Tasks[0]
	at := task.At(node)
	seen := observe.Seen{Driver: "580.65.06", GPUs: []observe.GPU{{UUID: "GPU-1", Name: "NVIDIA A100-SXM4-80GB"}}, DeviceNodes: []string{}}
	row, host := task.Row("k8s", at, seen, time.Minute)
	if host.Driver != "580.65.06" || host.CUDA != "13.0" || host.GPUs[0].Capability != "8.0" || row.Under.GPU != "NVIDIA A100-SXM4-80GB SHARED" {
		t.Errorf("host %+v, under %+v", host, row.Under)
	}
	hidden := observe.Seen{DeviceNodes: []string{}, LoadedLibcuda: "/usr/lib/libcuda.so.1", Stdout: observe.Output{
		Head: []byte(`{"version":1,"sample":"nbody","result":"PASS","error_code":0,"gflops":1}`),
	}}
	if row, host := task.Row("k8s", at, hidden, time.Minute); row.Result != gpu.Passed || len(row.Devices) != 0 || host.GPUs[0].Capability != "9.0" {
		t.Errorf("driver hidden: %s %s, devices %v, host %+v", row.Result, row.Reason, row.Devices, host)
	}
	killed, host := task.Killed("k8s", at, time.Now(), 128, "unsatisfied condition: cuda>=99")
	if killed.Result != gpu.Refused || *killed.Agrees || len(host.GPUs) != 1 {
		t.Errorf("killed: %s, agrees %v, host %+v", killed.Result, *killed.Agrees, host)
	}
}

// BenchmarkNew plans 1,000 rows.
func BenchmarkNew(b *testing.B) {
	var asks []fleet.Ask
	for i := range 125 {
		s := subject(fmt.Sprintf("sha256:%d", i), gpu.NBody, 80)
		for _, driver := range []string{"525.60.13", "535.54.03", "550.54.14", "560.28.03", "565.57.01", "570.26", "575.51.03", "580.159.04"} {
			asks = append(asks, fleet.Ask{Subject: s, On: gpu.Asked{Driver: driver, GPU: "sm_80", GPUs: 1}})
		}
	}
	for b.Loop() {
		if plan := planned(b, asks, 1, "o"); len(plan.Tasks) != 1000 {
			b.Fatalf("%d rows, left out %+v", len(plan.Tasks), plan.Left[:1])
		}
	}
}
