// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

type files = map[string]imagetest.Entry

// gpuFile is an ELF file with a CUDA runtime (12040 is 12.4, 0 none) and these
// containers.
func gpuFile(soname string, runtime uint16, containers ...[]byte) imagetest.Entry {
	data := imagetest.ELF{SOName: soname, Exports: []string{"f"}, Exec: 300 << 10}.Bytes()
	if runtime > 0 {
		data = append(data, imagetest.Cudart(runtime)...)
	}
	for _, c := range containers {
		data = append(imagetest.Align(data), c...)
	}
	return imagetest.File(data)
}

// all124 is what NVIDIA's libraries of CUDA 12.4 have.
var all124 = imagetest.Fatbin(append(imagetest.SASS(50, 60, 70, 75, 80, 86, 89, 90), imagetest.PTX(8, 4, 90))...)

func TestPortability(t *testing.T) {
	t.Parallel()
	img := imagetest.WithEnv(imagetest.New(
		layer(files{
			"usr/lib/libcudart.so.12.4.127": gpuFile("libcudart.so.12", 12040),
			"usr/lib/libcublas.so.12":       gpuFile("libcublas.so.12", 0, all124),
			"usr/lib/old.so":                gpuFile("old.so", 9000, imagetest.Fatbin(imagetest.SASS(35)...)),
		}),
		layer(files{
			"usr/lib/.wh.old.so": {}, // containers do not see it
			"usr/bin/app":        gpuFile("", 0, imagetest.Fatbin(append(imagetest.SASS(80, 90), imagetest.PTX(8, 4, 80))...)),
		}),
	), "CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=driver>=525.60.13", gpus)
	report := judge(t, img)
	got := report.Portability
	if diff := cmp.Diff([]string{"sm_80", "sm_86", "sm_89", "sm_90"}, got.SASS); diff != "" {
		t.Errorf("SASS (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"compute_90"}, got.PTX); diff != "" {
		t.Errorf("PTX (-want +got):\n%s", diff)
	}
	wantParts := []verify.GPUPart{
		{Path: "usr/bin/app", SASS: []string{"sm_80", "sm_90"}, PTX: []string{"compute_80 (8.4)"}},
		{Path: "usr/lib/libcublas.so.12", SASS: []string{"sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90"}, PTX: []string{"compute_90 (8.4)"}},
		{Path: "usr/lib/libcudart.so.12.4.127", CUDARuntime: "12.4", SASS: []string{}, PTX: []string{}},
	}
	if diff := cmp.Diff(wantParts, got.Parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if got.CUDARuntime != "12.4" || got.MinDriver != "525.60.13" || !strings.Contains(got.MinDriverWhy, "libcudart.so.12.4.127 needs CUDA 12.4") {
		t.Errorf("runtime %q, driver %q (%s), want 12.4 and 525.60.13 because of libcudart", got.CUDARuntime, got.MinDriver, got.MinDriverWhy)
	}
	if len(report.Findings) > 0 || report.Verdict != verify.Pass {
		t.Errorf("findings %+v, want none", report.Findings)
	}
	for _, tc := range []struct {
		driver, gpu string
		want        compat.Verdict
		why         string
	}{
		{"550.54.14", "sm_90", compat.Native, ""},
		{"525.60.13", "sm_80", compat.MinorCompat, "libcudart.so.12.4.127"},
		{"550.54.14", "sm_75", compat.No, "usr/bin/app has no code for sm_75"},
		{"570.26", "sm_100", compat.JIT, "usr/bin/app"},
	} {
		i := slices.IndexFunc(got.Predictions, func(p verify.DriverGPU) bool { return p.Driver == tc.driver && p.GPU == tc.gpu })
		if i < 0 || got.Predictions[i].Verdict != tc.want || !strings.Contains(got.Predictions[i].Why, tc.why) {
			t.Errorf("driver %s, %s: %+v, want %s (%s)", tc.driver, tc.gpu, got.Predictions, tc.want, tc.why)
		}
	}
	if p := report.Predict(compat.Host{Driver: "535.161.07", GPU: compat.Target{SM: 90}}); p.Verdict != compat.MinorCompat {
		t.Errorf("Predict = %+v, want minor-compat", p)
	}
}

// TestPortabilityOfOddImages: what limits nothing, what cannot be told.
func TestPortabilityOfOddImages(t *testing.T) {
	t.Parallel()
	h100 := compat.Host{Driver: "550.54.14", GPU: compat.Target{SM: 90}}
	broken := imagetest.Fatbin(append(imagetest.SASS(80, 90), imagetest.SASS(100)...)...)
	broken[16+64+(16<<10)+2] = 9 // the second entry's version
	unknown := imagetest.ELF{SOName: "x", Exec: 64}.Bytes()
	unknown = append(unknown, "\x00cudart.shm.%x\x00"...)
	for _, tc := range []struct {
		name    string
		env     []string
		files   files
		want    compat.Verdict
		why     string
		runtime string
	}{
		{"nothing of CUDA", nil, files{"etc/passwd": {Data: "root"}}, compat.Native, "nothing in the image needs a CUDA release", ""},
		{"base image", nil, files{"usr/lib/libcudart.so.12": gpuFile("libcudart.so.12", 12040)}, compat.Native, "no device code limits the GPU", "12.4"},
		{"release by file name", nil, files{"usr/lib/libcudart.so.13.0.48": gpuFile("libcudart.so.13", 0)}, compat.No, "needs CUDA 13.0", "13.0"},
		{"release by SONAME", nil, files{"opt/x": gpuFile("libcudart.so.12", 0)}, compat.Native, "", "12"},
		{"release unknown", nil, files{"opt/x": imagetest.File(unknown)}, compat.Unknown, "the release of the CUDA runtime in opt/x could not be told", ""},
		{"release declared", []string{"CUDA_VERSION=12.4"}, files{"opt/x": imagetest.File(unknown)}, compat.Native, "needs 12.4", "12.4"},
		{"broken container", nil, files{"opt/x": gpuFile("x", 0, broken)}, compat.No, "opt/x has no code for sm_90, only for sm_80", ""},
		{"broken container, enough code", nil, files{"opt/x": gpuFile("x", 0, all124, broken)}, compat.Unknown, "not all device code could be read: opt/x", ""},
		{"one library limits", nil, files{"opt/x": gpuFile("x", 0, all124), "opt/y": gpuFile("y", 0, imagetest.Fatbin(imagetest.SASS(80)...))}, compat.No, "opt/y has no code for sm_90, only for sm_80", ""},
		{"kernels for one architecture apart", nil, files{"opt/x": gpuFile("x", 0, imagetest.Fatbin(imagetest.SASS(80)...), imagetest.Fatbin(imagetest.SASS(90)...))}, compat.Native, "", ""},
		{"loose files limit nothing", nil, files{
			"opt/a.cubin": {Data: string(imagetest.Cubin(80, false, 20_000))}, "opt/b.fatbin": {Data: string(imagetest.Fatbin(imagetest.SASS(70)...))},
			"opt/app": gpuFile("", 0, all124),
		}, compat.Native, "", ""},
		{"forward compatibility", []string{"NVIDIA_REQUIRE_CUDA=cuda>=13.0 brand=nvidia,driver>=550,driver<551"}, files{
			"usr/local/cuda/compat/libcuda.so.580.65.06": imagetest.File(realLibrary("libcuda.so.1")),
			"opt/app": gpuFile("", 13000, all124),
		}, compat.ForwardCompat, "cuda-compat 580.65.06", "13.0"},
		{"leaked driver", nil, files{"usr/lib/libcuda.so.535.161.07": imagetest.File(realLibrary("libcuda.so.1")), "opt/app": gpuFile("", 12040, all124)}, compat.No, "in place of driver 550.54.14's: it is of driver 535.161.07", "12.4"},
		{"requirement", []string{"NVIDIA_REQUIRE_CUDA=cuda>=13.0"}, files{"opt/app": gpuFile("", 12040, all124)}, compat.No, "NVIDIA_REQUIRE_CUDA does not hold", "12.4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, imagetest.WithEnv(imagetest.New(layer(tc.files)), tc.env...))
			if p := report.Predict(h100); p.Verdict != tc.want || !strings.Contains(p.Why, tc.why) {
				t.Errorf("Predict = %s (%s), want %s (%s)", p.Verdict, p.Why, tc.want, tc.why)
			}
			if got := report.Portability.CUDARuntime; got != tc.runtime {
				t.Errorf("CUDA runtime %q, want %q", got, tc.runtime)
			}
		})
	}
}

func TestRequirementMismatch(t *testing.T) {
	t.Parallel()
	app := files{"opt/app": gpuFile("", 12040, all124)}
	withCompat := files{
		"opt/app": app["opt/app"], "usr/local/cuda/compat/libcuda.so.550.54.15": imagetest.File(realLibrary("libcuda.so.1")),
	}
	for _, tc := range []struct {
		name  string
		env   []string
		files files
		want  string // of the detail, "" for no finding
	}{
		{"agree", []string{"CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=driver>=525.60.13"}, app, ""},
		{"stricter than needed", []string{"NVIDIA_REQUIRE_CUDA=cuda>=12.4"}, app, ""},
		{"nothing said", nil, app, ""},
		{"another release", []string{"CUDA_VERSION=11.8.0"}, app, "CUDA_VERSION says 11.8, the newest CUDA runtime in the image is 12.4"},
		{"admits too much", []string{"NVIDIA_REQUIRE_CUDA=cuda>=11.4"}, app, "NVIDIA_REQUIRE_CUDA admits driver 470.42.01 with sm_52, where opt/app needs CUDA 12.4"},
		{"NVIDIA's without cuda-compat", []string{"NVIDIA_REQUIRE_CUDA=cuda>=12.4 brand=tesla,driver>=470,driver<471"}, app, "admits driver 470.42.01"},
		{"NVIDIA's with cuda-compat", []string{"NVIDIA_REQUIRE_CUDA=cuda>=12.4 brand=tesla,driver>=470,driver<471"}, withCompat, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, imagetest.WithEnv(imagetest.New(layer(tc.files)), tc.env...))
			var got []string
			for _, f := range report.Findings {
				if f.Rule == "requirement-mismatch" {
					got = append(got, f.Detail)
				}
			}
			if tc.want == "" && len(got) > 0 || tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want) || report.Verdict != verify.Warn) {
				t.Errorf("findings %q, verdict %s, want %q", got, report.Verdict, tc.want)
			}
		})
	}
}

