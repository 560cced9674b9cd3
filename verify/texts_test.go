// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// objectFile is an ELF object file with these texts in it, far from its start.
func objectFile(texts ...string) []byte {
	data := make([]byte, 3<<20)
	copy(data, "\x7fELF\x02\x01\x01")
	data[16] = 1 // ET_REL
	copy(data[2<<20:], strings.Join(texts, ""))
	return data
}

// only returns the one finding of a layer with one file.
func only(t *testing.T, opts verify.Options, name string, data []byte) verify.Finding {
	t.Helper()
	report, err := verify.New(opts).Image(t.Context(), "x", imagetest.WithEnv(imagetest.New(layer(map[string]imagetest.Entry{name: imagetest.File(data)})), gpus))
	if err != nil || len(report.Findings) != 1 {
		t.Fatalf("%s: findings %+v, error %v, want one finding", name, report.Findings, err)
	}
	return report.Findings[0]
}

func TestObjectFiles(t *testing.T) {
	t.Parallel()
	const closed = "\x00license=NVIDIA\x00supported=external\x00version=550.54.15\x00"
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"closed module":  {objectFile(closed), "kernel module of driver 550.54.15 (by text in it)"},
		"open module":    {objectFile("firmware=nvidia/595.45.04/gsp_ga10x.bin\x00\x00supported=external\x00version=595.45.04\x00"), "kernel module of driver 595.45.04 (by text in it)"},
		"firmware":       {objectFile("\x01535.261.03\x00", ".fwimage\x00.fwversion\x00.fwsignature_ga10x\x00"), "driver firmware of driver 535.261.03 (by text in it)"},
		"across windows": {append(objectFile()[:1<<20-20], closed...), "kernel module of driver 550.54.15 (by text in it)"},
	} {
		if f := only(t, verify.Options{}, "opt/helper.bin", tc.data); f.Detail != tc.want {
			t.Errorf("%s: %q, want %q", name, f.Detail, tc.want)
		}
	}
	for name, data := range map[string][]byte{
		"nouveau":        objectFile("firmware=nvidia/gm200/acr/bl.bin\x00\x00license=GPL and additional rights\x00"),
		"nvidia i2c":     objectFile("\x00name=i2c_nvidia_gpu\x00license=GPL v2\x00"),
		"half a licence": objectFile("\x00license=NVIDIA\x00"),
	} {
		if report := judge(t, imagetest.New(layer(map[string]imagetest.Entry{"opt/x.ko": imagetest.File(data)}))); len(report.Findings) > 0 {
			t.Errorf("%s: findings %+v, want none", name, report.Findings)
		}
	}
}

func TestRunInstaller(t *testing.T) {
	t.Parallel()
	head := "#! /bin/sh\n# This script was generated using Makeself\nlabel=\"NVIDIA Accelerated Graphics Driver for Linux-x86_64 550.54.15\"\n"
	f := only(t, verify.Options{}, "opt/setup", []byte(head+strings.Repeat("x", 2<<20)))
	if f.Rule != "driver-installer" || !strings.Contains(f.Detail, "of driver 550.54.15") {
		t.Errorf("finding %+v", f)
	}
}

func TestForwardCompat(t *testing.T) {
	t.Parallel()
	const note = `{"CUDA Version":"12.4","Driver":[470,535]}`
	noted := func(text string) []byte {
		return imagetest.ELF{SOName: "libcuda.so.1", Exports: []string{"cuInit", "cuDriverGetVersion", "cuGetExportTable", "cudbgIpcFlag"}, Exec: 300 << 10, Note: text}.Bytes()
	}
	lib := noted(note + "\x00")
	const inPlace = "usr/local/cuda-12.4/compat/libcuda.so.550.54.15"
	f := only(t, verify.Options{}, inPlace, lib)
	if want := "libcuda of driver 550.54.15 (by file name, SONAME, exports), for " + note; f.Severity != verify.SeverityInfo || f.Detail != want {
		t.Errorf("in place: %s %q, want info %q", f.Severity, f.Detail, want)
	}
	if f := only(t, verify.Options{Strict: true}, inPlace, lib); f.Severity != verify.SeverityFail || f.Rule != "forward-compat" {
		t.Errorf("strict: %+v", f)
	}
	if f := only(t, verify.Options{}, "opt/helper.bin", lib); f.Rule != "driver-library" || !strings.Contains(f.Detail, note) {
		t.Errorf("elsewhere: %+v", f)
	}
	cut := noted(note) // no section headers: the hook finds nothing
	copy(cut[40:48], make([]byte, 8))
	copy(cut[58:64], make([]byte, 6))
	renamed := bytes.Replace(noted(note), []byte(".note.cuda.fwd"), []byte(".note.cuda.bwd"), 1)
	for name, data := range map[string][]byte{"no JSON": noted("{"), "too long": noted(strings.Repeat(" ", 20<<10)), "cut": cut, "renamed": renamed, "cut off": noted(note)[:len(noted(note))-64]} {
		if f := only(t, verify.Options{}, inPlace, data); strings.Contains(f.Detail, ", for ") {
			t.Errorf("%s: %q", name, f.Detail)
		}
	}
}

