// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"fmt"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/verify"
)

// libcuda predicts from a libcuda of the image that is loaded in place of the host's.
// It decides nothing where the host's is loaded, or one of the same version.
func (s *Stage) libcuda(report verify.Report) (gpu.Prediction, bool) {
	found := report.Libcuda
	if found.Winner == verify.HostLibcuda {
		return gpu.Prediction{}, false
	}
	p, decides := report.Portability.Needs.PredictWith(found.File, s.Host.Compat(s.GPUs[0]))
	if !decides {
		return gpu.Prediction{}, false
	}
	p.Why = fmt.Sprintf("the image's own %s is loaded in place of driver %s's: %s (%s)", found.Winner, s.Host.Driver, p.Why, found.Why)
	if found.File.Forward {
		return predicted(verdictCompat, p), true
	}
	return predicted(verdictLibcuda, p), true
}

// code predicts from the CUDA runtime and the device code in the image. Of several
// GPUs the first that the image does not run on decides.
func (s *Stage) code(report verify.Report) gpu.Prediction {
	var p compat.Prediction
	for _, g := range s.GPUs {
		if p = report.Predict(s.Host.Compat(g)); !p.Verdict.Runs() {
			break
		}
	}
	return predicted(string(p.Verdict), p)
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