// TestRequirementWords: a malformed requirement, one that the csv mode reads otherwise and
// one that is stricter than needed are findings; what is well-formed is none.
func TestRequirementWords(t *testing.T) {
	t.Parallel()
	sass, newer := gpuFile("", 12040, imagetest.Fatbin(imagetest.SASS(80, 86)...)), gpuFile("", 12040, imagetest.Fatbin(append(imagetest.SASS(80), imagetest.PTX(8, 4, 80))...))
	for _, tc := range []struct {
		name string
		env  string
		app  imagetest.Entry
		want []string // rule and a text of the detail
	}{
		{"unknown property", "NVIDIA_REQUIRE_CUDA=cuda>=12.0 os=linux", sass, []string{"requirement-csv", `"os=linux" is skipped`, "requirement-malformed", `unknown property "os"`}},
		{"quotes", `NVIDIA_REQUIRE_CUDA="cuda>=12.0"`, sass, []string{"requirement-csv", "is skipped", "requirement-malformed", "CDI modes look at no requirement"}},
		{"tab", "NVIDIA_REQUIRE_CUDA=cuda>=12.0\tdriver>=525", sass, []string{"requirement-malformed", "is no version"}},
		{"legacy image", "CUDA_VERSION=cu121", sass, []string{"requirement-malformed", `"cu121" is no version`}},
		{"four numbers", "CUDA_VERSION=12.4.0.041", sass, []string{"requirement-malformed", "CUDA_VERSION"}},
		{"capitals", "NVIDIA_REQUIRE_CUDA=CUDA>=12.0", sass, []string{"requirement-csv", "is skipped"}},
		{"trailing comma", "NVIDIA_REQUIRE_CUDA=cuda>=12.0,", sass, nil},
		{"stricter", "NVIDIA_REQUIRE_CUDA=cuda>=12.4", sass, []string{"requirement-strict", "asks for driver 550.54.14; what is in the image runs from driver 525.60.13 on"}},
		{"stricter by driver", "NVIDIA_REQUIRE_DRIVER=driver>=535.54.03", sass, []string{"requirement-strict", "NVIDIA_REQUIRE_DRIVER asks for driver 535.54.03"}},
		{"the floor", "NVIDIA_REQUIRE_CUDA=driver>=525.60.13", sass, nil},
		{"PTX of 12.4", "NVIDIA_REQUIRE_CUDA=cuda>=12.4", newer, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, imagetest.WithEnv(imagetest.New(layer(files{"opt/app": tc.app})), tc.env))
			var got []verify.Finding
			for _, f := range report.Findings {
				if f.Rule != "requirement-mismatch" && strings.HasPrefix(f.Rule, "requirement-") {
					got = append(got, f)
				}
			}
			slices.SortFunc(got, func(a, b verify.Finding) int { return strings.Compare(a.Rule, b.Rule) })
			ok := len(got) == len(tc.want)/2
			for i := 0; ok && i < len(got); i++ {
				ok = got[i].Rule == tc.want[2*i] && strings.Contains(got[i].Detail, tc.want[2*i+1])
			}
			if !ok {
				t.Errorf("%s: findings %+v, want %q", tc.env, got, tc.want)
			}
		})
	}
}

