// SPDX-License-Identifier: Apache-2.0

package gpu_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
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
		"cublas.json": {"cublas", gpu.Output{
			Result: gpu.Passed, Libcuda: "/usr/local/nvidia/lib64/libcuda.so.580.159.04",
			Loaded:  []string{"/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcublas.so.12.4.5.8"},
			Figures: gpu.Figures{Measured: map[string]gpu.Measured{"gflops": {Value: 50123.4}, "half_gflops": {Value: 600000}}},
		}},
		"cusparse-fail.json": {"cusparse", gpu.Output{Result: gpu.Failed, Loaded: []string{}, Message: "double, matrix: error 1e+99, tolerance 2.16e-15; float, matrix: error 1, tolerance 1.08e-06"}},
		"curand-older.json":  {"curand", gpu.Output{Result: gpu.Failed, Loaded: []string{"/usr/lib/libc.so.6"}, Message: "libcurand 10.3.0 is older than 10.3.5, which this was built with"}},
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

// TestLedgerOfClients: clients that write at the same time lose no row, and have that of a Job once, whatever each of them
// knows of its node.
func TestLedgerOfClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			for job := range 20 {
				at := host
				at.Driver = []string{host.Driver, ""}[client%2]
				if err := gpu.Append(dir, at, row(job, func(r *gpu.Row) { r.Run, r.Job, r.Engine = "run", fmt.Sprint("job-", job), "k8s" })); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	again := row(1, func(r *gpu.Row) { r.Run, r.Job, r.Engine = "another run", "job-1", "k8s" })
	if all, err := gpu.ReadLedger(dir); err != nil || len(all) != 20 {
		t.Errorf("%d rows of 20 Jobs, %v", len(all), err)
	}
	if err := gpu.Append(dir, host, again); err != nil {
		t.Fatal(err)
	}
	if all, err := gpu.ReadLedger(dir); err != nil || len(all) != 21 {
		t.Errorf("%d rows with that of another run, want 21, %v", len(all), err)
	}
}

// TestLedgerIsDirectory: no directory and a file are errors, a link to one is none.
func TestLedgerIsDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	ledger := t.TempDir()
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(ledger, link), gpu.Append(ledger, host, row(1, nil))); err != nil {
		t.Fatal(err)
	}
	if _, err := gpu.ReadLedger(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := gpu.ReadLedger(file); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file: %v", err)
	}
	if all, err := gpu.ReadLedger(link); err != nil || len(all) != 1 || all[0].File != "9d17278aa6cd/nvidia-h100-80gb-hbm3_580.159.04/direct.json" {
		t.Errorf("a link: %v, %v", all, err)
	}
}

// regressionsOf are those of r after the baseline, in words.
func regressionsOf(host gpu.Host, baseline []gpu.Observation, rows ...gpu.Row) []string {
	worse, _ := gpu.Compare(host, rows, baseline)
	var words []string
	for _, g := range worse {
		words = append(words, string(g.State)+": "+g.Why)
	}
	return words
}

func observations(rows ...gpu.Row) (all []gpu.Observation) {
	for _, r := range rows {
		all = append(all, gpu.Observation{Host: host, Row: r})
	}
	return all
}

