// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"fmt"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/verify"
)

// libcuda predicts from a libcuda of the image that is loaded in place of the host's.
// It decides nothing where the host's is loaded.
func libcuda(report verify.Report, driver string) (gpu.Prediction, bool) {
	found := report.Libcuda
	if found.Winner == verify.HostLibcuda {
		return gpu.Prediction{}, false
	}
	return gpu.Prediction{
		Verdict: verdictLibcuda, Result: gpu.Failed,
		Why: fmt.Sprintf("the image's own %s is loaded in place of driver %s's: %s", found.Winner, driver, found.Why),
	}, true
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
	out := gpu.Prediction{Verdict: string(p.Verdict), Why: p.Why}
	switch {
	case p.Verdict.Runs():
		out.Result = gpu.Passed
	case p.Verdict == compat.No:
		out.Result = gpu.Failed
	}
	return out
}
