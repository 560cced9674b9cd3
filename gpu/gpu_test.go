// SPDX-License-Identifier: Apache-2.0

package gpu_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
)

var two = []gpu.GPU{
	{Index: 0, Minor: 1, UUID: "GPU-2946f8d7-f7bc-3a7a-2b48-b1f7516b5983", BusID: "0000:00:06.0", Name: "NVIDIA H100 80GB HBM3"},
	{Index: 1, Minor: 0, UUID: "GPU-2946aaaa-f7bc-3a7a-2b48-b1f7516b5984", BusID: "0001:0a:00.0", Name: "NVIDIA H100 80GB HBM3"},
}

func TestSelect(t *testing.T) {
	t.Parallel()
	cases := map[string][]int{
		"all": {0, 1}, "none": {}, "void": {}, "0": {0}, "1": {1}, "1,0": {0, 1}, "0, 0": {0}, " 1 ": {1},
		"GPU-2946f8d7-f7bc-3a7a-2b48-b1f7516b5983": {0}, "GPU-2946F8": {0}, "GPU-2946aaaa": {1},
		"0000:00:06.0": {0}, "00000000:00:06.0": {0}, "00:06.0": {0}, "0001:0A:00.0": {1}, "00000001:0A:00.0": {1},
		"GPU-2946f8d7,1": {0, 1},
	}
	for request, want := range cases {
		got, err := gpu.Select(two, request)
		if err != nil {
			t.Errorf("Select(%q): %v", request, err)
			continue
		}
		indexes := []int{}
		for _, g := range got {
			indexes = append(indexes, g.Index)
		}
		if diff := cmp.Diff(want, indexes); diff != "" {
			t.Errorf("Select(%q): %s", request, diff)
		}
	}
}

func TestSelectRefuses(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"", ",", "0,", "2", "-1", "GPU-", "GPU-2946", "GPU-29", "GPU-ffffffff", "0000:00:07.0", "0a:00.0", "gpu0", "ALL", "0;1"} {
		if got, err := gpu.Select(two, request); !errors.Is(err, gpu.ErrNoGPU) {
			t.Errorf("Select(%q) = %v, %v, want ErrNoGPU", request, got, err)
		}
	}
	if _, err := gpu.Select(nil, "0"); err == nil || !strings.Contains(err.Error(), "there is: none") {
		t.Errorf("Select on a host without GPUs: %v", err)
	}
	if got, err := gpu.Select(nil, "all"); err != nil || len(got) != 0 {
		t.Errorf("Select(all) without GPUs = %v, %v", got, err)
	}
}

func TestParseOutput(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		sample string
		want   gpu.Output
	}{
		"deviceQuery-h100.json": {gpu.DeviceQuery, gpu.Output{
			Result: gpu.Passed, Libcuda: "/usr/local/nvidia/lib64/libcuda.so.580.159.04",
			Figures: gpu.Figures{DriverCUDA: "13.0", RuntimeCUDA: "12.4", GPUs: []string{"GPU-2946f8d7-f7bc-3a7a-2b48-b1f7516b5983"}, Names: []string{"NVIDIA H100 80GB HBM3"}},
		}},
		"nbody-h100.json": {gpu.NBody, gpu.Output{
			Result:  gpu.Passed,
			Figures: gpu.Figures{Bodies: 16384, Precision: "single", GFLOPS: 32558.783, Interactions: 1.627939e+12},
		}},
		"deviceQuery-waived.json": {gpu.DeviceQuery, gpu.Output{
			Result: gpu.Waived, CUDAError: "cudaErrorInsufficientDriver", Message: "no NVIDIA driver in this container: start it with the NVIDIA runtime hook (--gpus all)",
			Figures: gpu.Figures{RuntimeCUDA: "12.4"},
		}},
		"deviceQuery-803.json": {gpu.DeviceQuery, gpu.Output{
			Result: gpu.Failed, CUDAError: "cudaErrorSystemDriverMismatch", Message: "libcuda and the kernel's driver differ: an image must not bring its own",
			Libcuda: "/usr/lib/libcuda.so.550.163.01", Figures: gpu.Figures{DriverCUDA: "12.4", RuntimeCUDA: "12.4"},
		}},
		"cublas-h200.json": {"cublas", gpu.Output{
			Result: gpu.Passed, Libcuda: "/usr/local/nvidia/lib64/libcuda.so.580.159.04",
			Loaded:  []string{"/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcublas.so.12.4.5.8"},
			Figures: gpu.Figures{Measured: map[string]gpu.Measured{"gflops": {Value: 50123.4}, "half_gflops": {Value: 600000}}},
		}},
		"curand-older.json": {"curand", gpu.Output{Result: gpu.Failed, Loaded: []string{"/usr/lib/libc.so.6"}, Message: "libcurand 10.3.0 is older than 10.3.5, which this was built with"}},
	}
	for file, test := range cases {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := gpu.ParseOutput(test.sample, data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestParseOutputRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":           "",
		"text":              "Result = PASS",
		"two documents":     `{"version":1,"sample":"deviceQuery","result":"WAIVED"} {}`,
		"another sample":    `{"version":1,"sample":"nbody","result":"PASS"}`,
		"another version":   `{"version":2,"sample":"deviceQuery","result":"PASS"}`,
		"unknown result":    `{"version":1,"sample":"deviceQuery","result":"pass"}`,
		"pass with error":   `{"version":1,"sample":"deviceQuery","result":"PASS","error_code":35,"devices":[{"name":"x"}]}`,
		"pass on nothing":   `{"version":1,"sample":"deviceQuery","result":"PASS","devices":[]}`,
		"devices as number": `{"version":1,"sample":"deviceQuery","result":"PASS","devices":1}`,
	} {
		if got, err := gpu.ParseOutput(gpu.DeviceQuery, []byte(text)); err == nil {
			t.Errorf("%s: %+v, want an error", name, got)
		}
	}
}

