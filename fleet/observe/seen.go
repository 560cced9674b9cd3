// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"time"

	"github.com/cudabuild/cudabuild/internal/capture"
)

// Version is that of the row's format. Fields may be added to one, never renamed.
const Version = 1

// Seen is what was seen of one command: the row.
type Seen struct {
	Version int       `json:"version"`
	Args    []string  `json:"args"` // the command; never null, cut after 32 KiB
	Started time.Time `json:"started"`
	// Seconds is how long the command ran, 0 if it could not be started.
	Seconds float64 `json:"seconds"`
	// ExitCode is the command's, as a shell has it: 128 + N after signal N, 127 if there is no such
	// program, 126 if it cannot be executed.
	ExitCode int  `json:"exit_code"`
	TimedOut bool `json:"timed_out"` // it was ended by the time limit
	// Problem says in words why the command was not run to its end: it could not be started, or
	// the container was told to stop. "" otherwise, however the command ended.
	Problem string `json:"problem"`
	// Stopped says that the container was told to stop before the command had ended: what was seen is
	// not what the command does.
	Stopped bool   `json:"stopped,omitempty"`
	Stdout  Output `json:"stdout"`
	Stderr  Output `json:"stderr"`
	// LoadedLibcuda is the path of the libcuda that was mapped by a process of the command,
	// "" if none was.
	LoadedLibcuda string `json:"loaded_libcuda"`
	// PTXJIT says that the driver loaded its compiler of PTX.
	PTXJIT bool `json:"ptx_jit"`
	// DeviceNodes are NVIDIA's and those of /dev/dri, sorted; never null.
	DeviceNodes []string `json:"device_nodes"`
	Driver      string   `json:"driver"` // version of the kernel module, "" without one
	GPUs        []GPU    `json:"gpus"`   // whose device node the container has, by bus address; never null
	// StandIn says that none of it was seen on a GPU: a test's stand-in for a node made the row up, or one
	// for a driver stood beside the command.
	StandIn bool `json:"stand_in,omitempty"`
	// VisibleDevices is NVIDIA_VISIBLE_DEVICES as the container has it, "" if it is not set.
	VisibleDevices string `json:"visible_devices"`
}

// GPU is one that the container has, as the driver's kernel module describes it.
type GPU struct {
	UUID  string `json:"uuid"`
	Name  string `json:"name"`
	BusID string `json:"bus_id"` // "0000:00:06.0"
	Minor int    `json:"minor"`  // of /dev/nvidia<minor>
}

// MaxOutput bounds what is kept of each of the command's outputs, half of it from the beginning
// and half from the end.
const MaxOutput = 256 << 10

// Output is what a command wrote.
type Output = capture.Output