func TestVersionInLibraries(t *testing.T) {
	t.Parallel()
	exports := []string{"cuInit", "cuDriverGetVersion", "cuGetExportTable", "cudbgIpcFlag"}
	for name, tc := range map[string]struct {
		needed []string
		text   string
		want   string
	}{
		"dependency": {[]string{"libc.so.6", "libnvidia-ptxjitcompiler.so.550.54.15"}, "", "libcuda of driver 550.54.15 ("},
		"highest":    {nil, "\x00470.57.01\x00550.54.15\x00127.0.0.1\x00", "libcuda of driver 550.54.15 ("},
		"build path": {nil, "\x00/dvs/gpu_drv/r535/r535_00/x.c\x00535.104.05\x00550.54.15\x00", "libcuda of driver 535.104.05 ("},
		"none":       {nil, "", "libcuda ("},
	} {
		data := append(imagetest.ELF{Exports: exports, Needed: tc.needed, Exec: 300 << 10}.Bytes(), tc.text...)
		if f := only(t, verify.Options{}, "opt/helper.bin", data); !strings.HasPrefix(f.Detail, tc.want) {
			t.Errorf("%s: %q, want %q...", name, f.Detail, tc.want)
		}
	}
}

// TestTwoLibrariesByExports has a file with the exports of two: 525's libnvidia-compiler
// took in those of libnvidia-nvvm.
func TestTwoLibrariesByExports(t *testing.T) {
	t.Parallel()
	const compiler, nvvm = "libnvidia-compiler.so.525.147.05", "libnvidia-nvvm.so.4"
	for soname, want := range map[string]string{
		compiler: "libnvidia-compiler of driver 525.147.05 (by file name, SONAME, exports)",
		nvvm:     "libnvidia-nvvm of driver 525.147.05 (by file name, SONAME, exports)",
		"x.so":   "libnvidia-compiler of driver 525.147.05 (by file name, exports)",
	} {
		if f := only(t, verify.Options{}, "opt/"+compiler, realLibrary(soname, "NvCliCompileProgram", "__nvvmHandle")); f.Detail != want {
			t.Errorf("%s: %q, want %q", soname, f.Detail, want)
		}
	}
	if f := only(t, verify.Options{}, "opt/x", realLibrary("x.so", "NvCliCompileProgram", "__nvvmHandle")); f.Detail != "libnvidia-nvvm (by exports)" {
		t.Errorf("without a name: %q", f.Detail)
	}
}

// TestOlderFiles has what 470 wrote another way than the branches after it.
func TestOlderFiles(t *testing.T) {
	t.Parallel()
	control := append(imagetest.ELF{Exec: 300 << 10}.Bytes(), "the CUDA MPS, see the nvidia-cuda-mps-control manual page.\x00/tmp/nvidia-mps\x00"...)
	if f := only(t, verify.Options{}, "opt/helper.bin", control); f.Rule != "driver-program" {
		t.Errorf("nvidia-cuda-mps-control: %+v", f)
	}
	if f := only(t, verify.Options{}, "opt/gsp.bin", imagetest.ELF{}.Bytes()); f.Rule != "driver-firmware" {
		t.Errorf("gsp.bin: %+v", f)
	}
}
