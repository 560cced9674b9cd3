// SPDX-License-Identifier: Apache-2.0

package place_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet/place"
	"github.com/cudabuild/cudabuild/gpu"
)

// TestLabels has what GPU feature discovery wrote on nodes.
func TestLabels(t *testing.T) {
	t.Parallel()
	h100 := gpu.GPU{Name: "NVIDIA H100 80GB HBM3", Brand: "nvidia", Capability: "9.0", MemoryBytes: 81559 << 20, MIGDevices: []gpu.MIGDevice{}, Links: []gpu.Link{}}
	want := map[string]string{
		"nvidia.com/gpu.present": "true", "nvidia.com/gpu.count": "2", "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
		"nvidia.com/gpu.memory": "81559", "nvidia.com/gpu.family": "hopper", "nvidia.com/gpu.compute.major": "9", "nvidia.com/gpu.compute.minor": "0",
		"nvidia.com/cuda.driver-version.major": "580", "nvidia.com/cuda.driver-version.minor": "159", "nvidia.com/cuda.driver-version.revision": "04",
		"nvidia.com/cuda.driver-version.full": "580.159.04", "nvidia.com/cuda.driver.major": "580", "nvidia.com/cuda.driver.minor": "159", "nvidia.com/cuda.driver.rev": "04",
		"nvidia.com/cuda.runtime-version.major": "13", "nvidia.com/cuda.runtime-version.minor": "0", "nvidia.com/cuda.runtime-version.full": "13.0",
		"nvidia.com/cuda.runtime.major": "13", "nvidia.com/cuda.runtime.minor": "0",
	}
	host := gpu.Host{Driver: "580.159.04", CUDA: "13.0", GPUs: []gpu.GPU{h100, h100}}
	if diff := cmp.Diff(want, place.Labels(host)); diff != "" {
		t.Errorf("Labels (-want +got):\n%s", diff)
	}
	if got := place.Labels(gpu.Host{Driver: "580.159.04"}); len(got) != 0 {
		t.Errorf("Labels of a host without a GPU = %v, want none", got)
	}
	two := place.Labels(gpu.Host{Driver: "550.120", CUDA: "12.4", GPUs: []gpu.GPU{{Capability: "8.9"}}})
	if revision, there := two["nvidia.com/cuda.driver.rev"]; !there || revision != "" || two["nvidia.com/gpu.family"] != "ada-lovelace" {
		t.Errorf("Labels of driver 550.120 and 8.9 = %v, want an empty revision and ada-lovelace", two)
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		labels                                     map[string]string
		driver, cuda, product, brand, capabilities string
		gpus                                       int
	}{
		"no GPU": {labels: map[string]string{"kubernetes.io/os": "linux"}},
		"old names": {
			map[string]string{
				"nvidia.com/cuda.driver.major": "535", "nvidia.com/cuda.driver.minor": "161", "nvidia.com/cuda.driver.rev": "07", "nvidia.com/cuda.runtime.major": "12", "nvidia.com/cuda.runtime.minor": "2",
				"nvidia.com/gpu.count": "8", "nvidia.com/gpu.product": "Tesla-T4-SHARED", "nvidia.com/gpu.compute.major": "7", "nvidia.com/gpu.compute.minor": "5",
			},
			"535.161.07", "12.2", "Tesla-T4", "tesla", "7.5", 8,
		},
		"two numbers, a slice": {
			map[string]string{
				"nvidia.com/cuda.driver-version.major": "565", "nvidia.com/cuda.driver-version.minor": "77", "nvidia.com/cuda.driver-version.revision": "", "nvidia.com/gpu.count": "7",
				"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", "nvidia.com/gpu.compute.major": "8", "nvidia.com/gpu.compute.minor": "0",
			},
			"565.77", "", "NVIDIA A100-SXM4-80GB", "nvidia", "8.0", 7,
		},
		"nonsense": {map[string]string{"nvidia.com/gpu.count": "-3", "nvidia.com/gpu.memory": "much"}, "", "", "", "", "", 0},
	} {
		h := place.Host(tc.labels)
		if h.Driver != tc.driver || h.CUDA != tc.cuda || len(h.GPUs) != tc.gpus || h.GPUs == nil {
			t.Errorf("%s: Host = %+v, want driver %q, CUDA %q, %d GPUs", name, h, tc.driver, tc.cuda, tc.gpus)
		}
		for _, g := range h.GPUs {
			if g.Name != tc.product || g.Brand != tc.brand || g.Capability != tc.capabilities {
				t.Errorf("%s: %+v, want %q of brand %q, %s", name, g, tc.product, tc.brand, tc.capabilities)
			}
		}
	}
	if h := place.Host(map[string]string{"nvidia.com/gpu.count": "999999999"}); len(h.GPUs) > 64 {
		t.Errorf("%d GPUs on one node, want a bound", len(h.GPUs))
	}
}

