// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Result is how a sample ended.
type Result string

// The results. Refused means that it was not started, because a requirement of the
// image does not hold here; waived that the sample found no driver or no device.
const (
	Passed  Result = "pass"
	Failed  Result = "fail"
	Waived  Result = "waived"
	Refused Result = "refused"
)

// CannotStart is the verdict on an image whose program cannot start, whatever the host.
const CannotStart = "cannot-start"

// Prediction is what rules say an image will do on a host. It is made from the
// image's files and the host's facts alone, before anything runs.
type Prediction struct {
	Verdict string `json:"verdict"` // the verifier's word, such as "native" or "wrong-libcuda"; "unknown"
	Why     string `json:"why"`
	// Result is what the run should say, "" where the rules cannot tell.
	Result Result `json:"result"`
	// CUDAError is the error that the run should show by CUDA's name, CUDAErrorCode its
	// number; "" and 0 if none or not known, as in all rows made before 2026-11-22 08:00.
	CUDAError     string    `json:"cuda_error"`
	CUDAErrorCode int       `json:"cuda_error_code,omitempty"`
	Made          time.Time `json:"made"`
}

// Row is one observation beside its prediction: a sample of an image, run once on a
// host by one engine with some of the GPUs.
type Row struct {
	Image  string `json:"image"` // the reference
	Digest string `json:"digest"`
	// Config is the digest of the configuration: images of one configuration unpack to the
	// same files. "" in rows from before 2026-12.
	Config string `json:"config_digest,omitempty"`
	Cell   string `json:"cell"`   // "" if the image does not say
	Sample string `json:"sample"` // or the name of a test of one's own
	// Test is the digest of such a test's definition, "" for a sample.
	Test string `json:"test_digest,omitempty"`
	// Expect is the digest of what such a test expects. Figures of runs that were judged in
	// another way can be compared, whether they passed cannot.
	Expect  string   `json:"expect_digest,omitempty"`
	Engine  string   `json:"engine"`  // "direct", "nvidia", "docker" or "podman"; "k8s" of a fleet
	Devices []string `json:"devices"` // UUIDs; never null
	// Indexes are those of the devices on their host, which say more than the UUIDs of
	// another machine; nil in the oldest rows.
	Indexes []int `json:"device_indexes,omitempty"`
	StandIn bool  `json:"stand_in"` // not seen on a GPU
	// Dry says that no driver was given: the program was loaded, all its symbols resolved,
	// and it went as far as one can without a device.
	Dry bool `json:"dry,omitempty"`
	// Under is what the host was; nil in rows from before 2026-12.
	Under      *Circumstances `json:"under,omitempty"`
	Prediction Prediction     `json:"prediction"`
	Started    time.Time      `json:"started"`
	// Result is "" in a row whose run has not ended.
	Result    Result  `json:"result"`
	Agrees    *bool   `json:"agrees"` // null where nothing definite was predicted
	Reason    string  `json:"reason"` // why it did not pass, "" if it did
	ExitCode  int     `json:"exit_code"`
	CUDAError string  `json:"cuda_error"` // by CUDA's name, "" if none
	Figures   Figures `json:"figures"`
	// LoadedLibcuda is the file that was mapped into the process, "" if none was.
	LoadedLibcuda string `json:"loaded_libcuda"`
	// Loaded are the libraries that were mapped, of a sample that says it; sorted paths.
	Loaded []string `json:"loaded,omitempty"`
	// PTXJIT says that the driver loaded its compiler of PTX, to compile it or in vain.
	PTXJIT      bool     `json:"ptx_jit"`
	DeviceNodes []string `json:"device_nodes"` // NVIDIA's, as the container had them; never null
	Left        Left     `json:"left"`
	Seconds     Seconds  `json:"seconds"`
	Sharing     *Sharing `json:"sharing,omitempty"` // nil where the program had its GPU to itself
	// Run to Seen are of rows that a fleet made, Seen of those of docker and podman too: the run and what made the row there, by a UID and a
	// name, where, what was asked for, and what was had.
	Run   string `json:"run,omitempty"`
	Job   string `json:"job,omitempty"`
	Node  *Node  `json:"node,omitempty"`
	Asked *Asked `json:"asked,omitempty"`
	Seen  *Seen  `json:"seen,omitempty"`
}

// Ways to share a GPU.
const (
	ByMPS   = "mps"         // through one server, at the same time
	ByTurns = "time-slices" // in turns, as the driver does by itself
)

// Sharing says how a client shared its GPU with others of its kind, at the same time.
type Sharing struct {
	By      string  `json:"by"`           // ByMPS or ByTurns
	Clients int     `json:"clients"`      // all of them
	Client  int     `json:"client"`       // this one, from 0
	Threads int     `json:"threads"`      // percentage of the GPU's threads that it may use; 100 by turns
	Wall    float64 `json:"wall_seconds"` // from the start of the first client to the end of the last
}

