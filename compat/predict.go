// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Verdict is what the rules say an image will do on a host.
type Verdict string

// The verdicts. The first four mean that it runs.
const (
	// Native: the driver is of the image's CUDA release or newer, and there is
	// machine code for the GPU.
	Native Verdict = "native"
	// JIT: it runs, but the driver compiles some of the device code at the start.
	JIT Verdict = "jit"
	// MinorCompat: the driver is older than the image's CUDA release and of the same
	// major release. Functions that are new in the image's release fail (error 36).
	MinorCompat Verdict = "minor-compat"
	// ForwardCompat: it runs with the cuda-compat libraries that the image ships, on
	// data-center GPUs.
	ForwardCompat Verdict = "forward-compat"
	// No: it does not run.
	No Verdict = "no"
	// Unknown: the tables do not know enough.
	Unknown Verdict = "unknown"
)

// Runs reports whether the verdict means that the image runs.
func (v Verdict) Runs() bool {
	return v == Native || v == JIT || v == MinorCompat || v == ForwardCompat
}

// Prediction is a verdict with its reason. It is never an observation.
type Prediction struct {
	Verdict Verdict `json:"verdict"`
	// Why names the library or requirement that decides, one sentence without a full
	// stop. It is never "".
	Why string `json:"why"`
	// CUDAError is the code of the CUDA runtime's error that a start shows, 0 where the
	// image runs, where it is not started, and where the rules do not know.
	CUDAError int `json:"cuda_error_code,omitempty"`
}

func say(v Verdict, format string, args ...any) Prediction {
	return Prediction{Verdict: v, Why: fmt.Sprintf(format, args...)}
}

// fails says that it does not run and with which error.
func fails(code int, format string, args ...any) Prediction {
	return Prediction{Verdict: No, Why: fmt.Sprintf(format, args...), CUDAError: code}
}

// Predict says what an image with these needs will do on a host. Checks come in
// the order in which a start would fail: the driver must know the GPU, a legacy hook
// mount what is needed, the requirements must hold, the libcuda that is found must go with the driver and the
// GPU, the CUDA runtime must accept it, and every part must have code for the GPU.
// That libcuda is the one of [Needs.Loads]: a hook puts cuda-compat in the host's
// place whenever it is newer. Where hosts differ, it is what fails on some of them.
//
// Code that calls functions newer than the driver is not seen: the verdict
// "minor-compat" says that this can happen.
func Predict(n Needs, h Host) Prediction {
	if p := hostProblem(n, h); p != nil {
		return *p
	}
	if h.Hook == HookLegacy && n.Withheld.Verdict != "" {
		return n.Withheld
	}
	for _, r := range n.Require {
		if a := r.Check(h); !a.Holds {
			newer := h
			if newer.CUDA = newest; h.offer().atLeast && r.Check(newer).Holds {
				return say(Unknown, "%s %s: %s, and %s", r.Name, a.problem(), a.Why, h.offer())
			}
			return say(No, "%s %s: %s%s: %s", r.Name, a.problem(), a.Why, wouldDo(a.Driver, h.Driver), h.Hook.refusal())
		}
	}
	var first Prediction
	for i, s := range n.searches(h) {
		if p := n.with(n.loads(s, h), h); i == 0 || first.Verdict.Runs() && !p.Verdict.Runs() {
			first = p
		}
	}
	return first
}

// hostProblem says what rules a host out, or leaves it unknown, whatever the image.
func hostProblem(n Needs, h Host) *Prediction {
	gpu, known := h.GPU.architecture()
	problem := func(p Prediction) *Prediction { return &p }
	switch major := Major(h.Driver); {
	case !IsVersion(h.Driver) || h.offer().cuda == "":
		return problem(say(Unknown, "driver %q is not in the tables", h.Driver))
	case !known:
		return problem(say(Unknown, "%s is not in the tables", h.GPU))
	case gpu.tegra:
		if p := n.code(h.GPU, releases[len(releases)-1].cuda); p.Verdict == No {
			return &p
		}
		return problem(say(Unknown, "%s (%s) is a Tegra part: its driver comes with JetPack and is not in the tables", h.GPU, gpu.name))
	case major < gpu.first:
		return problem(fails(ErrorNoDevice, "driver %s does not know %s (%s): driver branch %d is the first that does", h.Driver, h.GPU, gpu.name, gpu.first))
	case gpu.last > 0 && major > gpu.last:
		return problem(fails(ErrorNoDevice, "driver %s has dropped %s (%s): driver branch %d is the last for it", h.Driver, h.GPU, gpu.name, gpu.last))
	}
	return nil
}

