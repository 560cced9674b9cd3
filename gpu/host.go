// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// Conditions of a host.
var (
	// ErrNoSupport means that this build of the program cannot ask a driver.
	ErrNoSupport = hint.New("this build of cudabuild has no GPU support", "'make gpu' builds bin/gpu/cudabuild, which has it")
	// ErrNoDriver means that the host has no NVIDIA driver that could be asked.
	ErrNoDriver = hint.New("no NVIDIA driver", "install the NVIDIA driver, or load its modules with 'cudabuild host --load-kmods'")
	// ErrNoGPU means that the driver has no GPU, or not the one asked for.
	ErrNoGPU = hint.New("no such GPU", "'cudabuild host' lists the GPUs")
)

// Host is what is known about a machine, as `host --json` prints it. Versions are
// "" where the thing is not there.
type Host struct {
	OS      string `json:"os"`     // the name that /etc/os-release gives
	Kernel  string `json:"kernel"` // release
	Cgroup  string `json:"cgroup"` // "v1" or "v2"
	Driver  string `json:"driver"` // "580.159.04"
	CUDA    string `json:"cuda"`   // the newest CUDA that the driver runs, "13.0"
	NVML    string `json:"nvml"`
	Library string `json:"library_dir"` // where the driver's libraries are
	Hook    string `json:"hook"`        // of nvidia-cdi-hook
	Runtime string `json:"runtime"`     // of nvidia-container-runtime
	Runc    string `json:"runc"`
	// Daemon is the engine that containers are made by, "docker 29.0.0"; "" for cudabuild itself.
	Daemon string `json:"daemon,omitempty"`
	GPUs   []GPU  `json:"gpus"` // in PCI order; never null
	// Problems says in words what keeps containers from using the GPUs; never null.
	Problems []string `json:"problems"`
	StandIn  bool     `json:"stand_in"` // the driver is a mock: nothing here was seen on a GPU
}

// GPU is one GPU of a host.
type GPU struct {
	Index       int         `json:"index"` // in PCI order
	Minor       int         `json:"minor"` // of /dev/nvidia<minor>, not always the index
	UUID        string      `json:"uuid"`
	BusID       string      `json:"bus_id"` // "0000:00:06.0"
	Name        string      `json:"name"`
	Brand       string      `json:"brand"`              // as NVIDIA_REQUIRE_* spells it
	Capability  string      `json:"compute_capability"` // "9.0"
	MemoryBytes uint64      `json:"memory_bytes"`       // NVML's total, of which CUDA gives programs a little less
	MIG         bool        `json:"mig"`                // divided into slices
	MIGDevices  []MIGDevice `json:"mig_devices"`        // never null
	Links       []Link      `json:"links"`              // to the other GPUs; never null
}

// Memory is the memory as nvidia-smi writes it, "81559 MiB".
func (g GPU) Memory() string { return fmt.Sprintf("%d MiB", g.MemoryBytes>>20) }

// MIGDevice is a slice of a divided GPU.
type MIGDevice struct {
	Index int    `json:"index"`
	UUID  string `json:"uuid"`
}

// Link is how a GPU reaches another one.
type Link struct {
	GPU  int    `json:"gpu"`  // index of the other
	Kind string `json:"kind"` // "nvlink", "pcie-switch", "host-bridge", "numa-node", "system", "same-board"
}

// Key names the kind of a host in file names: its first GPU and its driver.
func (h Host) Key() string {
	name := "no-gpu"
	if len(h.GPUs) > 0 {
		name = h.GPUs[0].Name
	}
	if len(h.GPUs) > 1 {
		name += "-x" + string(rune('0'+min(len(h.GPUs), 9)))
	}
	return slug(name) + "_" + slug(cmp.Or(h.Driver, "no-driver"))
}

func slug(s string) string {
	keep := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.':
			return r
		}
		return '-'
	}
	return strings.Trim(strings.Map(keep, strings.ToLower(s)), "-.")
}