func TestNowhere(t *testing.T) {
	t.Parallel()
	if a, c := place.Affinity(nil), place.CEL(nil); len(a.Required.Terms) > 0 || c != "false" {
		t.Errorf("of no region: %v, %q, want no term and false", a, c)
	}
}

// TestBrands: where the brand matters, boards of other brands are left out by name.
func TestBrands(t *testing.T) {
	t.Parallel()
	terms := place.Affinity([]compat.Region{{GPUs: []compat.Target{{SM: 70}, {SM: 103}}, From: "470", Below: "471", Brands: []string{"nvidia", "tesla"}}}).Required.Terms
	products := terms[0].Expressions[2]
	if products.Operator != "NotIn" || !slices.Contains(products.Values, "NVIDIA-TITAN-V") || slices.ContainsFunc(products.Values, func(v string) bool { return v == "Tesla-V100" }) {
		t.Errorf("%+v, want no Titan V", products)
	}
	if last := terms[1].Expressions; len(last) != 3 {
		t.Errorf("%+v, want no product: all boards with sm_103 are of these brands", last)
	}
}

func ExampleAffinity() {
	for _, term := range place.Affinity([]compat.Region{{GPUs: []compat.Target{{SM: 90}}, From: "525.60.13"}}).Required.Terms[:3] {
		fmt.Println(term.Expressions[2:])
	}
	// Output:
	// [{nvidia.com/cuda.driver-version.major In [525]} {nvidia.com/cuda.driver-version.minor In [60]} {nvidia.com/cuda.driver-version.revision Gt [12]}]
	// [{nvidia.com/cuda.driver-version.major In [525]} {nvidia.com/cuda.driver-version.minor Gt [60]}]
	// [{nvidia.com/cuda.driver-version.major Gt [525]}]
}

func ExampleCEL() {
	fmt.Println(place.CEL([]compat.Region{{GPUs: []compat.Target{{SM: 90}}, From: "580.65.06"}}))
	// Output:
	// cel.bind(gpu, device.attributes["gpu.nvidia.com"],
	//   gpu.cudaComputeCapability in [semver("9.0.0")] && gpu.driverVersion.compareTo(semver("580.65.6")) >= 0)
}

func TestShared(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		labels map[string]string
		want   bool
	}{
		"none":     {nil, false},
		"whole":    {map[string]string{"nvidia.com/gpu.product": "NVIDIA-H200", "nvidia.com/gpu.replicas": "1"}, false},
		"off":      {map[string]string{"nvidia.com/gpu.replicas": "0"}, false},
		"product":  {map[string]string{"nvidia.com/gpu.product": "NVIDIA-H200-SHARED"}, true},
		"replicas": {map[string]string{"nvidia.com/gpu.product": "NVIDIA-H200", "nvidia.com/gpu.replicas": "10"}, true},
	} {
		if got := place.Shared(tc.labels); got != tc.want {
			t.Errorf("%s: Shared = %t, want %t", name, got, tc.want)
		}
	}
}
