// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
)

// part describes code as "sm_80 sm_86 ptx8.4:compute_90".
func part(t *testing.T, name, runtime, code string) compat.Part {
	t.Helper()
	p := compat.Part{Name: name, Runtime: runtime}
	for word := range strings.FieldsSeq(code) {
		if isa, ok := strings.CutPrefix(word, "ptx"); ok {
			isa, arch, _ := strings.Cut(isa, ":")
			p.PTX = append(p.PTX, compat.PTX{Target: target(t, arch), ISA: isa})
		} else {
			p.SASS = append(p.SASS, target(t, word))
		}
	}
	return p
}

func require(t *testing.T, value string) []compat.Requirement {
	t.Helper()
	r, err := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", value)
	if err != nil {
		t.Fatal(err)
	}
	return []compat.Requirement{r}
}

func TestPredict(t *testing.T) {
	t.Parallel()
	const all124 = "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_89 sm_90 ptx8.4:compute_90"
	parts := func(p ...compat.Part) compat.Needs { return compat.Needs{Parts: p} }
	cublas := parts(part(t, "libcudart.so.12", "12.4", ""), part(t, "libcublas.so.12", "", all124))
	withCompat := cublas
	withCompat.Compat = []compat.Compat{{Driver: "550.54.14"}}
	asking := cublas
	asking.Require = require(t, "cuda>=12.4")
	for _, tc := range []struct {
		name        string
		needs       compat.Needs
		driver, gpu string
		want        compat.Verdict
		why         string
	}{
		{"own driver", cublas, "550.54.14", "sm_90", compat.Native, "its device code includes sm_90"},
		{"newer driver", cublas, "580.159.04", "sm_90", compat.Native, "driver 580.159.04 offers CUDA 13.0, libcudart.so.12 needs 12.4"},
		{"older driver of the major release", cublas, "535.161.07", "sm_90", compat.MinorCompat, "libcudart.so.12 needs CUDA 12.4 and driver 535.161.07 offers 12.2"},
		{"below the floor", cublas, "525.53", "sm_80", compat.No, "driver 525.60.13 or newer would do"},
		{"older major release", cublas, "470.57.02", "sm_80", compat.No, "libcudart.so.12 needs CUDA 12.4: driver 470.57.02 offers CUDA 11.4"},
		{"with cuda-compat", withCompat, "470.57.02", "sm_80", compat.ForwardCompat, "cuda-compat 550.54.14"},
		{"cuda-compat is used though not needed", withCompat, "535.54.03", "sm_80", compat.ForwardCompat, "on data-center GPUs only (error 804 on others)"},
		{"cuda-compat not for that branch", withCompat, "495.29.05", "sm_80", compat.No, "not made for driver branch 495 (error 803)"},
		{"newer GPU by JIT", cublas, "570.26", "sm_100", compat.JIT, "libcublas.so.12 has no machine code for sm_100: the driver compiles its PTX 8.4 of compute_90"},
		{"GPU that the driver does not know", cublas, "550.54.14", "sm_100", compat.No, "driver branch 570 is the first"},
		{"GPU that the driver has dropped", cublas, "590.44.01", "sm_61", compat.No, "driver branch 580 is the last"},
		{"no code for the GPU", parts(part(t, "app", "12.4", "sm_90 ptx8.4:compute_90")), "550.54.14", "sm_80", compat.No, "app has no code for sm_80, only for sm_90, PTX of compute_90"},
		{"PTX too new for the driver", parts(part(t, "app", "12.4", "ptx8.4:compute_80")), "535.54.03", "sm_90", compat.No, "PTX 8.4 needs the compiler of driver 550.54.14 (CUDA 12.4; error 222)"},
		{"PTX of an unknown language", parts(part(t, "app", "", "ptx11.0:compute_80")), "580.65.06", "sm_90", compat.Unknown, "PTX 11.0"},
		{"the PTX of the newest architecture counts", parts(part(t, "app", "12.4", "ptx8.4:compute_80 ptx7.0:compute_70")), "535.54.03", "sm_90", compat.No, "PTX 8.4"},
		{"but not of one newer than the GPU", parts(part(t, "app", "12.4", "ptx8.4:compute_80 ptx7.0:compute_70")), "535.54.03", "sm_75", compat.JIT, "PTX 7.0 of compute_70"},
		{"one library limits", parts(part(t, "liba.so", "12.4", all124), part(t, "libb.so", "", "sm_80")), "550.54.14", "sm_90", compat.No, "libb.so has no code for sm_90, only for sm_80"},
		{"one library is compiled", parts(part(t, "liba.so", "11.8", all124), part(t, "libb.so", "", "sm_80 ptx7.8:compute_80")), "550.54.14", "sm_90", compat.JIT, "libb.so"},
		{"the newest runtime decides", parts(part(t, "old.so", "11.2", ""), part(t, "new.so", "13.0", "")), "550.54.14", "sm_90", compat.No, "new.so needs CUDA 13.0"},
		{"major release only", parts(part(t, "x", "12", "")), "525.60.13", "sm_90", compat.Native, ""},
		{"no minor compatibility before 11", parts(part(t, "x", "10.2", "sm_70")), "418.39", "sm_70", compat.No, "driver 440.33 or newer would do"},
		{"no device code", parts(part(t, "libcudart.so.12", "12.4", "")), "550.54.14", "sm_121", compat.No, "sm_121"},
		{"nothing of CUDA", compat.Needs{}, "340.108", "sm_35", compat.Native, "nothing in the image needs a CUDA release; no device code limits the GPU"},
		{"declared release", compat.Needs{Runtime: "12.4"}, "470.57.02", "sm_80", compat.No, "the image needs CUDA 12.4"},
		{"requirement", asking, "535.161.07", "sm_90", compat.No, "NVIDIA_REQUIRE_CUDA does not hold: cuda>=12.4: driver 535.161.07 offers CUDA 12.2 (driver 550.54.14 or newer would do)"},
		{"requirement holds", asking, "550.54.14", "sm_90", compat.Native, ""},
		{"architecture-specific code", parts(part(t, "app", "12.4", "sm_90a")), "570.26", "sm_100", compat.No, "app has no code for sm_100, only for sm_90a"},
		{"family code", parts(part(t, "app", "12.9", "sm_100f")), "580.65.06", "sm_103", compat.Native, ""},
		{"Tegra", parts(part(t, "app", "12.4", "sm_87 sm_90")), "540.3", "sm_87", compat.Unknown, "Orin"},
		{"no code for Tegra", parts(part(t, "app", "", "sm_86")), "540.3", "sm_87", compat.No, "app has no code for sm_87"},
		{"driver before the tables", cublas, "304.137", "sm_35", compat.Unknown, "304.137"},
		{"no version", cublas, "latest", "sm_90", compat.Unknown, "latest"},
		{"GPU after the tables", cublas, "580.65.06", "sm_150", compat.Unknown, "sm_150"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := compat.Predict(tc.needs, compat.Host{Driver: tc.driver, GPU: target(t, tc.gpu)})
			if got.Verdict != tc.want || !strings.Contains(got.Why, tc.why) || got.Why == "" {
				t.Errorf("%s on driver %s, %s: %s (%s), want %s (%s)", tc.name, tc.driver, tc.gpu, got.Verdict, got.Why, tc.want, tc.why)
			}
		})
	}
}