// on judges runtime and code on one user-mode driver.
func (n Needs) on(has offer, gpu Target) Prediction {
	release, by := n.runtime()
	minorCompat := release != "" && Compare(has.cuda, release) < 0
	if minorCompat {
		floor, promised := MinorFloor(release)
		if !promised {
			floor = FirstDriver(release)
		}
		if has.atLeast && !promised {
			return say(Unknown, "%s needs CUDA %s: %s", by, release, has)
		}
		if !promised || Compare(has.driver, floor) < 0 {
			return fails(ErrorDriver, "%s needs CUDA %s: %s%s", by, release, has, wouldDo(floor, has.driver))
		}
	}
	code := n.code(gpu, has.cuda)
	if code.Verdict != Native || !minorCompat {
		hasCode := slices.ContainsFunc(n.Parts, func(p Part) bool { return len(p.SASS)+len(p.PTX) > 0 })
		return code.because(release, by, has, hasCode)
	}
	return say(MinorCompat, "%s needs CUDA %s and driver %s offers %s of the same major release; %s", by, release, has.driver, has.cuda, code.Why)
}

// because puts the runtime's side before a reason that is only about code.
func (p Prediction) because(release, by string, has offer, hasCode bool) Prediction {
	switch {
	case p.Verdict == No || p.Verdict == Unknown:
	case release == "" && hasCode:
		p.Why = "no file names the CUDA release that it needs; " + p.Why
	case release == "":
		p.Why = "nothing in the image needs a CUDA release; " + p.Why
	default:
		p.Why = fmt.Sprintf("%s, %s needs %s; %s", has, by, release, p.Why)
	}
	return p
}

// code judges device code: native if all parts have machine code for the GPU.
func (n Needs) code(gpu Target, cuda string) Prediction {
	var jit *Part
	var isa string
	with := 0
	for i, p := range n.Parts {
		if len(p.SASS)+len(p.PTX) == 0 {
			continue
		}
		with++
		if p.hasSASS(gpu) {
			continue
		}
		x := p.bestPTX(gpu)
		switch {
		case x == nil:
			return fails(ErrorNoKernelImage, "%s has no code for %s, only for %s", p.Name, gpu, p.targets())
		case !x.knownTo(cuda):
			return p.tooNew(gpu, *x)
		case jit == nil:
			jit, isa = &n.Parts[i], fmt.Sprintf("PTX %s of %s", x.ISA, x.Target.Virtual())
		}
	}
	switch {
	case jit != nil:
		return say(JIT, "%s has no machine code for %s: the driver compiles its %s", jit.Name, gpu, isa)
	case with == 0:
		return say(Native, "no device code limits the GPU")
	case with == 1:
		return say(Native, "its device code includes %s", gpu)
	default:
		return say(Native, "all %d parts with device code have it for %s", with, gpu)
	}
}

func (p Part) hasSASS(gpu Target) bool {
	return slices.ContainsFunc(p.SASS, func(t Target) bool { return t.RunsOn(gpu) })
}

// bestPTX returns the PTX that a driver takes for the GPU, nil if there is none: that
// of the newest architecture. Whether a driver that is too old for it would take
// another is not known, so it is not counted on.
func (p Part) bestPTX(gpu Target) *PTX {
	var best *PTX
	for i, x := range p.PTX {
		if x.CompilesFor(gpu) && (best == nil || cmp.Or(CompareTargets(x.Target, best.Target), Compare(x.ISA, best.ISA)) > 0) {
			best = &p.PTX[i]
		}
	}
	return best
}

// tooNew says that the driver cannot compile what the part has for the GPU.
func (p Part) tooNew(gpu Target, x PTX) Prediction {
	release := PTXRelease(x.ISA)
	if release == "" {
		return say(Unknown, "%s has only PTX %s for %s, which the tables do not know", p.Name, x.ISA, gpu)
	}
	return fails(ErrorPTXVersion, "%s has no machine code for %s, and its PTX %s needs the compiler of driver %s (CUDA %s; error 222)",
		p.Name, gpu, x.ISA, FirstDriver(release), release)
}

// targets lists what the part has code for: "sm_80, sm_86 and PTX of compute_86".
func (p Part) targets() string {
	var names []string
	for _, t := range p.SASS {
		names = append(names, t.String())
	}
	for _, x := range p.PTX {
		names = append(names, "PTX of "+x.Target.Virtual())
	}
	return strings.Join(slices.Compact(names), ", ")
}

// wouldDo ends a sentence with the driver that helps, if one is known.
func wouldDo(driver, have string) string {
	switch {
	case driver == "":
		return ""
	case Compare(driver, have) < 0:
		return fmt.Sprintf(" (an older driver, such as %s, would do)", driver)
	}
	return fmt.Sprintf(" (driver %s or newer would do)", driver)
}
