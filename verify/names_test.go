// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// TestLibrariesOfADriversVersion finds libraries that no rule names, by the version
// behind their name, and Jetson's, whose names have none.
func TestLibrariesOfADriversVersion(t *testing.T) {
	t.Parallel()
	const gnu, tegra = "usr/lib/x86_64-linux-gnu/", "usr/lib/aarch64-linux-gnu/"
	text := imagetest.Entry{Data: "x"}
	fail := func(p string) []string { return []string{"fail driver-library " + p} }
	for p, want := range map[string][]string{
		gnu + "libnvidia-unheard-of.so.580.95.05":          fail(gnu + "libnvidia-unheard-of.so.580.95.05"),
		gnu + "libnvidia-next_thing.so.610.43":             fail(gnu + "libnvidia-next_thing.so.610.43"),
		"opt/x.libs/libnvidia-new-1a2b3c4d.so.580.95.05":   fail("opt/x.libs/libnvidia-new-1a2b3c4d.so.580.95.05"),
		gnu + "libnvidia-nscq-dcgm.so.450.51.06":           fail(gnu + "libnvidia-nscq-dcgm.so.450.51.06"),
		gnu + "libnvidia-nscq-dcgm.so.2":                   fail(gnu + "libnvidia-nscq-dcgm.so.2"),
		gnu + "libnvfuture.so.590.44.01":                   fail(gnu + "libnvfuture.so.590.44.01"),
		gnu + "libcudafuture.so.590.44.01":                 fail(gnu + "libcudafuture.so.590.44.01"),
		gnu + "libGLfuture_nvidia.so.590.44.01":            fail(gnu + "libGLfuture_nvidia.so.590.44.01"),
		tegra + "nvidia/libnvidia-some.so.540.4.0":         fail(tegra + "nvidia/libnvidia-some.so.540.4.0"),
		tegra + "nvidia/libnvrm_gpu.so":                    fail(tegra + "nvidia/libnvrm_gpu.so"),
		tegra + "tegra/libnvrm.so":                         fail(tegra + "tegra/libnvrm.so"),
		"opt/lib/libnvrm_mem.so":                           fail("opt/lib/libnvrm_mem.so"),
		"opt/lib/libnvos.so":                               fail("opt/lib/libnvos.so"),
		tegra + "tegra/libnvargus_socketclient.so":         fail(tegra + "tegra/libnvargus_socketclient.so"),
		tegra + "tegra/libnvmm.so":                         fail(tegra + "tegra/libnvmm.so"),
		tegra + "tegra/libnvbufsurface.so.1.0.0":           {"fail tegra-driver " + tegra + "tegra/libnvbufsurface.so.1.0.0"},
		tegra + "tegra-egl/libsomething.so.0":              {"fail tegra-driver " + tegra + "tegra-egl/libsomething.so.0"},
		tegra + "nvidia/libnvscibuf.so.1":                  {"fail tegra-driver " + tegra + "nvidia/libnvscibuf.so.1"},
		gnu + "libnvidia-container.so.1.17.4":              nil,
		gnu + "libnvidia-container-go.so.1.17.4":           nil,
		gnu + "libnvidia-nvvm-toolkit.so.4.0":              nil,
		gnu + "libnvrtc.so.12.4.127":                       nil,
		gnu + "libnvinfer.so.10.9.0":                       nil,
		gnu + "libcudart.so.13.0.96":                       nil,
		gnu + "libnvperf_host.so":                          nil,
		"opt/nvidia/deepstream/lib/libnvbufsurface.so":     nil,
		"usr/local/cuda/lib64/libnvjpeg.so.13.0.1.86":      nil,
		"usr/share/doc/libnvidia-unheard-of.so.580.95.txt": nil,
		gnu + "libnvidia-egl-wayland.so.1.1.13":            {"warn driver-library-ambiguous " + gnu + "libnvidia-egl-wayland.so.1.1.13"},
	} {
		if diff := cmp.Diff(want, briefs(judge(t, imagetest.New(layer(entries{p: text}))))); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", p, diff)
		}
	}
	for p, want := range map[string]string{
		"usr/lib/libnvidia-unheard-of.so.580.95.05": "fail mount-point ",
		"usr/lib/libnvrm_gpu.so":                    "fail mount-point ",
		tegra + "tegra/libnvbufsurface.so.1.0.0":    "fail mount-point ",
		tegra + "nvidia/libnvscibuf.so.1":           "fail mount-point ",
	} {
		for what, e := range map[string]imagetest.Entry{"empty": {}, "dangling": {Symlink: "gone.so"}} {
			if diff := cmp.Diff([]string{want + p}, briefs(judge(t, imagetest.New(layer(entries{p: e}))))); diff != "" {
				t.Errorf("%s, %s: findings (-want +got):\n%s", p, what, diff)
			}
		}
	}
	renamed := imagetest.ELF{SOName: "libnvidia-unheard-of.so.580.95.05", Exec: 300 << 10}
	if diff := cmp.Diff([]string{"fail driver-library opt/helper.bin"}, briefs(judge(t, imagetest.New(layer(entries{"opt/helper.bin": library(renamed)}))))); diff != "" {
		t.Errorf("by its SONAME: findings (-want +got):\n%s", diff)
	}
}