// TestDeviceCodeOfBigFiles puts containers where a file is not held: they are
// listed in passing.
func TestDeviceCodeOfBigFiles(t *testing.T) {
	t.Parallel()
	big := append([]byte(gpuFile("x", 12040).Data), make([]byte, 45<<20)...)
	big = append(imagetest.Align(big), all124...)
	big = append(imagetest.Align(append(big, make([]byte, 10<<20)...)), imagetest.Fatbin(imagetest.PTX(8, 4, 70))...)
	report := judge(t, imagetest.New(imagetest.Layer(imagetest.Zstd, imagetest.Files(files{"opt/big": imagetest.File(big)}))))
	if len(report.Portability.Parts) != 1 || len(report.Portability.Parts[0].SASS) != 8 || len(report.Portability.Parts[0].PTX) != 2 || report.Portability.CUDARuntime != "12.4" {
		t.Errorf("parts %+v, runtime %q, want eight targets, two of PTX and 12.4", report.Portability.Parts, report.Portability.CUDARuntime)
	}
}

func TestDeviceCodeIsCached(t *testing.T) {
	t.Parallel()
	dir := ownDir(t)
	img := imagetest.New(layer(files{"opt/app": gpuFile("", 12040, all124)}))
	var reports [2]verify.Report
	for i := range reports {
		var err error
		if reports[i], err = verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", img); err != nil {
			t.Fatal(err)
		}
	}
	if reports[1].Stats.BytesCached == 0 {
		t.Error("the second report read the layer again")
	}
	if diff := cmp.Diff(reports[0].Portability, reports[1].Portability); diff != "" {
		t.Errorf("portability from the cache (-read +cached):\n%s", diff)
	}
}

