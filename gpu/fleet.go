// SPDX-License-Identifier: Apache-2.0

package gpu

// Asked is what the node of a row was to be. Empty words ask for nothing.
type Asked struct {
	Driver string `json:"driver"` // as compat.DriverIs reads it, ">=535"
	GPU    string `json:"gpu"`    // architecture, "sm_90"
	GPUs   int    `json:"gpus"`   // how many the container gets; 0 is one without a driver
}

// Node is where a row of a fleet was made, and what was there.
type Node struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"` // that speak of it and of its GPUs; never null
}

// Seen is what the program's container had.
type Seen struct {
	Driver  string   `json:"driver"`  // of the kernel module, "" without one
	Devices []Device `json:"devices"` // never null
	// VisibleDevices is NVIDIA_VISIBLE_DEVICES in the container, "" if it was not set.
	VisibleDevices string `json:"visible_devices"`
}

// Device is a GPU in a container.
type Device struct {
	UUID  string `json:"uuid"`
	Name  string `json:"name"`
	BusID string `json:"bus_id"`
}
