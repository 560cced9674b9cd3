// SPDX-License-Identifier: Apache-2.0

package compat

import "fmt"

// Errors of the CUDA runtime that the rules predict.
// Source: CUDA Runtime API, enum cudaError.
const (
	ErrorStub          = 34  // the libcuda for linking was loaded
	ErrorDriver        = 35  // there is no libcuda, or one older than the runtime
	ErrorNoDevice      = 100 // the driver knows no GPU here
	ErrorNoKernelImage = 209 // no code for the GPU
	ErrorPTXVersion    = 222 // PTX newer than the driver's compiler
	ErrorMismatch      = 803 // libcuda is of another driver than the kernel's part
	ErrorCompat        = 804 // cuda-compat on a GPU that is not of a data center
)

// Libcuda is a libcuda of the image's own that programs load in place of the host's.
type Libcuda struct {
	Driver  string // the driver that it belongs to, "" if that is not known
	Stub    bool   // it is the one for linking
	Broken  bool   // there is no library under its name
	Forward bool   // it is that of the package cuda-compat
	// Branches are those that the note of a library of cuda-compat names, nil if none.
	Branches []int
}

// PredictWith says what a start with an image's own libcuda comes to. It returns false
// where that depends on the code alone, because the library is the host's own version.
// The CUDA runtime asks libcuda for its version before libcuda looks at the kernel's
// part of the driver, so one that is too old for the runtime says that first.
func (n Needs) PredictWith(l Libcuda, h Host) (p Prediction, decides bool) {
	switch {
	case l.Broken:
		return fails(ErrorDriver, "there is no library under libcuda's name, so no driver is found (error 35)"), true
	case l.Stub:
		return fails(ErrorStub, "it is a link-time stub (error 34)"), true
	case l.Driver == "":
		return say(Unknown, "it does not say of which driver it is: with another one than %s it fails (error 803)", h.Driver), true
	case Compare(l.Driver, h.Driver) == 0:
		return Prediction{}, false
	case l.Forward && Major(l.Driver) > Major(h.Driver):
		p := n.forward(l.Driver, l.Branches, h)
		p.Why = fmt.Sprintf("it is cuda-compat %s%s", l.Driver, p.Why)
		return p, true
	case Major(l.Driver) > Major(h.Driver):
		return say(Unknown, "it is of driver %s, newer than %s: data-center GPUs may accept it as cuda-compat", l.Driver, h.Driver), true
	}
	if p := n.on(offered(l.Driver), h.GPU); p.CUDAError == ErrorDriver {
		return p, true
	}
	return fails(ErrorMismatch, "it is of driver %s, which does not go with driver %s (error 803)", l.Driver, h.Driver), true
}