// TestPredictError: the error's number is predicted wherever the verdict is no.
func TestPredictError(t *testing.T) {
	t.Parallel()
	app := func(runtime, code string) compat.Needs {
		return compat.Needs{Parts: []compat.Part{part(t, "app", runtime, code)}}
	}
	asking := app("12.4", "sm_90")
	asking.Require = require(t, "cuda>=99.0")
	for name, tc := range map[string]struct {
		needs       compat.Needs
		driver, gpu string
		want        int
	}{
		"runs":                  {app("12.4", "sm_90"), "580.159.04", "sm_90", 0},
		"driver too old":        {app("12.4", "sm_80"), "470.57.02", "sm_80", compat.ErrorDriver},
		"no code":               {app("12.4", "sm_80"), "580.159.04", "sm_90", compat.ErrorNoKernelImage},
		"PTX too new":           {app("12.4", "ptx9.3:compute_90"), "580.159.04", "sm_90", compat.ErrorPTXVersion},
		"GPU not known":         {app("12.4", "sm_100"), "550.54.14", "sm_100", compat.ErrorNoDevice},
		"GPU dropped":           {app("12.4", "sm_61"), "590.44.01", "sm_61", compat.ErrorNoDevice},
		"requirement":           {asking, "580.159.04", "sm_90", 0},
		"tables do not know it": {app("12.4", "sm_90"), "latest", "sm_90", 0},
	} {
		if got := compat.Predict(tc.needs, compat.Host{Driver: tc.driver, GPU: target(t, tc.gpu)}); got.CUDAError != tc.want {
			t.Errorf("%s: error %d (%s), want %d", name, got.CUDAError, got.Why, tc.want)
		}
	}
}

func TestPredictWith(t *testing.T) {
	t.Parallel()
	needs := compat.Needs{Parts: []compat.Part{part(t, "app", "12.4", "sm_90")}}
	host := compat.Host{Driver: "580.159.04", GPU: compat.Target{SM: 90}}
	for name, tc := range map[string]struct {
		libcuda compat.Libcuda
		want    compat.Verdict // "" where the library decides nothing
		code    int
	}{
		"broken":                    {compat.Libcuda{Broken: true}, compat.No, 35},
		"stub":                      {compat.Libcuda{Stub: true}, compat.No, 34},
		"older":                     {compat.Libcuda{Driver: "550.163.01"}, compat.No, 803},
		"older, of the same branch": {compat.Libcuda{Driver: "580.95.05", Forward: true}, compat.No, 803},
		"newer, of the same branch": {compat.Libcuda{Driver: "580.200.01"}, compat.No, 803},
		"too old for the runtime":   {compat.Libcuda{Driver: "470.256.02"}, compat.No, 35},
		"of no known version":       {compat.Libcuda{}, compat.Unknown, 0},
		"newer branch":              {compat.Libcuda{Driver: "610.43.02"}, compat.Unknown, 0},
		"the host's own version":    {compat.Libcuda{Driver: "580.159.04"}, "", 0},
	} {
		p, decides := needs.PredictWith(tc.libcuda, host)
		if p.Verdict != tc.want || p.CUDAError != tc.code || decides != (tc.want != "") || decides && p.Why == "" {
			t.Errorf("%s: %+v, %v, want %q and error %d", name, p, decides, tc.want, tc.code)
		}
	}
}

