// SPDX-License-Identifier: Apache-2.0

package reporttest

import (
	"fmt"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/contents"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/verify"
)

// split is the CUDA release, the kind and the OS of a cell.
func split(id string) (system, cuda, kind string) {
	words := strings.Split(id, "-")
	return words[2], words[0], words[1]
}

// holds is what is in an image: a root that all of an OS share, the runtime that all of a CUDA release share, and its own layer.
func holds(id string, r verify.Report) contents.Image {
	system, cuda, kind := split(id)
	img := contents.Image{}
	add := func(name, by string, size int64, packages ...string) {
		n := len(img.Layers)
		img.Layers = append(img.Layers, contents.Layer{Digest: Digest(name + r.Platform), SizeBytes: size})
		img.History = append(img.History, contents.Step{CreatedBy: by, Layer: n})
		for _, p := range packages {
			name, version, _ := strings.Cut(p, " ")
			img.Packages = append(img.Packages, verify.Package{Manager: "dpkg", Name: name, Version: version, Arch: strings.TrimPrefix(r.Platform, "linux/"), Layer: n})
		}
	}
	add(system, "root of "+system, 22e6, "bash 5.2.37-2+b10", "libc6 2.41-12", "zlib1g 1:1.3.1-1")
	add(cuda+"-"+system, "install cudart "+cuda, 4e6, "libcudart "+cuda+".1-1", "cudabuild-guard 1")
	switch kind {
	case "base":
	case "runtime":
		add(id, "install the libraries of CUDA "+cuda, 910e6, "libcublas "+cuda+".5-1", "libcufft "+cuda+".1-1")
	default:
		add(id, "copy "+kind, 4e5)
	}
	img.History = append(img.History, contents.Step{CreatedBy: "environment", Layer: -1})
	img.Config = contents.Config{
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "CUDA_VERSION=" + cuda, "NVIDIA_REQUIRE_CUDA=" + r.Portability.Needs.Require[0].Value},
		Cmd: []string{command(kind)}, Labels: map[string]string{"org.opencontainers.image.title": id},
	}
	return img
}

// command is what an image starts.
func command(kind string) string {
	switch kind {
	case "base", "runtime", "devel":
		return "bash"
	}
	return kind
}

// Host is a stand-in for a machine, which nobody has seen.
func Host(name, driver, model, capability string) gpu.Host {
	return gpu.Host{
		OS: "an example", Kernel: "6.1.0-example", Driver: driver, CUDA: "13.0", Hook: "1.20.1", Runtime: "1.20.1", Runc: "1.5.2", Problems: []string{},
		GPUs: []gpu.GPU{{UUID: "GPU-example-of-" + name, Name: model, Brand: "nvidia", Capability: capability}},
	}
}

// Row is one start of a cell's image on a host, as predicted: it passed.
func Row(host gpu.Host, name, id, test, engine string, started time.Time) gpu.Observation {
	agrees := true
	return gpu.Observation{Host: host, File: "example/" + engine + ".json", Row: gpu.Row{
		Image: "cuda:" + id, Digest: Digest(id + " linux/amd64"), Config: Digest("configuration of " + Digest(id+" linux/amd64")), Cell: id,
		Sample: test, Engine: engine, Devices: []string{host.GPUs[0].UUID}, Under: host.Under(host.GPUs), Node: &gpu.Node{Name: name, Labels: map[string]string{}},
		Prediction: gpu.Prediction{Verdict: "native", Why: "its device code includes it", Result: gpu.Passed}, Started: started,
		Result: gpu.Passed, Agrees: &agrees, LoadedLibcuda: "/usr/lib/libcuda.so." + host.Driver, DeviceNodes: []string{},
	}}
}

// observations are those of three hosts and of a stand-in for a driver.
func observations() (all []gpu.Observation) {
	h200 := Host("gpu1", "580.65.06", "NVIDIA H200", "9.0")
	a100 := Host("gpu2", "535.161.07", "NVIDIA A100-SXM4-80GB", "8.0")
	old := Host("gpu3", "470.57.02", "Tesla T4", "7.5")
	day := func(n int) time.Time { return Today.AddDate(0, 0, n) }

	for i := range 12 { // a baseline of an earlier image, and slower since
		o := Row(h200, "example-gpu1", "13.0-nbody-ubuntu24.04", "nbody", "nvidia", day(-30+i))
		o.Row.Figures = gpu.Figures{Bodies: 135168, Precision: "float", GFLOPS: 36000 + float64(i%4)*50}
		o.Row.Digest, o.Row.Config = Digest("last week's 13.0-nbody-ubuntu24.04"), ""
		all = append(all, o)
	}
	slower := Row(h200, "example-gpu1", "13.0-nbody-ubuntu24.04", "nbody", "nvidia", day(-1))
	slower.Row.Figures = gpu.Figures{Bodies: 135168, Precision: "float", GFLOPS: 31000}

	failed := Row(h200, "example-gpu1", "12.4-nbody-debian13", "nbody", "direct", day(-1))
	disagrees := false
	failed.Row.Result, failed.Row.Agrees, failed.Row.CUDAError = gpu.Failed, &disagrees, "cudaErrorNoKernelImageForDevice"
	failed.Row.Reason = "no kernel image is available for execution on the device"

	refused := Row(old, "example-gpu3", "12.4-deviceQuery-debian13", "deviceQuery", "direct", day(-1))
	refused.Row.Prediction = gpu.Prediction{Verdict: "refused", Why: "driver>=525.60.13: the driver is 470.57.02", Result: gpu.Refused}
	refused.Row.Result, refused.Row.Reason = gpu.Refused, "driver>=525.60.13: the driver is 470.57.02"

	better := Row(old, "example-gpu3", "11.2-nbody-debian11", "nbody", "direct", day(-2)) // runs where it was predicted not to
	better.Row.Prediction = gpu.Prediction{Verdict: "no", Why: "usr/local/bin/nbody has no code for sm_75", Result: gpu.Failed}
	better.Row.Agrees = &disagrees

	standIn := Row(a100, "example-gpu2", "12.4-runtime-debian13", "cublas", "direct", day(-1))
	standIn.Row.StandIn, standIn.Host.StandIn = true, true
	dry := Row(a100, "example-gpu2", "12.4-runtime-debian13", "cublas", "direct", day(-2))
	dry.Row.Dry = true
	begun := Row(a100, "example-gpu2", "12.4-runtime-debian13", "cufft", "direct", day(0))
	begun.Row.Result, begun.Row.Agrees = "", nil
	nameless := Row(a100, "example-gpu2", "12.4-runtime-debian13", "cufft", "nvidia", day(-3))
	nameless.Row.Digest = ""
	foreign := Row(a100, "example-gpu2", "12.4-runtime-debian13", "cufft", "nvidia", day(-3))
	foreign.Row.Digest, foreign.Row.Config, foreign.Row.Cell = Digest("somebody's image"), "", ""

	all = append(all, slower, failed, refused, better, standIn, dry, begun, nameless, foreign)
	for i := range 3 { // and some that simply pass
		o := Row(a100, "example-gpu2", "12.4-deviceQuery-debian13", "deviceQuery", "direct", day(-1).Add(time.Duration(i)*time.Hour))
		o.Row.Sharing = &gpu.Sharing{By: gpu.ByMPS, Clients: 3, Client: i, Threads: 33}
		o.File = fmt.Sprintf("example/mps-%d.json", i)
		all = append(all, o)
	}
	return append(all, Row(h200, "example-gpu1", "12.4-deviceQuery-debian13", "deviceQuery", "direct", day(-1)))
}