// TestLedgerKeeps: a file keeps a hundred rows of each test and way to share a GPU, so that one of
// many starts leaves another its own.
func TestLedgerKeeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	add := func(started int, test string, sharing *gpu.Sharing) {
		if err := gpu.Append(dir, host, row(started, func(r *gpu.Row) { r.Test, r.Sharing = test, sharing })); err != nil {
			t.Fatal(err)
		}
	}
	add(1, "sha256:1", nil)
	add(2, "", nil)
	for i := range 103 {
		add(10+i, "", &gpu.Sharing{By: gpu.ByMPS, Clients: 2, Wall: float64(i)})
	}
	all, err := gpu.ReadLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 102 || all[0].Row.Test != "sha256:1" || all[1].Row.Sharing != nil || all[2].Row.Started.Unix() != 13 {
		t.Errorf("%d rows, the first of test %q, want the other test's one, the one alone and the newest hundred", len(all), all[0].Row.Test)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	fast := func(g float64) func(*gpu.Row) { return func(r *gpu.Row) { r.Figures.GFLOPS = g } }
	takes := func(v float64, better string) func(*gpu.Row) {
		return func(r *gpu.Row) {
			r.Figures = gpu.Figures{Measured: map[string]gpu.Measured{"seconds": {Value: v, Better: better}}}
		}
	}
	few := []gpu.Row{row(1, fast(95)), row(2, fast(100)), row(3, fast(105))}
	var enough, seconds []gpu.Row
	for i := range 10 {
		enough = append(enough, row(i, fast(100)))
		seconds = append(seconds, row(i, takes(10, gpu.Lower)))
	}
	failed := func(r *gpu.Row) { r.Result, r.Reason = gpu.Failed, "error 803" }
	cases := map[string]struct {
		row      gpu.Row
		host     gpu.Host
		baseline []gpu.Row
		want     string
	}{
		"as fast as the median":         {row(9, fast(100)), host, few, ""},
		"just fast enough":              {row(9, fast(90)), host, few, ""},
		"too slow":                      {row(9, fast(89.9)), host, few, "slower: gflops 89.9, below the limit 90 (no baseline, median of 3 starts 100, spread 10)"},
		"fails now":                     {row(9, failed), host, few, "failed: passed on 1970-01-01, now: fail (error 803)"},
		"rebuilt image":                 {row(9, func(r *gpu.Row) { r.Digest = "sha256:ffff"; r.Figures.GFLOPS = 1 }), host, few, "slower"},
		"new driver":                    {row(9, fast(1)), gpu.Host{Driver: "999.1", GPUs: host.GPUs}, few, "slower"},
		"other bodies are another test": {row(9, func(r *gpu.Row) { r.Figures.Bodies, r.Figures.GFLOPS = 10, 1 }), host, few, ""},
		"another test of one's own":     {row(9, func(r *gpu.Row) { r.Test, r.Figures.GFLOPS = "sha256:1", 1 }), host, few, ""},
		"another GPU":                   {row(9, fast(1)), gpu.Host{Driver: "580.159.04", GPUs: []gpu.GPU{{Name: "NVIDIA A100"}}}, few, ""},
		"the host's other GPU":          {row(9, func(r *gpu.Row) { r.Under, r.Figures.GFLOPS = &gpu.Circumstances{GPU: "NVIDIA A100"}, 1 }), host, few, ""},
		"another engine":                {row(9, func(r *gpu.Row) { r.Engine, r.Result = "nvidia", gpu.Failed }), host, few, ""},
		"a stand-in":                    {row(9, func(r *gpu.Row) { r.StandIn, r.Result = true, gpu.Failed }), host, few, ""},
		"dry":                           {row(9, func(r *gpu.Row) { r.Dry, r.Result = true, gpu.Failed }), host, few, ""},
		"more GPUs":                     {row(9, func(r *gpu.Row) { r.Devices = []string{"a", "b"}; r.Figures.GFLOPS = 1 }), host, few, ""},
		"shares its GPU":                {row(9, func(r *gpu.Row) { r.Sharing = &gpu.Sharing{By: gpu.ByMPS}; r.Figures.GFLOPS = 1 }), host, few, ""},
		"older than the baseline":       {row(0, fast(1)), host, few, ""},
		"within ten starts' limit":      {row(19, fast(97)), host, enough, ""},
		"beyond ten starts' limit":      {row(19, fast(96)), host, enough, "slower: gflops 96, below the limit 97 (median of 10 starts 100, spread 0)"},
		"takes less":                    {row(19, takes(5, gpu.Lower)), host, seconds, ""},
		"takes a bit more":              {row(19, takes(10.3, gpu.Lower)), host, seconds, ""},
		"takes more":                    {row(19, takes(10.4, gpu.Lower)), host, seconds, "slower: seconds 10.4, above the limit 10.3"},
		"takes more than a few did":     {row(19, takes(11.2, gpu.Lower)), host, seconds[:9], "slower: seconds 11.2, above the limit 11.1111 (no baseline"},
		"now more is better":            {row(19, takes(99, "")), host, seconds, ""},
		"failed last time and still":    {row(19, failed), host, append(slices.Clone(few), row(5, failed)), ""},
	}
	for name, test := range cases {
		got := strings.Join(regressionsOf(test.host, observations(test.baseline...), test.row), "\n")
		if !strings.Contains(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestCompared: every figure of a passed row is compared, also where there is nothing to
// compare it with.
func TestCompared(t *testing.T) {
	t.Parallel()
	two := row(9, func(r *gpu.Row) {
		r.Figures.Measured = map[string]gpu.Measured{"b": {Value: 1}, "a": {Value: 2, Better: gpu.Lower}}
	})
	_, figures := gpu.Compare(host, []gpu.Row{two, row(9, func(r *gpu.Row) { r.Result = gpu.Failed })}, observations(row(1, nil)))
	var got []string
	for _, f := range figures {
		got = append(got, fmt.Sprintf("%s %v %q %d %v", f.Figure, f.Value, f.Better, f.Starts, f.Limit))
	}
	want := []string{`a 2 "lower" 0 0`, `b 1 "" 0 0`, `gflops 100 "" 1 90`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	fast := func(g float64) gpu.Row { return row(9, func(r *gpu.Row) { r.Figures.GFLOPS = g }) }
	rebuilt := row(9, func(r *gpu.Row) { r.Digest, r.Figures.GFLOPS = "sha256:ffff", 85 })
	worse := regressionsOf(host, observations(row(1, nil)), fast(80), rebuilt, fast(100), fast(89), fast(88), fast(100))
	if diff := cmp.Diff([]string{"slower: gflops 85, below the limit 90 (no baseline, median of 1 starts 100, spread 0)", "slower: gflops 89 (median of 5), below the limit 90 (no baseline, median of 1 starts 100, spread 0)"}, worse); diff != "" {
		t.Errorf("of repetitions the median: %s", diff)
	}
}

// TestComparedHuge: a number that cannot be reckoned with is not compared, and what was
// found can be written.
func TestComparedHuge(t *testing.T) {
	t.Parallel()
	of := func(started int, gflops, other float64) gpu.Row {
		return row(started, func(r *gpu.Row) {
			r.Figures.GFLOPS, r.Figures.Measured = gflops, map[string]gpu.Measured{"other": {Value: other}}
		})
	}
	worse, figures := gpu.Compare(host, []gpu.Row{of(9, 100, 1.5e308), of(10, 1.5e308, 7)}, observations(of(1, 1.5e308, 7), of(2, 100, -1.5e308)))
	var got []string
	for _, f := range figures {
		got = append(got, fmt.Sprintf("%s %v of %d, %d", f.Figure, f.Value, f.Now, f.Starts))
	}
	if diff := cmp.Diff([]string{"other 7 of 1, 1"}, got); diff != "" || len(worse) > 0 {
		t.Errorf("%v %s", worse, diff)
	}
	if _, err := json.Marshal(figures); err != nil {
		t.Error(err)
	}
}

// under is a row in circumstances of its own.
func under(started int, result gpu.Result, change func(*gpu.Row)) gpu.Row {
	return row(started, func(r *gpu.Row) {
		r.Result, r.Config, r.Under = result, "sha256:c0", host.Under(two[:1])
		if change != nil {
			change(r)
		}
	})
}

func TestUnder(t *testing.T) {
	t.Parallel()
	h := gpu.Host{Driver: "1", Kernel: "2", Hook: "3", Runtime: "4", Runc: "5", GPUs: two}
	for want, gpus := range map[string][]gpu.GPU{"": nil, "NVIDIA H100 80GB HBM3": two, "A, B": {{Name: "A"}, {Name: "B"}, {Name: "A"}}} {
		if diff := cmp.Diff(&gpu.Circumstances{Driver: "1", GPU: want, Kernel: "2", Hook: "3", Runtime: "4", Runc: "5"}, h.Under(gpus)); diff != "" {
			t.Errorf("%d GPUs: %s", len(gpus), diff)
		}
	}
}

func TestFlaky(t *testing.T) {
	t.Parallel()
	driver := func(r *gpu.Row) { r.Under = gpu.Host{Driver: "1"}.Under(two[:1]) }
	old := func(r *gpu.Row) { r.Under = nil }
	cases := map[string]struct {
		before, now []gpu.Row
		want        string
	}{
		"failed, passed":             {[]gpu.Row{under(1, gpu.Failed, nil)}, []gpu.Row{under(2, gpu.Passed, nil)}, "flaky: 1 of 2 starts failed in the same circumstances"},
		"passes before alone":        {[]gpu.Row{under(1, gpu.Passed, nil)}, []gpu.Row{under(2, gpu.Failed, nil)}, "failed: passed on 1970-01-01, now: fail ()"},
		"passes before in this run":  {nil, []gpu.Row{under(1, gpu.Passed, nil), under(2, gpu.Failed, nil), under(3, gpu.Failed, nil)}, "failed: passed on 1970-01-01, now: fail ()"},
		"this run alone":             {nil, []gpu.Row{under(1, gpu.Failed, nil), under(2, gpu.Passed, nil), under(3, gpu.Failed, nil)}, "flaky: 2 of 3 starts failed in the same circumstances"},
		"was flaky, fails":           {[]gpu.Row{under(1, gpu.Failed, nil), under(2, gpu.Passed, nil)}, []gpu.Row{under(3, gpu.Failed, nil)}, "flaky: 2 of 3 starts failed in the same circumstances"},
		"always failed":              {[]gpu.Row{under(1, gpu.Failed, nil)}, []gpu.Row{under(2, gpu.Failed, nil)}, ""},
		"failed with another driver": {[]gpu.Row{under(1, gpu.Failed, driver)}, []gpu.Row{under(2, gpu.Passed, nil)}, ""},
		"failed with another test":   {[]gpu.Row{under(1, gpu.Failed, func(r *gpu.Row) { r.Test = "sha256:1" })}, []gpu.Row{under(2, gpu.Passed, nil)}, ""},
		"failed, more was expected":  {[]gpu.Row{under(1, gpu.Failed, func(r *gpu.Row) { r.Expect = "sha256:1" })}, []gpu.Row{under(2, gpu.Passed, nil)}, ""},
		"failed as another image":    {[]gpu.Row{under(1, gpu.Failed, func(r *gpu.Row) { r.Digest, r.Config = "sha256:d", "sha256:c1" })}, []gpu.Row{under(2, gpu.Passed, nil)}, ""},
		"compressed in another way":  {[]gpu.Row{under(1, gpu.Failed, func(r *gpu.Row) { r.Digest = "sha256:d" })}, []gpu.Row{under(2, gpu.Passed, nil)}, "flaky: 1 of 2 starts failed in the same circumstances"},
		"rows without circumstances": {[]gpu.Row{under(1, gpu.Failed, old)}, []gpu.Row{under(2, gpu.Passed, old)}, ""},
	}
	for name, test := range cases {
		if got := strings.Join(regressionsOf(host, observations(test.before...), test.now...), "\n"); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	wrong, later := false, int(time.Now().Add(time.Hour).Unix())
	cases := map[string]struct {
		ledger []gpu.Row
		want   bool
	}{
		"passed":                       {[]gpu.Row{under(5, gpu.Passed, nil)}, true},
		"passed too long ago":          {[]gpu.Row{under(4, gpu.Passed, nil)}, false},
		"failed":                       {[]gpu.Row{under(5, gpu.Failed, nil)}, false},
		"failed before":                {[]gpu.Row{under(6, gpu.Passed, nil), under(5, gpu.Failed, nil)}, true},
		"failed since":                 {[]gpu.Row{under(5, gpu.Passed, nil), under(6, gpu.Failed, nil)}, false},
		"failed since, another driver": {[]gpu.Row{under(5, gpu.Passed, nil), under(6, gpu.Failed, func(r *gpu.Row) { r.Under = host.Under(nil) })}, true},
		"waived":                       {[]gpu.Row{under(5, gpu.Waived, nil)}, false},
		"passed, not as predicted":     {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Agrees = &wrong })}, false},
		"same layers, another digest":  {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Digest = "sha256:d" })}, true},
		"another image":                {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Digest, r.Config = "sha256:d", "sha256:c1" })}, false},
		"no configuration, no digest":  {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Digest, r.Config = "sha256:d", "" })}, false},
		"another test":                 {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Test = "sha256:1" })}, false},
		"less was expected":            {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Expect = "sha256:1" })}, false},
		"of the future":                {[]gpu.Row{under(later, gpu.Passed, nil)}, false},
		"failed in the future":         {[]gpu.Row{under(5, gpu.Passed, nil), under(later, gpu.Failed, nil)}, true},
		"another engine":               {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Engine = "nvidia" })}, false},
		"two GPUs":                     {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Devices = []string{"a", "b"} })}, false},
		"another card of the model":    {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Devices = []string{"b"} })}, true},
		"shared":                       {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Sharing = &gpu.Sharing{By: gpu.ByMPS} })}, false},
		"old row":                      {[]gpu.Row{under(5, gpu.Passed, func(r *gpu.Row) { r.Under = nil })}, false},
	}
	for _, field := range []string{"Driver", "GPU", "Kernel", "Hook", "Runtime", "Runc"} {
		other := under(5, gpu.Passed, nil)
		reflect.ValueOf(other.Under).Elem().FieldByName(field).SetString("another")
		cases["another "+field] = struct {
			ledger []gpu.Row
			want   bool
		}{[]gpu.Row{other}, false}
	}
	row := under(9, "", func(r *gpu.Row) { r.Devices = []string{"a"} })
	for name, test := range cases {
		for i := range test.ledger {
			if len(test.ledger[i].Devices) == 0 {
				test.ledger[i].Devices = row.Devices
			}
		}
		if _, got := gpu.Known(row, observations(test.ledger...), time.Unix(5, 0)); got != test.want {
			t.Errorf("%s: known %t, want %t", name, got, test.want)
		}
	}
}

// TestMemory: GPUs' memory as nvidia-smi shows it, from what NVML says of real ones.
func TestMemory(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[uint64]string{85520809984: "81559 MiB", 150754820096: "143771 MiB", 0: "0 MiB"} {
		if got := (gpu.GPU{MemoryBytes: bytes}).Memory(); got != want {
			t.Errorf("%d bytes: %s, want %s", bytes, got, want)
		}
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
