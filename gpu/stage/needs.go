// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"fmt"
	"path"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/verify"
)

// libcuda predicts from a libcuda that the image brings along where containers see it.
// It decides nothing where there is none.
func libcuda(report verify.Report, driver string) (gpu.Prediction, bool) {
	for _, f := range report.Findings {
		if f.Severity == verify.SeverityFail && f.DeletedIn == nil && strings.HasPrefix(path.Base(f.Path), "libcuda.so") {
			return gpu.Prediction{
				Verdict: verdictLibcuda, Result: gpu.Failed,
				Why: fmt.Sprintf("the image has a libcuda of its own, %s, beside that of driver %s", f.Path, driver),
			}, true
		}
	}
	return gpu.Prediction{}, false
}

// code predicts from the CUDA runtime and the device code in the image. Of several
// GPUs the first that the image does not run on decides.
func (s *Stage) code(report verify.Report) gpu.Prediction {
	var p compat.Prediction
	for _, g := range s.GPUs {
		if p = report.Predict(s.host(g)); !p.Verdict.Runs() {
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
