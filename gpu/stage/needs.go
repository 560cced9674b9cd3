// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"fmt"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/verify"
)

// libcuda predicts from a libcuda of the image that is loaded in place of the host's.
// It decides nothing where the host's is loaded, one of the same version, or what the
// hook has put in its place. Both engines are CDI's: direct applies the specification of
// the CDI hooks, and nvidia runs in mode jit-cdi.
func (s *Stage) libcuda(report verify.Report) (gpu.Prediction, bool) {
	needs, host := report.Portability.Needs, s.Host.Compat(s.GPUs[0])
	found := needs.Loads(host)
	if found.Path == "" {
		return gpu.Prediction{}, false
	}
	p, decides := needs.PredictWith(found.Own, host)
	if !decides {
		return gpu.Prediction{}, false
	}
	p.Why = fmt.Sprintf("the image's own %s, found through %s, is loaded in place of driver %s's: %s", found.Path, found.From, s.Host.Driver, p.Why)
	if found.Own.Forward {
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
