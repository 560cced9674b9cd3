// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
	"github.com/cudabuild/cudabuild/verify/internal/view"
)

// Portability says on which drivers and GPUs the image is predicted to run, and
// from what that follows. Only files that a container sees count.
type Portability struct {
	// CUDARuntime is the newest CUDA runtime in the image, "12.4", "" if there is none.
	CUDARuntime string `json:"cuda_runtime"`
	// MinDriver is the oldest driver on which it runs with some GPU; MinDriverWhy is
	// what fails on older ones. Both are "" if the image needs nothing of a driver, and if
	// nothing says how new that must be.
	MinDriver    string `json:"min_driver"`
	MinDriverWhy string `json:"min_driver_why"`
	// SASS are the architectures for which every part has machine code, PTX those for
	// which every part has PTX. Sorted, never nil.
	SASS []string `json:"sass"`
	PTX  []string `json:"ptx"`
	// Program is the path of the image's own program, if it loads any part: then
	// predictions are about what it loads. "" means that they are about all parts.
	Program string `json:"program"`
	// Parts are the programs and libraries with device code or a CUDA runtime, by
	// path, never nil.
	Parts []GPUPart `json:"parts"`
	// Predictions has one element for each pair of driver branch and GPU that exist
	// together, GPU by GPU. It is empty, never nil, if the image needs nothing.
	Predictions []DriverGPU `json:"predictions"`
	// Unsure says why a prediction that the image runs would be too much, "" if nothing
	// does. Such predictions are "unknown".
	Unsure string `json:"unsure"`
	// CannotStart says why the image's own program cannot start, "" if nothing is known
	// that stops it. Predictions that it runs are then "no".
	CannotStart string `json:"cannot_start"`
	// Unbound says which functions nobody defines that the program, or a library of it, calls: it
	// starts and ends at the first such call, or, where all symbols are bound at once (LD_BIND_NOW),
	// does not start. "" if nothing is known of any.
	Unbound string `json:"unbound,omitempty"`
	// HostLibraries are the driver's libraries that files ask for by name, never nil.
	HostLibraries []HostLibrary `json:"host_libraries"`
	// Needs is what the predictions follow from, for [compat.Predict].
	Needs compat.Needs `json:"-"`
}

// HostLibrary is a library of the driver that files of the image ask for by name.
type HostLibrary struct {
	Name string `json:"name"` // "libcuda.so.1"
	By   string `json:"by"`   // the path of the first file that does
}

// GPUPart is one file that has something to do with the GPU.
type GPUPart struct {
	Path string `json:"path"`
	// CUDARuntime is the release of the CUDA runtime inside it, "" if there is none,
	// "unknown" if it cannot be told.
	CUDARuntime string `json:"cuda_runtime"`
	// SASS are the targets of its machine code, PTX those of its PTX with the version
	// of the language: "compute_90 (8.4)". Sorted, never nil.
	SASS []string `json:"sass"`
	PTX  []string `json:"ptx"`
	// Loose says that it is nothing but device code. A program picks one of several
	// such files, so it limits nothing.
	Loose bool `json:"loose"`
}

// DriverGPU is one prediction.
type DriverGPU struct {
	Driver string `json:"driver"`
	GPU    string `json:"gpu"`
	compat.Prediction
}

// Predict answers for one host. It does not say that the image runs where that
// would rest on content that could not be read, on a program that cannot start, or on
// driver libraries of the image's own. What has nothing to do with CUDA decides nothing.
func (r *Report) Predict(h compat.Host) compat.Prediction {
	p := r.Portability.predict(h)
	unknown := func(why string) compat.Prediction { return compat.Prediction{Verdict: compat.Unknown, Why: why} }
	switch {
	case r.Error != "":
		return unknown("the image could not be read: " + r.Error)
	case !p.Verdict.Runs():
		return p
	}
	for _, f := range r.Findings {
		if f.Rule == rules.Unreadable {
			return unknown("not all of the image could be examined: " + f.Detail)
		}
	}
	return p
}

// CannotBind says why the image's own program cannot start where all its symbols are bound at
// once, as LD_BIND_NOW has it; "" if nothing is known that stops it.
func (p *Portability) CannotBind() string { return cmp.Or(p.CannotStart, p.Unbound) }

func (p *Portability) predict(h compat.Host) compat.Prediction {
	prediction := compat.Predict(p.Needs, h)
	switch {
	case !prediction.Verdict.Runs():
		return prediction
	case p.CannotStart != "":
		return compat.Prediction{Verdict: compat.No, Why: p.CannotStart}
	case p.Unsure != "":
		return compat.Prediction{Verdict: compat.Unknown, Why: p.Unsure}
	}
	return prediction
}

// unportable has nothing in it, and no list is nil.
func unportable() Portability {
	return Portability{SASS: []string{}, PTX: []string{}, Parts: []GPUPart{}, Predictions: []DriverGPU{}, HostLibraries: []HostLibrary{}}
}

// portability describes an image's needs.
func portability(d view.Demand) Portability {
	p := unportable()
	p.CUDARuntime, p.Program, p.Unsure, p.Needs = d.Newest, d.Program(), d.Unsure, d.Needs
	p.CannotStart, p.Unbound = d.CannotStart, d.Unbound
	for _, f := range d.Files {
		p.Parts = append(p.Parts, partOf(f))
	}
	for _, h := range d.Hosts {
		p.HostLibraries = append(p.HostLibraries, HostLibrary(h))
	}
	if d.Nothing() {
		return p
	}
	p.SASS, p.PTX = d.Shared()
	for _, gpu := range compat.GPUs() {
		for _, driver := range compat.Drivers() {
			h := compat.Host{Driver: driver, GPU: gpu}
			if compat.Predict(compat.Needs{}, h).Verdict.Runs() { // the driver knows the GPU
				p.Predictions = append(p.Predictions, DriverGPU{driver, gpu.String(), p.predict(h)})
			}
		}
		if d.Unreleased && len(d.Require) == 0 {
			continue
		}
		if driver, why := compat.MinDriver(d.Needs, gpu); driver != "" && (p.MinDriver == "" || compat.Compare(driver, p.MinDriver) < 0) {
			p.MinDriver, p.MinDriverWhy = driver, why
		}
	}
	return p
}

func partOf(f layer.Code) GPUPart {
	part := GPUPart{Path: f.Path, CUDARuntime: f.Runtime, SASS: []string{}, PTX: []string{}, Loose: f.Loose}
	for _, t := range f.SASS {
		part.SASS = append(part.SASS, t.String())
	}
	for _, x := range f.PTX {
		part.PTX = append(part.PTX, fmt.Sprintf("%s (%s)", x.Target.Virtual(), x.ISA))
	}
	return part
}