// Circumstances are what may change on a host beneath an image: versions as in [Host], and
// the model of the GPUs.
type Circumstances struct {
	Driver  string `json:"driver"`
	GPU     string `json:"gpu"`
	Kernel  string `json:"kernel"`
	Hook    string `json:"hook"`
	Runtime string `json:"runtime"`
	Runc    string `json:"runc"`
	Daemon  string `json:"daemon,omitempty"`
}

// Measured is a number that a program reported of itself.
type Measured struct {
	Value  float64 `json:"value"`
	Better string  `json:"better,omitempty"` // Lower; "" where more is better
}

// Lower is the Better of what should be small, such as a time.
const Lower = "lower"

// Figures are what the sample reported. Fields that it does not report are left out.
type Figures struct {
	DriverCUDA   string   `json:"driver_cuda,omitempty"`  // deviceQuery's driver version, "13.0"
	RuntimeCUDA  string   `json:"runtime_cuda,omitempty"` // "12.4"
	GPUs         []string `json:"gpus,omitempty"`         // UUIDs that CUDA saw
	Names        []string `json:"names,omitempty"`
	Bodies       int      `json:"bodies,omitempty"`
	Precision    string   `json:"precision,omitempty"`
	GFLOPS       float64  `json:"gflops,omitempty"`
	Interactions float64  `json:"interactions_per_second,omitempty"`
	// Measured are the figures of all other samples and tests, by their names.
	Measured map[string]Measured `json:"measured,omitempty"`
}

// Left is what the run left behind in the root file system.
type Left struct {
	Files []string `json:"files"` // sorted paths; never null
	// Verdict is the verifier's on an image with these files as its layer: "" if
	// there are none.
	Verdict string `json:"verdict"`
}

// Seconds says where the time went. Unpack and NVML are paid once by a program run
// and are 0 in later rows.
type Seconds struct {
	Unpack float64 `json:"unpack"`  // layers to one root file system
	NVML   float64 `json:"nvml"`    // loading the driver's library and asking it
	Spec   float64 `json:"spec"`    // the CDI specification and the OCI configuration
	Create float64 `json:"create"`  // the runtime's create, its hooks included
	Hooks  float64 `json:"hooks"`   // the hooks alone; 0 where they cannot be told apart
	Start  float64 `json:"start"`   // from the runtime's start until the program was executed
	ToMain float64 `json:"to_main"` // from the beginning of create until the program was executed
	Run    float64 `json:"run"`     // the program
}

// Where a GPU has no code of a function, a launch says noCode. Runtimes before 11.3 say
// noFunction if the program asks for the function's occupancy first, as nbody does (seen
// with 11.2; 11.8 and 12.4 say noCode to both).
const (
	noCode     = "cudaErrorNoKernelImageForDevice"
	noFunction = "cudaErrorInvalidDeviceFunction"
)

// Read fills the row with what the program, which ended by itself, said. LoadedLibcuda and
// Devices must be there; cuda is what the host's driver runs.
func (r *Row) Read(test Test, ended Ended, cuda string) {
	said := test.Read(ended)
	r.Result, r.CUDAError, r.Reason, r.Figures, r.Loaded = said.Result, said.CUDAError, said.Message, said.Figures, said.Loaded
	if said.Libcuda != "" {
		r.LoadedLibcuda = said.Libcuda
	}
	if said.Result == Passed {
		if r.Reason = r.doubt(test, cuda); r.Reason != "" {
			r.Result = Failed
		}
	}
}

// doubt says why a pass is not believed, "" if it is.
func (r *Row) doubt(test Test, cuda string) string {
	f := r.Figures
	switch {
	case r.LoadedLibcuda == "" && test.GPUs != 0:
		return "no libcuda was mapped: it did not use the GPU"
	case f.Names == nil: // only a sample that asks has them
		return ""
	case f.DriverCUDA != cuda && !strings.Contains(r.LoadedLibcuda, "/compat/"):
		return fmt.Sprintf("in the container the driver is for CUDA %s, on the host for %s: another libcuda than the host's was used (%s)", f.DriverCUDA, cuda, r.LoadedLibcuda)
	case len(f.Names) != len(r.Devices):
		return fmt.Sprintf("the container sees %d GPUs, it was given %d", len(f.Names), len(r.Devices))
	}
	for _, uuid := range f.GPUs {
		if !slices.Contains(r.Devices, uuid) {
			return fmt.Sprintf("the container sees GPU %s, which it was not given", uuid)
		}
	}
	return ""
}

// Judge fills Agrees from the prediction and the result. A sample that was predicted
// to fail and finds no usable driver (waived) is as predicted: it does not run, but it did
// start. Where an error was predicted it must be that one; a prediction without one is compared by
// its result alone, and so is a test of one's own, whose exit code says nothing of CUDA's errors.
func (r *Row) Judge() {
	p := r.Prediction
	if p.Result == "" || r.Result == "" {
		r.Agrees = nil
		return
	}
	same := p.Result == r.Result || p.Result == Failed && r.Result == Waived && p.Verdict != CannotStart
	agrees := same && (p.CUDAError == "" || r.Test != "" || p.CUDAError == r.CUDAError || p.CUDAError == noCode && r.CUDAError == noFunction)
	r.Agrees = &agrees
}