// TestDriverPackageNames has the names that distributions give to packages of the driver,
// and those of packages around it that hold nothing of a driver.
func TestDriverPackageNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"nvidia-384", "nvidia-340-updates", "libcuda1-384", "libcuda1-304-updates", "nvidia-opencl-icd-384", "nvidia-current", // Ubuntu before 18.04
		"nvidia-driver-580-open", "nvidia-kernel-common-580", "nvidia-kernel-source-580-open", "nvidia-headless-580",
		"nvidia-compute-G06", "nvidia-compute-utils-G06", "nvidia-compute-G06-32bit", "nvidia-gl-G06", "nvidia-video-G06", "nvidia-utils-G05", // openSUSE
		"x11-video-nvidiaG05", "nvidia-computeG05", "nvidia-glG05", "nvidia-gfxG05-kmp-default", "nvidia-driver-G06-kmp-default",
		"nvidia-open-driver-G06-signed-kmp-default", "nvidia-open-driver-G07-signed-cuda-kmp-default", "nvidia-drivers-G06", "nvidia-common-G06",
		"kernel-firmware-nvidia-gspx-G06",
		"akmod-nvidia", "akmod-nvidia-470xx", "kmod-nvidia-open-dkms", "xorg-x11-drv-nvidia", "xorg-x11-drv-nvidia-470xx-cuda-libs", // Fedora
		"libnvidia-fbc", "libnvidia-gpucomp", "nvidia-driver-libs", "nvidia-driver-cuda", "nvidia-kmod-common", "kmod-nvidia-latest-dkms", // NVIDIA's RPMs
		"nvidia", "nvidia-lts", "nvidia-open", "nvidia-dkms", "nvidia-utils", "lib32-nvidia-utils", "nvidia-470xx-utils", "opencl-nvidia-470xx", "linux-cachyos-nvidia-open", // Arch
		"nvidia-l4t-core", "nvidia-l4t-cuda", "nvidia-l4t-3d-core", "nvidia-l4t-firmware", "nvidia-l4t-multimedia-utils", "nvidia-l4t-kernel-oot-modules", // Jetson
		"nvidia-drivers", "nvidia-legacy-390xx-kernel-support", "nvidia-driver-local-repo-ubuntu2204-550.54.15",
	} {
		if diff := cmp.Diff([]string{"fail driver-package var/lib/dpkg/status"}, briefs(judge(t, installedPackage(name)))); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
	}
	for _, name := range []string{
		"nvidia-driver-assistant", "nvidia-driver-pinning-580", "nvidia-driver-pinning-580.95.05", "nvidia-detect", "nvidia-support",
		"nvidia-installer-cleanup", "nvidia-kernel-common", "nvidia-legacy-check", "nvidia-alternative", "nvidia-prime", "nvidia-common", "ubuntu-drivers-common",
		"nvidia-legacy-390xx-alternative", "nvidia-tesla-alternative", "glx-alternative-nvidia", "nvidia-vaapi-driver", "libnvidia-ml-dev", "python3-pynvml", "nvtop",
		"libnvidia-container1", "libnvidia-container-tools", "nvidia-container-toolkit", "nvidia-container-toolkit-base", "nvidia-container-runtime", "nvidia-docker2",
		"nvidia-libXNVCtrl", "nvidia-libXNVCtrl-devel", "libxnvctrl0", "nvidia-384-dev", "nvidia-cuda-toolkit", "nvidia-nsight", "nvidia-cudnn",
		"nvidia-l4t-apt-source", "nvidia-l4t-jetson-io", "nvidia-l4t-jetson-multimedia-api", "nvidia-l4t-kernel-headers", "nvidia-l4t-graphics-demos",
		"nvidia-gds", "nvidia-fs", "cuda-compat-12-4", "cuda-compat-orin-12-2", "cuda-compat", "cuda-toolkit-12-4", "cuda-driver-dev", "kernel-firmware-nvidia",
	} {
		if diff := cmp.Diff([]string(nil), briefs(judge(t, installedPackage(name)))); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
	}
	lying := imagetest.File(debFile("Package: nvidia-driver-assistant\nVersion: 0.21.57.08-1\n", entries{"./usr/bin/nvidia-driver-assistant": {Data: "#!/usr/bin/python3\n", Mode: 0o755}}))
	script := imagetest.Entry{Data: "#!/usr/bin/python3\n", Mode: 0o755}
	r := judge(t, imagetest.New(layer(entries{"opt/a.deb": lying, "usr/bin/nvidia-driver-assistant": script, "usr/bin/nvidia-detect": script})))
	if r.Verdict != verify.Pass || len(r.Findings) > 0 {
		t.Errorf("the package itself: verdict %s, findings %+v, want none", r.Verdict, r.Findings)
	}
}

