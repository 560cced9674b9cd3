// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/verify"
)

// Verdicts of this package, beside those of compat.
const (
	verdictNoGPU   = "no-gpu"
	verdictRequire = "requirement"
	verdictLibcuda = "wrong-libcuda"
	verdictCompat  = "wrong-compat" // a libcuda of cuda-compat where it does not help
)

// predict says what the sample will do, from the verifier's report and the host's
// facts alone. The checks come in the order in which a start would fail.
func (s *Stage) predict(report verify.Report, subject subject) gpu.Prediction {
	p := s.judge(report, subject)
	p.Made = time.Now()
	return p
}

func (s *Stage) judge(report verify.Report, subject subject) gpu.Prediction {
	if len(s.GPUs) == 0 {
		return gpu.Prediction{
			Verdict: verdictNoGPU, Why: "no GPU is given, so the container gets no driver",
			Result: gpu.Waived, CUDAError: gpu.CUDAErrorName(compat.ErrorDriver), CUDAErrorCode: compat.ErrorDriver,
		}
	}
	if why := s.Host.Unmet(subject.env, s.GPUs); why != "" {
		return gpu.Prediction{Verdict: verdictRequire, Why: why, Result: gpu.Refused}
	}
	if p, decided := s.libcuda(report); decided {
		return p
	}
	return s.code(report)
}