// FuzzParseOutput holds that there is an output or an error, that a PASS is never
// one with an error or without a device, and that the output survives its own JSON.
func FuzzParseOutput(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.HasPrefix(filepath.Base(file), gpu.DeviceQuery), data)
	}
	f.Fuzz(func(t *testing.T, query bool, data []byte) {
		sample := gpu.NBody
		if query {
			sample = gpu.DeviceQuery
		}
		out, err := gpu.ParseOutput(sample, data)
		if err != nil {
			if !reflect.DeepEqual(out, gpu.Output{}) {
				t.Fatalf("%+v beside error %v", out, err)
			}
			return
		}
		switch out.Result {
		case gpu.Passed:
			if out.CUDAError != "" || query && len(out.Figures.Names) == 0 {
				t.Fatalf("PASS of %+v", out)
			}
		case gpu.Failed, gpu.Waived:
		default:
			t.Fatalf("result %q", out.Result)
		}
		if _, err := json.Marshal(out); err != nil {
			t.Fatal(err)
		}
	})
}

func TestJudge(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	cases := map[string]struct {
		predicted gpu.Prediction
		result    gpu.Result
		cudaError string
		want      *bool
	}{
		"as predicted":     {gpu.Prediction{Result: gpu.Passed}, gpu.Passed, "", &yes},
		"did not pass":     {gpu.Prediction{Result: gpu.Passed}, gpu.Failed, "cudaErrorUnknown", &no},
		"right error":      {gpu.Prediction{Result: gpu.Failed, CUDAError: "a"}, gpu.Failed, "a", &yes},
		"another error":    {gpu.Prediction{Result: gpu.Failed, CUDAError: "a"}, gpu.Failed, "b", &no},
		"the same cause":   {gpu.Prediction{Result: gpu.Failed, CUDAError: "cudaErrorNoKernelImageForDevice"}, gpu.Failed, "cudaErrorInvalidDeviceFunction", &yes},
		"not the cause":    {gpu.Prediction{Result: gpu.Failed, CUDAError: "cudaErrorInvalidDeviceFunction"}, gpu.Failed, "cudaErrorNoKernelImageForDevice", &no},
		"any error":        {gpu.Prediction{Result: gpu.Failed}, gpu.Failed, "b", &yes},
		"waived is no run": {gpu.Prediction{Result: gpu.Failed}, gpu.Waived, "b", &yes},
		"nothing said":     {gpu.Prediction{}, gpu.Passed, "", nil},
		"started at least": {gpu.Prediction{Result: gpu.Failed, Verdict: gpu.CannotStart}, gpu.Waived, "", &no},
		"did not start":    {gpu.Prediction{Result: gpu.Failed, Verdict: gpu.CannotStart}, gpu.Failed, "", &yes},
		"not run":          {gpu.Prediction{Result: gpu.Passed}, "", "", nil},
	}
	for name, test := range cases {
		row := gpu.Row{Prediction: test.predicted, Result: test.result, CUDAError: test.cudaError}
		row.Judge()
		if diff := cmp.Diff(test.want, row.Agrees); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

var host = gpu.Host{Driver: "580.159.04", CUDA: "13.0", GPUs: two[:1]}

func row(started int, change func(*gpu.Row)) gpu.Row {
	r := gpu.Row{
		Digest: "sha256:9d17278aa6cd2b1e", Cell: "12.4-nbody-debian13", Sample: gpu.NBody, Engine: "direct", Result: gpu.Passed,
		Started: time.Unix(int64(started), 0).UTC(), Figures: gpu.Figures{Bodies: 1000, Precision: "single", GFLOPS: 100},
	}
	if change != nil {
		change(&r)
	}
	return r
}

func TestLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pending := row(2, func(r *gpu.Row) { r.Result = "" })
	for _, r := range []gpu.Row{row(1, nil), pending, row(2, nil), pending} {
		r.Started = r.Started.UTC()
		if err := gpu.Append(dir, host, r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "9d17278aa6cd", "nvidia-h100-80gb-hbm3_580.159.04", "direct.json")); err != nil {
		t.Error(err)
	}
	all, err := gpu.ReadLedger(dir)
	if err != nil || len(all) != 2 {
		t.Fatalf("ReadLedger = %d rows, %v, want the two that ended", len(all), err)
	}
	if diff := cmp.Diff(gpu.Observation{Host: host, Row: row(2, nil), File: "9d17278aa6cd/nvidia-h100-80gb-hbm3_580.159.04/direct.json"}, all[1]); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(filepath.Join(dir, "x.json"), []byte(`{"version":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gpu.ReadLedger(dir); err == nil {
		t.Error("ReadLedger accepts another version")
	}
}

func TestRegressions(t *testing.T) {
	t.Parallel()
	fast := func(g float64) func(*gpu.Row) { return func(r *gpu.Row) { r.Figures.GFLOPS = g } }
	before := []gpu.Row{row(1, fast(90)), row(2, fast(100)), row(3, fast(300))}
	cases := map[string]struct {
		row  gpu.Row
		host gpu.Host
		want string
	}{
		"as fast as the median":         {row(9, fast(100)), host, ""},
		"just fast enough":              {row(9, fast(90)), host, ""},
		"too slow":                      {row(9, fast(89.9)), host, "the median of 3 earlier runs is 100"},
		"fails now":                     {row(9, func(r *gpu.Row) { r.Result, r.Reason = gpu.Failed, "error 803" }), host, "error 803"},
		"rebuilt image":                 {row(9, func(r *gpu.Row) { r.Digest = "sha256:ffff"; r.Figures.GFLOPS = 1 }), host, "GFLOP/s"},
		"new driver":                    {row(9, fast(1)), gpu.Host{Driver: "999.1", GPUs: host.GPUs}, "GFLOP/s"},
		"other bodies are another test": {row(9, func(r *gpu.Row) { r.Figures.Bodies, r.Figures.GFLOPS = 10, 1 }), host, ""},
		"another GPU":                   {row(9, fast(1)), gpu.Host{Driver: "580.159.04", GPUs: []gpu.GPU{{Name: "NVIDIA A100"}}}, ""},
		"another engine":                {row(9, func(r *gpu.Row) { r.Engine, r.Result = "nvidia", gpu.Failed }), host, ""},
		"a stand-in":                    {row(9, func(r *gpu.Row) { r.StandIn, r.Result = true, gpu.Failed }), host, ""},
		"more GPUs":                     {row(9, func(r *gpu.Row) { r.Devices = []string{"a", "b"}; r.Figures.GFLOPS = 1 }), host, ""},
		"shares its GPU":                {row(9, func(r *gpu.Row) { r.Sharing = &gpu.Sharing{By: gpu.ByMPS}; r.Figures.GFLOPS = 1 }), host, ""},
		"older than the baseline":       {row(0, fast(1)), host, ""},
	}
	var baseline []gpu.Observation
	for _, r := range before {
		baseline = append(baseline, gpu.Observation{Host: host, Row: r})
	}
	for name, test := range cases {
		worse := gpu.Regressions(test.host, []gpu.Row{test.row}, baseline)
		switch {
		case test.want == "" && len(worse) > 0:
			t.Errorf("%s: %q, want none", name, worse[0].Why)
		case test.want != "" && (len(worse) != 1 || !strings.Contains(worse[0].Why, test.want)):
			t.Errorf("%s: %v, want %q", name, worse, test.want)
		}
	}
	failing := append(baseline, gpu.Observation{Host: host, Row: row(5, func(r *gpu.Row) { r.Result = gpu.Failed })})
	if worse := gpu.Regressions(host, []gpu.Row{row(9, func(r *gpu.Row) { r.Result = gpu.Failed })}, failing); len(worse) > 0 {
		t.Errorf("what failed last time and fails still: %v, want none", worse)
	}
}

func TestCUDAErrorName(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{0: "", 35: "cudaErrorInsufficientDriver", 803: "cudaErrorSystemDriverMismatch", 12345: "cudaError 12345", -1: "cudaError -1"} {
		if got := gpu.CUDAErrorName(code); got != want {
			t.Errorf("CUDAErrorName(%d) = %q, want %q", code, got, want)
		}
	}
}

// TestOneReading: verify's prediction and what gpu and run refuse are one answer for the
// same environment and host.
func TestOneReading(t *testing.T) {
	t.Parallel()
	host := gpu.Host{Driver: "535.161.07", CUDA: "12.2", GPUs: []gpu.GPU{{Capability: "9.0", Brand: "nvidia"}}}
	for env, holds := range map[string]bool{
		"NVIDIA_REQUIRE_CUDA=cuda>=99 os=linux": false, "NVIDIA_REQUIRE_CUDA=cuda>=12 os=linux": true, "NVIDIA_REQUIRE_CUDA=cuda>=12.2,": true, "NVIDIA_REQUIRE_CUDA=cuda>=12.4,": false,
		"NVIDIA_REQUIRE_CUDA=\"cuda>=12.0\"": false, "NVIDIA_REQUIRE_CUDA=cuda>=12\tdriver>=1": false, "CUDA_VERSION=cu121": false, "CUDA_VERSION=12.4.0.041": false, "CUDA_VERSION=v12.2": true, "CUDA_VERSION=12.1.1": true,
		"NVIDIA_REQUIRE_CUDA=CUDA>=12.3": false, "NVIDIA_REQUIRE_CUDA=CUDA>=12.0": true, "NVIDIA_REQUIRE_X=brand=NVIDIA,ARCH>=9": true, "NVIDIA_REQUIRE_X=brand>=nvidia": false, "NVIDIA_REQUIRE_JETPACK=csv-mounts=all": true,
	} {
		why := host.Unmet([]string{env}, host.GPUs)
		requirements, _ := compat.Requirements([]string{env})
		p := compat.Predict(compat.Needs{Require: requirements}, host.Compat(host.GPUs[0]))
		if (why == "") != holds || p.Verdict.Runs() != holds {
			t.Errorf("%q: gpu and run say %q, verify %s (%s), want holds %t", env, why, p.Verdict, p.Why, holds)
		}
	}
}

func TestSelectMIG(t *testing.T) {
	t.Parallel()
	host := []gpu.GPU{
		{Index: 0, UUID: "GPU-aaaa1111", BusID: "0000:00:06.0", Capability: "8.0", MIG: true, MIGDevices: []gpu.MIGDevice{{0, "MIG-1111"}, {2, "MIG-2222"}}},
		{Index: 1, UUID: "GPU-bbbb2222", BusID: "0000:00:07.0", Capability: "9.0", MIGDevices: []gpu.MIGDevice{}},
	}
	for request, want := range map[string]string{
		"MIG-2222": "MIG-2222", "mig-1111": "MIG-1111", "0:0": "MIG-1111", "0:2,1": "MIG-2222,GPU-bbbb2222", "1, 0:0": "MIG-1111,GPU-bbbb2222", "0:0,MIG-1111": "MIG-1111", "0": "GPU-aaaa1111",
		"0:1": "", "1:0": "", "MIG-": "", "MIG-22": "", "0:0:0": "", "0:": "",
	} {
		got, err := gpu.Select(host, request)
		if text := strings.Join(gpu.UUIDs(got), ","); text != want || (err == nil) != (want != "") {
			t.Errorf("Select(%q) = %q, %v, want %q", request, text, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "0:2 (MIG-2222)") {
			t.Errorf("Select(%q): %v, want what there is", request, err)
		}
	}
	if got, _ := gpu.Select(host, "0:2"); len(got) != 1 || got[0].Capability != "8.0" || got[0].Index != 0 {
		t.Errorf("Select(0:2) = %+v, want a slice of GPU 0", got)
	}
}
