// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Samples whose documents have fields of their own.
const (
	DeviceQuery = "deviceQuery"
	NBody       = "nbody"
)

// Output is what a sample said of itself.
type Output struct {
	Result    Result
	CUDAError string   // by name
	Message   string   // of the error, "" if there was none
	Libcuda   string   // the mapped file, "" if not said
	Loaded    []string // the mapped libraries, sorted; nil if not said
	Figures   Figures
}

// document is what the samples print with --json (samples/*/README.md).
type document struct {
	Version        int
	Sample, Result string
	ErrorCode      int     `json:"error_code"` // below 0 where it is none of CUDA's
	Error          *string `json:"error"`
	DriverVersion  int     `json:"driver_version"`
	RuntimeVersion int     `json:"runtime_version"`
	LibcudaPath    *string `json:"libcuda_path"`
	Devices        json.RawMessage
	Bodies         int
	Precision      string
	GFLOPS         float64
	Interactions   float64 `json:"interactions_per_second"`
	Figures        map[string]float64
	Checks         map[string]struct{ Error, Tolerance float64 }
	Loaded         []string
}

// failures names the checks that do not hold, sorted by name.
func (d document) failures() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(d.Checks)) {
		if c := d.Checks[name]; !(c.Error <= c.Tolerance) {
			out = append(out, fmt.Sprintf("%s: error %.3g, tolerance %.3g", name, c.Error, c.Tolerance))
		}
	}
	return strings.Join(out, "; ")
}

// device is an element of deviceQuery's devices; nbody's is a number.
type device struct {
	Name string
	UUID *string
}

// ParseOutput reads the JSON document that sample printed to stdout. The error says
// what is wrong with it; then there is no Output.
func ParseOutput(sample string, stdout []byte) (Output, error) {
	var doc document
	if err := json.Unmarshal(bytes.TrimSpace(stdout), &doc); err != nil {
		return Output{}, fmt.Errorf("%s printed no JSON document: %w", sample, err)
	}
	if doc.Version != 1 || doc.Sample != sample {
		return Output{}, fmt.Errorf("document of %q version %d, want %q version 1", doc.Sample, doc.Version, sample)
	}
	result, ok := map[string]Result{"PASS": Passed, "FAIL": Failed, "WAIVED": Waived}[doc.Result]
	if !ok {
		return Output{}, fmt.Errorf("%s: result %q, want PASS, FAIL or WAIVED", sample, doc.Result)
	}
	if result == Passed && doc.ErrorCode != 0 {
		return Output{}, fmt.Errorf("%s: PASS with CUDA error %d", sample, doc.ErrorCode)
	}
	out := Output{Result: result, CUDAError: CUDAErrorName(max(0, doc.ErrorCode)), Message: text(doc.Error), Libcuda: text(doc.LibcudaPath), Loaded: doc.Loaded}
	slices.Sort(out.Loaded)
	if result == Failed && out.Message == "" {
		out.Message = doc.failures()
	}
	out.Figures = Figures{
		DriverCUDA: cudaVersion(doc.DriverVersion), RuntimeCUDA: cudaVersion(doc.RuntimeVersion),
		Bodies: doc.Bodies, Precision: doc.Precision, GFLOPS: doc.GFLOPS, Interactions: doc.Interactions,
	}
	for name, value := range doc.Figures {
		out.Figures.measured(name, value, false)
	}
	if sample == DeviceQuery && len(doc.Devices) > 0 {
		if err := out.Figures.addDevices(doc.Devices); err != nil {
			return Output{}, fmt.Errorf("%s: %w", sample, err)
		}
	}
	if sample == DeviceQuery && result == Passed && len(out.Figures.Names) == 0 {
		return Output{}, fmt.Errorf("%s: PASS without a device", sample)
	}
	return out, nil
}

func (f *Figures) measured(name string, value float64, lower bool) {
	if f.Measured == nil {
		f.Measured = map[string]Measured{}
	}
	m := Measured{Value: value}
	if lower {
		m.Better = Lower
	}
	f.Measured[name] = m
}

func (f *Figures) addDevices(raw json.RawMessage) error {
	var devices []device
	if err := json.Unmarshal(raw, &devices); err != nil {
		return fmt.Errorf("devices: %w", err)
	}
	for _, d := range devices {
		f.Names = append(f.Names, d.Name)
		if d.UUID != nil {
			f.GPUs = append(f.GPUs, *d.UUID)
		}
	}
	return nil
}

// cudaVersion turns CUDA's 12040 into "12.4"; 0 and nonsense into "".
func cudaVersion(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", n/1000, n%1000/10)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return strings.TrimSpace(*s)
}
