// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/verify"
)

// Verdicts of this package, beside those of compat.
const (
	verdictNoGPU   = "no-gpu"
	verdictDry     = "dry" // it starts, and goes as far as one can without a device
	verdictRequire = "requirement"
	verdictLibcuda = "wrong-libcuda"
	verdictCompat  = "wrong-compat" // a libcuda of cuda-compat where it does not help
)

// On says what the test will do on a host, by the report on it. The checks come in the order in
// which a start would fail.
func (s Subject) On(h Host, report verify.Report) gpu.Prediction {
	if why := h.Facts.Unmet(s.Env, h.GPUs); why != "" {
		return gpu.Prediction{Verdict: verdictRequire, Why: why, Result: gpu.Refused}
	}
	cannot := report.Portability.CannotStart
	if h.Dry {
		cannot = report.Portability.CannotBind()
	}
	if cannot != "" {
		return gpu.Prediction{Verdict: gpu.CannotStart, Why: cannot, Result: gpu.Failed}
	}
	if h.Dry {
		return gpu.Prediction{Verdict: verdictDry, Why: "no driver is given: it starts, and finds no device", Result: gpu.Waived}
	}
	if s.Test.GPUs == 0 {
		return gpu.Prediction{Verdict: verdictNoGPU, Why: "the test asks for no GPU, so nothing of a driver decides", Result: gpu.Passed}
	}
	if len(h.GPUs) == 0 {
		return gpu.Prediction{
			Verdict: verdictNoGPU, Why: "no GPU is given, so the container gets no driver",
			Result: gpu.Waived, CUDAError: gpu.CUDAErrorName(compat.ErrorDriver), CUDAErrorCode: compat.ErrorDriver,
		}
	}
	if p, decided := h.libcuda(report); decided {
		return p
	}
	return h.code(report)
}

// libcuda predicts from a libcuda of the image that is loaded in place of the host's.
// It decides nothing where the host's is loaded, one of the same version, or what the
// hook has put in its place. Both engines are CDI's: direct applies the specification of
// the CDI hooks, and nvidia runs in mode jit-cdi.
func (h Host) libcuda(report verify.Report) (gpu.Prediction, bool) {
	needs, host := report.Portability.Needs, h.Facts.Compat(h.GPUs[0])
	found := needs.Loads(host)
	if found.Path == "" {
		return gpu.Prediction{}, false
	}
	p, decides := needs.PredictWith(found.Own, host)
	if !decides {
		return gpu.Prediction{}, false
	}
	p.Why = fmt.Sprintf("the image's own %s, found through %s, is loaded in place of driver %s's: %s", found.Path, found.From, h.Facts.Driver, p.Why)
	if found.Own.Forward {
		return predicted(verdictCompat, p), true
	}
	return predicted(verdictLibcuda, p), true
}

// code predicts from the CUDA runtime and the device code in the image. Of several
// GPUs the first that the image does not run on decides. Of a program that opens libraries
// by name, as Python does, not every part of the image can be meant: it is known to fail
// only if no part runs.
func (h Host) code(report verify.Report) gpu.Prediction {
	var p compat.Prediction
	for _, g := range h.GPUs {
		if p = report.Predict(h.Facts.Compat(g)); !p.Verdict.Runs() {
			break
		}
	}
	if p.Verdict == compat.No && report.Portability.Program == "" && h.someRun(report.Portability.Needs) {
		p = compat.Prediction{Verdict: compat.Unknown, Why: "nobody knows which libraries the program loads, and not all of the image run here: " + p.Why}
	}
	return predicted(string(p.Verdict), p)
}

// someRun reports whether a part of the image, by itself, runs on all GPUs.
func (h Host) someRun(needs compat.Needs) bool {
	return slices.ContainsFunc(needs.Parts, func(part compat.Part) bool {
		if len(part.SASS)+len(part.PTX) == 0 { // a CUDA runtime by itself runs everywhere
			return false
		}
		alone := needs
		alone.Parts = []compat.Part{part}
		return !slices.ContainsFunc(h.GPUs, func(g gpu.GPU) bool { return !compat.Predict(alone, h.Facts.Compat(g)).Verdict.Runs() })
	})
}

// predicted is p as a row has it.
func predicted(verdict string, p compat.Prediction) gpu.Prediction {
	out := gpu.Prediction{Verdict: verdict, Why: p.Why, CUDAError: gpu.CUDAErrorName(p.CUDAError), CUDAErrorCode: p.CUDAError}
	switch {
	case p.Verdict.Runs():
		out.Result = gpu.Passed
	case p.Verdict == compat.No:
		out.Result = gpu.Failed
	}
	return out
}