// TestScopeOfTheProgram: what the image's own program does not need limits nothing.
func TestScopeOfTheProgram(t *testing.T) {
	t.Parallel()
	elf := func(e imagetest.ELF, code ...[]byte) imagetest.Entry {
		return imagetest.File(slices.Concat(append([][]byte{imagetest.Align(e.Bytes())}, code...)...))
	}
	only80 := imagetest.Fatbin(imagetest.SASS(80)...)
	img := imagetest.New(layer(files{
		"lib64/ld-linux-x86-64.so.2": elf(imagetest.ELF{SOName: "ld-linux-x86-64.so.2", Exec: 64}),
		"usr/bin/app":                elf(imagetest.ELF{Interp: "/lib64/ld-linux-x86-64.so.2", Needed: []string{"libmiddle.so"}, Exec: 64}),
		"usr/bin/sh":                 elf(imagetest.ELF{Interp: "/lib64/ld-linux-x86-64.so.2", Exec: 64}),
		"usr/lib/libmiddle.so":       elf(imagetest.ELF{SOName: "libmiddle.so", Needed: []string{"libgpu.so"}, Exec: 64}),
		"usr/lib/libgpu.so":          elf(imagetest.ELF{SOName: "libgpu.so", Exec: 64}, all124),
		"usr/lib/libother.so":        elf(imagetest.ELF{SOName: "libother.so", Exec: 64}, only80),
	}))
	for _, tc := range []struct {
		entrypoint []string
		program    string
		want       compat.Verdict
		why        string
	}{
		{[]string{"/usr/bin/app", "-v"}, "usr/bin/app", compat.Native, ""},
		{[]string{"app"}, "usr/bin/app", compat.Native, ""},
		{[]string{"sh", "-c", "app"}, "", compat.No, "usr/lib/libother.so has no code for sm_90"},
		{nil, "", compat.No, "usr/lib/libother.so"},
		{[]string{"gone"}, "", compat.No, "libother.so"},
	} {
		report := judge(t, imagetest.WithEntrypoint(img, tc.entrypoint...))
		p := report.Predict(compat.Host{Driver: "550.54.14", GPU: compat.Target{SM: 90}})
		if p.Verdict != tc.want || !strings.Contains(p.Why, tc.why) || report.Portability.Program != tc.program || len(report.Portability.Parts) != 2 {
			t.Errorf("entrypoint %q: program %q, %+v, %d parts, want %q, %s (%s), 2 parts",
				tc.entrypoint, report.Portability.Program, p, len(report.Portability.Parts), tc.program, tc.want, tc.why)
		}
	}
}

