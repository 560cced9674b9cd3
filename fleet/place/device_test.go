// SPDX-License-Identifier: Apache-2.0

package place_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/fleet/place"
	"github.com/cudabuild/cudabuild/gpu"
)

// TestClaimable reads devices in the form of a ResourceSlice. MIG slices are no GPUs.
func TestClaimable(t *testing.T) {
	t.Parallel()
	const published = `[
		{"type": {"string": "mig"}, "driverVersion": {"version": "580.65.6"}},
		{"type": {"string": "gpu"}, "uuid": {"string": "GPU-1"}, "productName": {"string": "NVIDIA H100 80GB HBM3"}, "brand": {"string": "Nvidia"}, "minor": {"int": 0},
		 "driverVersion": {"version": "580.65.6"}, "cudaDriverVersion": {"version": "13.0.0"}, "cudaComputeCapability": {"version": "9.0.0"}}
	]`
	var devices []map[string]place.Attribute
	if err := json.Unmarshal([]byte(published), &devices); err != nil {
		t.Fatal(err)
	}
	want := gpu.Host{Driver: "580.65.6", CUDA: "13.0", Problems: []string{}, GPUs: []gpu.GPU{
		{UUID: "GPU-1", Name: "NVIDIA H100 80GB HBM3", Brand: "nvidia", Capability: "9.0", MIGDevices: []gpu.MIGDevice{}, Links: []gpu.Link{}},
	}}
	if diff := cmp.Diff(want, place.Claimable(devices)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if h := place.Claimable(nil); h.Driver != "" || len(h.GPUs) != 0 {
		t.Errorf("of nothing: %+v", h)
	}
}
