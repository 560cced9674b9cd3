// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"maps"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// TestFalseAlarms holds what looks like the driver and is not: toolkit libraries,
// dispatchers, container tools, stubs in their place, documentation.
func TestFalseAlarms(t *testing.T) {
	t.Parallel()
	text := imagetest.Entry{Data: "x"}
	files := map[string]imagetest.Entry{
		"usr/local/cuda-12.4/targets/x86_64-linux/lib/stubs/libcuda.so":       imagetest.File(stubCUDA),
		"usr/lib/x86_64-linux-gnu/stubs/libnvidia-ml.so":                      imagetest.File(imagetest.ELF{SOName: "libnvidia-ml.so.1", Exports: []string{"nvmlInit", "nvmlDeviceGetCount", "nvmlSystemGetDriverVersion"}, Exec: 100}.Bytes()),
		"opt/Video_Codec_SDK/Lib/linux/stubs/x86_64/libnvcuvid.so":            imagetest.File(imagetest.ELF{SOName: "libnvcuvid.so.1", Exports: []string{"cuvidCreateDecoder", "cuvidCreateVideoParser"}, Exec: 100}.Bytes()),
		"usr/lib/x86_64-linux-gnu/libGLX_indirect.so.0":                       {Symlink: "libGLX_mesa.so.0"},
		"usr/lib/x86_64-linux-gnu/libGLX_mesa.so.0":                           imagetest.File(imagetest.ELF{SOName: "libGLX_mesa.so.0", Exports: []string{"__glx_Main"}, Exec: 300 << 10}.Bytes()),
		"usr/lib/x86_64-linux-gnu/libcuda_user.so":                            imagetest.File(imagetest.ELF{Imports: []string{"cuInit", "cuDriverGetVersion", "cuGetExportTable"}, Needed: []string{"libcuda.so.1"}, Exec: 300 << 10}.Bytes()),
		"usr/local/nvidia/lib64":                                              {Dir: true},
		"etc/ld.so.conf.d/nvidia.conf":                                        text,
		"usr/include/nvml.h":                                                  text,
		"usr/lib/python3/dist-packages/pynvml.py":                             text,
		"usr/share/man/man1/nvidia-smi.1.gz":                                  text,
		"usr/share/bash-completion/completions/nvidia-smi":                    text,
		"usr/share/doc/nvidia-smi":                                            {Dir: true},
		"lib/modules/6.12.0/kernel/drivers/video/fbdev/nvidia/nvidiafb.ko.xz": text,
		"lib/modules/6.12.0/kernel/drivers/i2c/busses/i2c-nvidia-gpu.ko":      text,
		"etc/alternatives/nvcc":                                               {Symlink: "/usr/bin/nvcc"},
		"usr/lib/x86_64-linux-gnu/libcudart.so":                               {Symlink: "libcudart.so.12"},
	}
	mock := imagetest.Entry{Data: "#!/bin/sh\necho no GPU\n", Mode: 0o755}
	maps.Copy(files, entries{
		"bin/true": {Data: "x", Mode: 0o755}, "opt/mock/nvidia-smi": mock,
		"usr/bin/nvidia-settings":     {Symlink: "/bin/true"},
		"usr/bin/nvidia-debugdump":    {Symlink: "/opt/mock/nvidia-smi"},
		"usr/local/bin/nvidia-smi":    mock,
		"opt/test/bin/nvidia-smi":     {Data: "#!/usr/bin/env python3\n", Mode: 0o755},
		"opt/bin/nvidia-persistenced": {Data: "echo without a first line\n", Mode: 0o755},
		"opt/w.whl":                   imagetest.File(zipFile(false, map[string][]byte{"test/nvidia-smi": []byte(mock.Data)})),
		"opt/w.tar":                   imagetest.File(imagetest.Files(entries{"bin/nvidia-smi": mock, "sbin/nvidia-settings": {Symlink: "../bin/nvidia-smi"}})),
		"opt/gsp_log.bin":             text,
		"opt/gsp.bin":                 text,
		"opt/gsp_tu10x.bin":           {},
		"usr/local/nvidia/README":     text,
		"usr/share/bash-completion/completions/nvidia-imex": {},
		"usr/share/icons/hicolor/nvidia-settings":           {},
		"app/tests/fixtures/nvidia-smi":                     {Mode: 0o755},
	})
	for _, stem := range []string{
		"libcudart", "libcublas", "libcublasLt", "libcufft", "libcurand", "libcusolver", "libcusparse", "libnppc", "libnvrtc",
		"libnvrtc-builtins", "libnvJitLink", "libnvfatbin", "libnvjpeg", "libnvblas", "libnvvm", "libnvToolsExt", "libnvtx3interop",
		"libcupti", "libnvperf_host", "libpcsamplingutil", "libcuinj64", "libaccinj64", "libcufile", "libcheckpoint", "libcudnn",
		"libnccl", "libnvinfer", "libcutensor", "libnvshmem", "libOpenCL", "libGL", "libGLX", "libEGL", "libGLESv1_CM", "libGLESv2",
		"libOpenGL", "libGLdispatch", "libvdpau", "libgbm", "libnvidia-container", "libnvidia-container-go",
	} {
		files["usr/lib/x86_64-linux-gnu/"+stem+".so.12"] = imagetest.File(realLibrary(stem + ".so.12"))
	}
	for _, program := range []string{"nvidia-container-cli", "nvidia-ctk", "nvidia-cdi-hook", "nvidia-container-runtime", "nvidia-container-runtime-hook", "nvcc", "nvidia-detector"} {
		files["usr/bin/"+program] = imagetest.Entry{Data: "x", Mode: 0o755}
	}
	status := ""
	for _, pkg := range []string{
		"cudabuild-driver-guard", "libnvidia-ml-dev", "nvidia-cuda-dev", "nvidia-cuda-toolkit", "nvidia-cuda-toolkit-gcc", "nvidia-opencl-dev", "libcudart12",
		"libnvtoolsext1", "libnvvm4", "nvidia-support", "nvidia-installer-cleanup", "libnvidia-container1", "libnvidia-container-tools",
		"nvidia-container-toolkit", "nvidia-container-toolkit-base", "cuda-toolkit-12-4", "cuda-cudart-12-4", "cuda-compat-12-4", "libnvidia-egl-gbm1",
		"libnvidia-egl-wayland1", "nvidia-profiler", "nvidia-cuda-gdb", "nvidia-cudnn", "cuda-keyring", "python3-pynvml", "firmware-nvidia-graphics",
	} {
		status += "Package: " + pkg + "\nStatus: install ok installed\nVersion: 1\nProvides: libcuda1, libcuda.so.1 (= 550)\n\n"
	}
	files["var/lib/dpkg/status"] = imagetest.Entry{Data: status}
	for _, nested := range []bool{false, true} {
		falseAlarms(t, verify.Options{Nested: nested}, files)
	}
}

func falseAlarms(t *testing.T, opts verify.Options, files entries) {
	t.Helper()
	report, err := verify.New(opts).Image(t.Context(), "test", imagetest.WithEnv(imagetest.New(layer(files)), gpus))
	if err != nil {
		t.Fatal(err)
	}
	if report.Verdict != verify.Pass || len(report.Findings) > 0 {
		t.Errorf("verdict %s, findings %+v, want none", report.Verdict, report.Findings)
	}
}
