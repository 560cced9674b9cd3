// SPDX-License-Identifier: Apache-2.0

package had_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/fleet/had"
	"github.com/cudabuild/cudabuild/fleet/observe"
	"github.com/cudabuild/cudabuild/gpu"
)

// TestHad: a name that compat knows counts more than what the caller knew, and lists are never null.
func TestHad(t *testing.T) {
	t.Parallel()
	seen := observe.Seen{Driver: "580.65.06", VisibleDevices: "all", GPUs: []observe.GPU{
		{UUID: "GPU-a", Name: "NVIDIA A100-SXM4-80GB", BusID: "0000:00:06.0", Minor: 3},
		{UUID: "GPU-b", Name: "a board of tomorrow", BusID: "0000:00:07.0"},
	}}
	want := &gpu.Seen{Driver: "580.65.06", VisibleDevices: "all", Devices: []gpu.Device{
		{UUID: "GPU-a", Name: "NVIDIA A100-SXM4-80GB", BusID: "0000:00:06.0"},
		{UUID: "GPU-b", Name: "a board of tomorrow", BusID: "0000:00:07.0"},
	}}
	if diff := cmp.Diff(want, had.Seen(seen)); diff != "" {
		t.Errorf("Seen (-want +got):\n%s", diff)
	}
	like := gpu.GPU{Index: 7, Capability: "9.0", Brand: "b", MemoryBytes: 1, UUID: "GPU-other"}
	none := gpu.GPU{MemoryBytes: 1, MIGDevices: []gpu.MIGDevice{}, Links: []gpu.Link{}}
	a, b := none, none
	a.Index, a.Minor, a.UUID, a.BusID, a.Name, a.Capability, a.Brand = 0, 3, "GPU-a", "0000:00:06.0", "NVIDIA A100-SXM4-80GB", "8.0", "nvidia"
	b.Index, b.UUID, b.BusID, b.Name, b.Capability, b.Brand = 1, "GPU-b", "0000:00:07.0", "a board of tomorrow", "9.0", "b"
	if diff := cmp.Diff([]gpu.GPU{a, b}, had.GPUs(seen, like)); diff != "" {
		t.Errorf("GPUs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&gpu.Seen{Devices: []gpu.Device{}}, had.Seen(observe.Seen{})); diff != "" || had.GPUs(observe.Seen{}, like) == nil {
		t.Errorf("of nothing: Seen (-want +got):\n%s, GPUs %v", diff, had.GPUs(observe.Seen{}, like))
	}
}
