// SPDX-License-Identifier: Apache-2.0

// Package had says in the words of package gpu which driver and GPUs a container had, by what package
// fleet/observe saw in it: of a pod's container as of docker's. [Seen] is what a row keeps of it, and [GPUs] are
// those of a host. It asks nobody; what the observer cannot see, such as memory and links, is the caller's.
package had

import (
	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet/observe"
	"github.com/cudabuild/cudabuild/gpu"
)

// Seen is what the container had. It is never nil.
func Seen(s observe.Seen) *gpu.Seen {
	seen := &gpu.Seen{Driver: s.Driver, Devices: []gpu.Device{}, VisibleDevices: s.VisibleDevices}
	for _, g := range s.GPUs {
		seen.Devices = append(seen.Devices, gpu.Device{UUID: g.UUID, Name: g.Name, BusID: g.BusID})
	}
	return seen
}

// GPUs are those that the container had, in the same order, by bus address as NVML has them; never nil. What
// was not seen of one is as in like, and so are capability and brand where compat does not know its name.
func GPUs(s observe.Seen, like gpu.GPU) []gpu.GPU {
	gpus := []gpu.GPU{}
	for i, g := range s.GPUs {
		of := like
		of.Index, of.Minor, of.UUID, of.BusID, of.Name = i, g.Minor, g.UUID, g.BusID, g.Name
		of.MIGDevices = append([]gpu.MIGDevice{}, like.MIGDevices...)
		of.Links = append([]gpu.Link{}, like.Links...)
		if board, known := compat.BoardNamed(g.Name); known {
			of.Capability, of.Brand = board.GPU.Capability(), board.Brand
		}
		gpus = append(gpus, of)
	}
	return gpus
}
