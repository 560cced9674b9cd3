// SPDX-License-Identifier: Apache-2.0

package place

import (
	"strings"

	"github.com/cudabuild/cudabuild/gpu"
)

// Attribute is one that a DRA driver publishes of a device.
type Attribute struct {
	Text    string `json:"string"`
	Version string `json:"version"`
}

// Claimable is a host as NVIDIA's DRA driver publishes its devices, where there are no labels. The driver's version lacks the zeros before its numbers. What is not a whole
// GPU is left out.
func Claimable(devices []map[string]Attribute) gpu.Host {
	h := gpu.Host{GPUs: []gpu.GPU{}, Problems: []string{}}
	for _, d := range devices {
		if d["type"].Text != "gpu" {
			continue
		}
		h.Driver, h.CUDA = d["driverVersion"].Version, twoNumbers(d["cudaDriverVersion"].Version)
		g := gpu.GPU{
			Index: len(h.GPUs), UUID: d["uuid"].Text, Name: d["productName"].Text, Capability: twoNumbers(d["cudaComputeCapability"].Version),
			MIGDevices: []gpu.MIGDevice{}, Links: []gpu.Link{},
		}
		for brand, name := range brandNames {
			if name == d["brand"].Text {
				g.Brand = brand
			}
		}
		h.GPUs = append(h.GPUs, g)
	}
	return h
}

// twoNumbers is "9.0" of "9.0.0", and "" of "".
func twoNumbers(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
