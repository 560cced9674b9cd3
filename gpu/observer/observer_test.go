// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package observer_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/host/hosttest"
	"github.com/cudabuild/cudabuild/gpu/observer"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/standin"
	"github.com/cudabuild/cudabuild/usertest"
	"github.com/cudabuild/cudabuild/verify"
)

// TestMain makes the test binary also the first process of its containers.
func TestMain(m *testing.M) { os.Exit(hosttest.Main(m)) }

// newObserver is a stage on a host of two stand-in GPUs, of which request are used.
func newObserver(t *testing.T, request string) *observer.Observer {
	t.Helper()
	return &observer.Observer{
		Host: hosttest.New(t, request), Verifier: verify.New(verify.Options{}),
		Engines: []container.Engine{container.Direct}, Limit: time.Minute, Ledger: t.TempDir(),
	}
}

// sample is an image that runs the stand-in for deviceQuery, with more files.
func sample(t *testing.T, env []string, more map[string]imagetest.Entry) image.Source {
	t.Helper()
	files := map[string]imagetest.Entry{
		"usr/bin/deviceQuery": imagetest.File(standin.Sample(t)),
		"etc/ld.so.conf.d":    {Dir: true},
		"etc/passwd":          {Data: "root:x:0:0::/:/bin/sh\n"},
	}
	for name, e := range more {
		files[name] = e
	}
	layer := imagetest.Layer(imagetest.Gzip, imagetest.Files(files))
	layer.Plain = true
	img, err := mutate.Config(imagetest.New(layer), v1.Config{
		Cmd: []string{"deviceQuery"}, Env: append(env, "PATH=/usr/bin"),
		Labels: map[string]string{"org.opencontainers.image.title": "12.4-deviceQuery-test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return image.Source{Ref: "test", Digest: digest, Image: img}
}

func one(t *testing.T, o *observer.Observer, src image.Source) gpu.Row {
	t.Helper()
	test, err := predict.Sample(src)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := o.Image(t.Context(), src, test)
	if err != nil || len(rows) != 1 {
		t.Fatalf("Image = %d rows, %v, want one", len(rows), err)
	}
	row := rows[0]
	if !row.StandIn {
		t.Error("the row does not say that it is of a stand-in")
	}
	if row.Prediction.Made.IsZero() || row.Prediction.Made.After(row.Started) {
		t.Errorf("predicted at %s, started at %s", row.Prediction.Made, row.Started)
	}
	kept, err := gpu.ReadLedger(o.Ledger)
	if err != nil || len(kept) != 1 || kept[0].Row.Result != row.Result {
		t.Errorf("the ledger has %d rows, %v, want the one", len(kept), err)
	}
	return row
}

// TestImage goes the whole way with the second of two GPUs, NVIDIA's hooks included.
func TestImage(t *testing.T) {
	o := newObserver(t, "1")
	row := one(t, o, sample(t, []string{"NVIDIA_REQUIRE_CUDA=driver>=525.60.13"}, nil))
	if row.Result != gpu.Passed || row.Cell != "12.4-deviceQuery-test" || row.Engine != "direct" || row.Figures.DriverCUDA != "13.0" {
		t.Errorf("row %+v", row)
	}
	if len(row.Devices) != 1 || row.Devices[0] != o.Facts.GPUs[1].UUID {
		t.Errorf("devices %v, want the second GPU", row.Devices)
	}
	if slices.Contains(row.DeviceNodes, "/dev/nvidia0") || !slices.Contains(row.DeviceNodes, "/dev/nvidia1") {
		t.Errorf("device nodes %v, want only the second GPU's", row.DeviceNodes)
	}
	if row.LoadedLibcuda != "/usr/lib/x86_64-linux-gnu/libcuda.so."+hosttest.Version {
		t.Errorf("libcuda %q", row.LoadedLibcuda)
	}
	if len(row.Left.Files) == 0 || row.Left.Verdict != string(verify.Fail) {
		t.Errorf("left %+v, want files that the verifier refuses", row.Left)
	}
	if row.Seconds.Create <= 0 || row.Seconds.Hooks <= 0 || row.Seconds.Hooks > row.Seconds.Create {
		t.Errorf("seconds %+v", row.Seconds)
	}
}

func TestImageRefused(t *testing.T) {
	cases := map[string]struct{ require, want string }{
		"cuda":   {"cuda>=99.0", "cuda>=99.0"},
		"driver": {"cuda>=11.0 driver>=999", ""},
		"arch":   {"arch<8.0", "compute capability 9.0"},
		"brand":  {"brand=tesla,driver>=470", "brand is nvidia"},
		"bad":    {"cuda>>1", "NVIDIA_REQUIRE_CUDA"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			o := newObserver(t, "all")
			row := one(t, o, sample(t, []string{"NVIDIA_REQUIRE_CUDA=" + test.require}, nil))
			if refused := row.Result == gpu.Refused; refused != (test.want != "") || !strings.Contains(row.Reason, test.want) {
				t.Errorf("%s: %s: %s, want %q", test.require, row.Result, row.Reason, test.want)
			}
			if row.Agrees == nil && test.want != "" {
				t.Error("a refusal agrees with its prediction")
			}
		})
	}
}

// TestImageOwnLibcuda: the stand-in program passes whatever it loads, so a right
// prediction does not agree with it.
func TestImageOwnLibcuda(t *testing.T) {
	cases := map[string]struct {
		path string
		data []byte
		want gpu.Prediction
	}{
		"empty": {"opt/libcuda.so.1", nil, gpu.Prediction{Verdict: "wrong-libcuda", CUDAError: "cudaErrorInsufficientDriver", CUDAErrorCode: 35}},
		"older": {
			"opt/libcuda.so.550.163.01", imagetest.ELF{SOName: "libcuda.so.1", Exports: []string{"cuInit"}, Exec: 300 << 10, Sections: true}.Bytes(),
			gpu.Prediction{Verdict: "wrong-libcuda", CUDAError: "cudaErrorSystemDriverMismatch", CUDAErrorCode: 803},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			o := newObserver(t, "0")
			files := map[string]imagetest.Entry{test.path: imagetest.File(test.data)}
			if test.data != nil {
				files["opt/libcuda.so.1"] = imagetest.Entry{Symlink: filepath.Base(test.path)}
			}
			row := one(t, o, sample(t, []string{"LD_LIBRARY_PATH=/opt"}, files))
			test.want.Result, test.want.Why, test.want.Made = gpu.Failed, row.Prediction.Why, row.Prediction.Made
			if row.Prediction != test.want {
				t.Errorf("predicted %+v, want %+v", row.Prediction, test.want)
			}
			if row.Agrees == nil || *row.Agrees {
				t.Error("a pass agrees with a predicted error")
			}
		})
	}
}

// TestImageWithoutGPU: the container gets nothing of the driver.
func TestImageWithoutGPU(t *testing.T) {
	o := newObserver(t, "none")
	row := one(t, o, sample(t, nil, nil))
	if row.Result != gpu.Waived || row.CUDAError != "cudaErrorInsufficientDriver" || row.Agrees == nil || !*row.Agrees || len(row.DeviceNodes) > 0 {
		t.Errorf("row %+v", row)
	}
}

// TestOwn runs tests of one's own on two stand-in GPUs: what they print is compared with what is
// expected, and a program that does not use the GPU, in whichever process, does not pass.
func TestOwn(t *testing.T) {
	shell, err := standin.Programs("sh")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := usertest.Parse("tests.yaml", []byte(`
version: 1
tests:
  - {name: program, run: [deviceQuery, compute], expect: {stdout: ^ok}, figures: {tflops: 'tflops=([0-9.]+)', time: {pattern: '=(\d+)', better: lower}}}
  - {name: child, run: [/bin/sh, -c, "(deviceQuery compute); true"], gpus: 1}
  - {name: cpu, run: [/bin/sh, -c, "echo ok"], expect: {stdout: ok}}
  - {name: none, run: [/bin/sh, -c, "echo /dev/nvidia?"], gpus: 0, expect: {stdout: '/dev/nvidia.$'}}
  - {name: seven, run: [deviceQuery, seven]}
  - {name: long, run: [deviceQuery, sleep], expect: {max_seconds: 1}}
  - {name: missing, run: [nothing]}
  - {name: writes, run: [/bin/sh, -c, "echo >/written"], gpus: 0}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		result, predicted gpu.Result
		reason            string
		devices           int
	}{
		"program": {gpu.Passed, "", "", 2}, "child": {gpu.Passed, "", "", 1},
		"cpu":   {gpu.Failed, "", "no libcuda was mapped: it did not use the GPU", 2},
		"none":  {gpu.Passed, gpu.Passed, "", 0},
		"seven": {gpu.Failed, "", "exit code 7, want 0", 2}, "long": {gpu.Failed, "", "no end within 1s", 2},
		"missing": {gpu.Failed, gpu.Failed, "nothing", 2}, "writes": {gpu.Passed, gpu.Passed, "", 0},
	}
	src := sample(t, nil, shell)
	o := newObserver(t, "all")
	for _, test := range tests {
		rows, err := o.Image(t.Context(), src, gpu.Own(test))
		if err != nil || len(rows) != 1 {
			t.Fatalf("%s: %d rows, %v", test.Name, len(rows), err)
		}
		row, want := rows[0], want[test.Name]
		if row.Sample != test.Name || row.Test != test.Digest() || row.Result != want.result || !strings.Contains(row.Reason, want.reason) || len(row.Devices) != want.devices {
			t.Errorf("%s: %+v", test.Name, row)
		}
		if want.predicted != "" && row.Prediction.Result != want.predicted {
			t.Errorf("%s: predicted %+v, want %s", test.Name, row.Prediction, want.predicted)
		}
		if test.Name == "program" && (row.Figures.Measured["tflops"] != gpu.Measured{Value: 41.5} || row.Figures.Measured["time"] != gpu.Measured{Value: 41, Better: gpu.Lower}) {
			t.Errorf("figures %+v", row.Figures)
		}
		if len(row.Left.Files) > 0 {
			t.Errorf("%s left %v", test.Name, row.Left)
		}
	}
}

// Of a program that opens its libraries by name nobody knows which part of the image counts:
// it is predicted to fail where none runs, and nothing is said where some do.
func TestOwnPrograms(t *testing.T) {
	code := func(architecture uint32) imagetest.Entry {
		data := imagetest.Align(imagetest.ELF{SOName: "lib.so", Exports: []string{"f"}, Exec: 300 << 10}.Bytes())
		return imagetest.File(append(data, imagetest.Fatbin(imagetest.SASS(architecture)...)...))
	}
	runtime := imagetest.File(append(imagetest.ELF{SOName: "libcudart.so.12", Exports: []string{"f"}, Exec: 300 << 10}.Bytes(), imagetest.Cudart(12040)...))
	shell, err := standin.Programs("sh")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := usertest.Parse("tests.yaml", []byte("version: 1\ntests:\n  - {name: script, run: [/bin/sh, -c, 'exit 3']}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		more map[string]imagetest.Entry
		want gpu.Result
	}{
		"all run":                    {map[string]imagetest.Entry{"opt/a.so": code(90)}, gpu.Passed},
		"some run":                   {map[string]imagetest.Entry{"opt/a.so": code(90), "opt/tool.so": code(75)}, ""},
		"none run":                   {map[string]imagetest.Entry{"opt/a.so": code(75), "opt/b.so": code(70)}, gpu.Failed},
		"only the CUDA runtime runs": {map[string]imagetest.Entry{"opt/a.so": code(75), "opt/libcudart.so.12": runtime}, gpu.Failed},
	} {
		files := maps.Clone(shell)
		maps.Copy(files, c.more)
		files["usr/bin/deviceQuery"] = imagetest.Entry{Data: "#!/bin/sh\n"} // the stand-in has a CUDA runtime
		rows, err := newObserver(t, "0").Image(t.Context(), sample(t, nil, files), gpu.Own(tests[0]))
		if err != nil || len(rows) != 1 {
			t.Fatalf("%s: %d rows, %v", name, len(rows), err)
		}
		if p := rows[0].Prediction; p.Result != c.want || (c.want == "") != (rows[0].Agrees == nil) {
			t.Errorf("%s: predicted %+v, agrees %v, want %q", name, p, rows[0].Agrees, c.want)
		}
	}
}

func TestImageIsNoSample(t *testing.T) {
	layer := imagetest.Layer(imagetest.Gzip, imagetest.Files(map[string]imagetest.Entry{"a": {}}))
	for _, cmd := range [][]string{nil, {"bash"}} {
		img, err := mutate.Config(imagetest.New(layer), v1.Config{Cmd: cmd})
		if err != nil {
			t.Fatal(err)
		}
		if test, err := predict.Sample(image.Source{Ref: "x", Image: img}); err == nil || !strings.Contains(err.Error(), "want a sample") {
			t.Errorf("an image that runs %v: %s, %v", cmd, test.Name, err)
		}
	}
}