func TestForwardCompatLeavesGeForceOut(t *testing.T) {
	t.Parallel()
	needs := compat.Needs{Runtime: "12.4", Compat: []compat.Compat{{Driver: "550.54.14", Note: true, Branches: []int{470}}}}
	for brand, want := range map[string]compat.Verdict{"": compat.ForwardCompat, "NVIDIA": compat.ForwardCompat, "Tesla": compat.ForwardCompat, "GeForceRTX": compat.No, "Titan": compat.No, "quadrortx": compat.No, "NVIDIA RTX": compat.No} {
		got := compat.Predict(needs, compat.Host{Driver: "470.57.02", GPU: compat.Target{SM: 80}, Brand: brand})
		if got.Verdict != want {
			t.Errorf("brand %q: %+v, want %s", brand, got, want)
		}
	}
	needs.Compat[0].Branches = []int{525} // what the library says counts more than the table
	if got := compat.Predict(needs, compat.Host{Driver: "470.57.02", GPU: compat.Target{SM: 80}}); got.Verdict != compat.No {
		t.Errorf("branch 470 is not in the library's own list: %+v", got)
	}
}

func TestMinDriver(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		runtime, code, gpu, want string
	}{
		{"12.4", "sm_80 sm_90", "sm_80", "525.60.13"},
		{"12.4", "ptx8.4:compute_80", "sm_90", "550.54.14"}, // compiling needs the release's own driver
		{"11.2", "sm_80 ptx7.2:compute_86", "sm_90", "520.61.05"},
		{"11.2", "sm_80", "sm_90", ""},
		{"9.0", "sm_70", "sm_70", "384.81"},
		{"13.0", "sm_75", "sm_75", "580.65.06"},
	} {
		needs := compat.Needs{Parts: []compat.Part{part(t, "app", tc.runtime, tc.code)}}
		if got, why := compat.MinDriver(needs, target(t, tc.gpu)); got != tc.want || why == "" {
			t.Errorf("CUDA %s, %s, %s: driver %q (%s), want %q", tc.runtime, tc.code, tc.gpu, got, why, tc.want)
		}
	}
}

// TestNewerDriversRunMore: whatever runs on a driver runs on every newer one that
// still knows the GPU.
func TestNewerDriversRunMore(t *testing.T) {
	t.Parallel()
	for _, runtime := range []string{"9.0", "10.2", "11.2", "11.8", "12.4", "13.0"} {
		needs := compat.Needs{Parts: []compat.Part{part(t, "app", runtime, "sm_70 sm_80 ptx7.2:compute_70")}}
		for _, gpu := range compat.GPUs() {
			ran := ""
			for _, driver := range compat.Drivers() {
				p := compat.Predict(needs, compat.Host{Driver: driver, GPU: gpu})
				if ran != "" && !p.Verdict.Runs() && !strings.Contains(p.Why, "has dropped") {
					t.Errorf("CUDA %s, %s: runs on driver %s, not on %s: %s", runtime, gpu, ran, driver, p.Why)
				}
				if p.Verdict.Runs() {
					ran = driver
				}
			}
		}
	}
}

func ExamplePredict() {
	needs := compat.Needs{Parts: []compat.Part{{Name: "nbody", Runtime: "12.4", SASS: []compat.Target{{SM: 80}, {SM: 90}}}}}
	p := compat.Predict(needs, compat.Host{Driver: "470.57.02", GPU: compat.Target{SM: 80}})
	fmt.Println(p.Verdict, "-", p.Why)
	// Output: no - nbody needs CUDA 12.4: driver 470.57.02 offers CUDA 11.4 (driver 525.60.13 or newer would do)
}

// BenchmarkPredict is what one image costs: a table of all branches and GPUs.
func BenchmarkPredict(b *testing.B) {
	r, err := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", nvidia124)
	if err != nil {
		b.Fatal(err)
	}
	needs := compat.Needs{Require: []compat.Requirement{r}}
	for range 30 {
		needs.Parts = append(needs.Parts, compat.Part{Name: "lib", Runtime: "12.4", SASS: compat.GPUs()})
	}
	for b.Loop() {
		for _, gpu := range compat.GPUs() {
			compat.MinDriver(needs, gpu)
			for _, driver := range compat.Drivers() {
				compat.Predict(needs, compat.Host{Driver: driver, GPU: gpu})
			}
		}
	}
}