func installedPackage(name string) v1.Image {
	return imagetest.New(layer(entries{"var/lib/dpkg/status": {Data: "Package: " + name + "\nStatus: install ok installed\nVersion: 1-1\n"}}))
}

// TestForwardCompatPlaces has the places of CUDA's forward-compatibility libraries: for
// the runtime hook, for Orin's, and conda's, which no hook looks at.
func TestForwardCompatPlaces(t *testing.T) {
	t.Parallel()
	const orin, conda = "usr/local/cuda-12.2/compat_orin/", "opt/conda/cuda-compat/"
	libs := func(dir string) entries {
		return entries{dir + "libcuda.so.580.95.05": leaked, dir + "libcuda.so.1": {Symlink: "libcuda.so.580.95.05"}, dir + "libnvidia-nvvm.so.4": library(imagetest.ELF{SOName: "libnvidia-nvvm.so.4", Exec: 300 << 10})}
	}
	for _, tc := range []struct {
		name  string
		env   string
		files entries
		want  []string
	}{
		{"Orin's", "", libs(orin), []string{"info forward-compat " + orin + "libcuda.so.580.95.05", "info forward-compat " + orin + "libnvidia-nvvm.so.4"}},
		{"Orin's in cuda", "", libs("usr/local/cuda/compat_orin/"), []string{"info forward-compat usr/local/cuda/compat_orin/libcuda.so.580.95.05", "info forward-compat usr/local/cuda/compat_orin/libnvidia-nvvm.so.4"}},
		{"Orin's elsewhere", "", libs("opt/compat_orin/"), []string{"fail driver-library opt/compat_orin/libcuda.so.1", "fail driver-library opt/compat_orin/libcuda.so.580.95.05", "fail driver-library opt/compat_orin/libnvidia-nvvm.so.4"}},
		{"conda's", "", libs(conda), []string{"info conda-compat " + conda + "libcuda.so.580.95.05", "info conda-compat " + conda + "libnvidia-nvvm.so.4"}},
		{"conda's in an environment", "", libs("root/miniforge3/envs/x/cuda-compat/"), []string{"info conda-compat root/miniforge3/envs/x/cuda-compat/libcuda.so.580.95.05", "info conda-compat root/miniforge3/envs/x/cuda-compat/libnvidia-nvvm.so.4"}},
		{"conda's on the search path", "LD_LIBRARY_PATH=/opt/conda/cuda-compat", libs(conda), []string{"fail compat-search-path " + conda + "libcuda.so.580.95.05", "info conda-compat " + conda + "libcuda.so.580.95.05", "info conda-compat " + conda + "libnvidia-nvvm.so.4"}},
		{"a program of that folder", "", entries{conda + "nvidia-smi": imagetest.File(imagetest.ELF{}.Bytes())}, []string{"fail driver-program " + conda + "nvidia-smi"}},
	} {
		r := judge(t, imagetest.WithEnv(imagetest.New(layer(tc.files)), tc.env))
		if diff := cmp.Diff(tc.want, briefs(r)); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", tc.name, diff)
		}
	}
}
