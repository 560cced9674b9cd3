// SPDX-License-Identifier: Apache-2.0

package gpu_test

import (
	"testing"

	"github.com/cudabuild/cudabuild/gpu"
)

// TestObservation: which driver and GPU a row is of, and whether it says anything of them.
func TestObservation(t *testing.T) {
	t.Parallel()
	const a, b = "GPU-a", "GPU-b"
	two := []gpu.GPU{{UUID: a, Name: "NVIDIA A100", Capability: "8.0"}, {UUID: b, Name: "NVIDIA H200", Capability: "9.0"}}
	for name, tc := range map[string]struct {
		edit                          func(*gpu.Observation)
		driver, model, arch, discount string
	}{
		"the host's":             {func(*gpu.Observation) {}, "580.65.06", "NVIDIA A100", "sm_80", ""},
		"the device that it had": {func(o *gpu.Observation) { o.Row.Devices = []string{b} }, "580.65.06", "NVIDIA H200", "sm_90", ""},
		"what the host was": {func(o *gpu.Observation) {
			o.Row.Devices, o.Row.Under = nil, &gpu.Circumstances{Driver: "535.54.03", GPU: "NVIDIA H200"}
		}, "535.54.03", "NVIDIA H200", "sm_90", ""},
		"a model of another host":      {func(o *gpu.Observation) { o.Row.Devices, o.Row.Under = nil, &gpu.Circumstances{GPU: "NVIDIA L4"} }, "580.65.06", "NVIDIA L4", "", ""},
		"what the container saw":       {func(o *gpu.Observation) { o.Row.Seen = &gpu.Seen{Driver: "550.54.14"} }, "550.54.14", "NVIDIA A100", "sm_80", ""},
		"no GPU":                       {func(o *gpu.Observation) { o.Host.GPUs = nil }, "580.65.06", "", "", ""},
		"stand-in":                     {func(o *gpu.Observation) { o.Row.StandIn = true }, "580.65.06", "NVIDIA A100", "sm_80", gpu.StandIn},
		"dry":                          {func(o *gpu.Observation) { o.Row.Dry = true }, "580.65.06", "NVIDIA A100", "sm_80", gpu.WithoutDriver},
		"without a driver":             {func(o *gpu.Observation) { o.Host.Driver = "" }, "", "NVIDIA A100", "sm_80", gpu.WithoutDriver},
		"not ended":                    {func(o *gpu.Observation) { o.Row.Result = "" }, "580.65.06", "NVIDIA A100", "sm_80", gpu.NotEnded},
		"without the image's digest":   {func(o *gpu.Observation) { o.Row.Digest = "" }, "580.65.06", "NVIDIA A100", "sm_80", gpu.NoDigest},
		"a result that nobody defined": {func(o *gpu.Observation) { o.Row.Result = "PASS" }, "580.65.06", "NVIDIA A100", "sm_80", gpu.OddResult},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := gpu.Observation{Host: gpu.Host{Driver: "580.65.06", GPUs: two}, Row: gpu.Row{Digest: "sha256:1", Devices: []string{a}, Result: gpu.Passed}}
			tc.edit(&o)
			model, arch := o.Device()
			if o.Driver() != tc.driver || model != tc.model || arch != tc.arch || o.Discount() != tc.discount {
				t.Errorf("Driver, Device, Discount = %q, %q, %q, %q, want %q, %q, %q, %q", o.Driver(), model, arch, o.Discount(), tc.driver, tc.model, tc.arch, tc.discount)
			}
		})
	}
}