// TestWhatIsKnown: answers say no more than the image does.
func TestWhatIsKnown(t *testing.T) {
	t.Parallel()
	cuda, code := user("libcuda.so.1"), gpuFile("", 0, imagetest.Fatbin(imagetest.SASS(80, 90)...))
	for _, tc := range []struct {
		name      string
		env       []string
		files     files
		minDriver string
		verdict   compat.Verdict
		why       string
	}{
		{"libcuda alone", nil, files{"opt/x.so": cuda}, "", compat.Unknown, "neither a file nor CUDA_VERSION"},
		{"libcuda and a driver's compiler", nil, files{"opt/x.so": user("libnvidia-nvvm.so.4", "libcuda.so")}, "", compat.Unknown, "neither a file nor CUDA_VERSION"},
		{"libcuda and a requirement", []string{"NVIDIA_REQUIRE_CUDA=cuda>=12.4"}, files{"opt/x.so": cuda}, "550.54.14", compat.Unknown, "neither a file nor CUDA_VERSION"},
		{"libcuda and a release", []string{"CUDA_VERSION=12.4"}, files{"opt/x.so": cuda}, "550.54.14", compat.Native, "the image needs 12.4"},
		{"code without a release", nil, files{"opt/x.so": cuda, "opt/y": code}, "450.51.05", compat.Native, "no file names the CUDA release that it needs"},
		{"NVML alone", nil, files{"opt/x.so": user("libnvidia-ml.so.1")}, "", compat.Unknown, "neither a file nor CUDA_VERSION"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, imagetest.WithEnv(imagetest.New(layer(tc.files)), append(tc.env, gpus)...))
			p := report.Predict(compat.Host{Driver: "550.54.14", GPU: compat.Target{SM: 80}})
			if got := report.Portability.MinDriver; got != tc.minDriver || p.Verdict != tc.verdict || !strings.Contains(p.Why, tc.why) {
				t.Errorf("oldest driver %q, %s (%s); want %q, %s (%s)", got, p.Verdict, p.Why, tc.minDriver, tc.verdict, tc.why)
			}
		})
	}
}

// TestStrictNames: of several requirements the finding names those that ask for too much.
func TestStrictNames(t *testing.T) {
	t.Parallel()
	app := gpuFile("", 12040, imagetest.Fatbin(imagetest.SASS(80, 90)...))
	for want, env := range map[string][]string{
		"NVIDIA_REQUIRE_CUDA asks for driver 550.54.14":                       {"NVIDIA_REQUIRE_A=driver>=450", "NVIDIA_REQUIRE_CUDA=cuda>=12.4"},
		"NVIDIA_REQUIRE_CUDA and NVIDIA_REQUIRE_Z ask for driver 570.26":      {"NVIDIA_REQUIRE_CUDA=cuda>=12.4", "NVIDIA_REQUIRE_Z=driver>=570"},
		"NVIDIA_REQUIRE_DRIVER asks for driver 535.54.03; what is in the ima": {"NVIDIA_REQUIRE_DRIVER=driver>=530.99"},
		"CUDA_VERSION asks for driver 550.54.14":                              {"CUDA_VERSION=12.4.1"},
	} {
		report := judge(t, imagetest.WithEnv(imagetest.New(layer(files{"opt/app": app})), append(env, gpus)...))
		i := slices.IndexFunc(report.Findings, func(f verify.Finding) bool { return f.Rule == "requirement-strict" })
		if i < 0 || !strings.HasPrefix(report.Findings[i].Detail, want) || report.Verdict != verify.Pass {
			t.Errorf("%v: %s, findings %+v, want %q as info", env, report.Verdict, report.Findings, want)
		}
	}
	older := imagetest.PTX(7, 0, 80)
	for name, f := range map[string]files{
		"PTX that needs as much": {"opt/app": gpuFile("", 12040, all124)},
		"a part of PTX alone":    {"opt/app": app, "opt/b": gpuFile("", 0, imagetest.Fatbin(older))},
		"no code at all":         {"opt/lib.so": gpuFile("libcudart.so.12", 12040)},
	} {
		report := judge(t, imagetest.WithEnv(imagetest.New(layer(f)), "NVIDIA_REQUIRE_CUDA=cuda>=12.4", gpus))
		if slices.ContainsFunc(report.Findings, func(f verify.Finding) bool { return f.Rule == "requirement-strict" }) {
			t.Errorf("%s: %+v", name, report.Findings)
		}
	}
}
