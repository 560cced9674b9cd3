// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"fmt"
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
			Result: gpu.Waived, CUDAError: gpu.CUDAErrorName(35),
		}
	}
	for _, g := range s.GPUs {
		if why := unmet(subject.env, s.host(g)); why != "" {
			return gpu.Prediction{Verdict: verdictRequire, Why: why, Result: gpu.Refused}
		}
	}
	if p, decided := libcuda(report, s.Host.Driver); decided {
		return p
	}
	return s.code(report)
}

func (s *Stage) host(g gpu.GPU) compat.Host {
	target, _ := compat.ParseTarget(g.Capability) // one that cannot be read is not known
	return compat.Host{Driver: s.Host.Driver, CUDA: s.Host.CUDA, GPU: target, Brand: g.Brand}
}

// unmet says which of the image's requirements does not hold and which driver would
// do, "" if all hold. CDI, and so both engines, would start the container all the same.
func unmet(env []string, host compat.Host) string {
	requirements, err := compat.Requirements(env)
	if err != nil {
		return err.Error()
	}
	for _, r := range requirements {
		if a := r.Check(host); !a.Holds {
			would := "no driver that is known would do"
			if a.Driver != "" {
				would = fmt.Sprintf("driver %s would do", a.Driver)
			}
			return fmt.Sprintf("%s does not hold: %s; %s", r.Name, a.Why, would)
		}
	}
	return ""
}
