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
		tegra + "nvidia/libnvscibuf.so.1":                  fail(tegra + "nvidia/libnvscibuf.so.1"),
		tegra + "nvidia/libnvosd.so":                       {"fail tegra-driver " + tegra + "nvidia/libnvosd.so"},
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
		gnu + "libnvidia-vkgpu.so.570.26":                  fail(gnu + "libnvidia-vkgpu.so.570.26"),
		gnu + "libnvidia-old.so.304.137":                   fail(gnu + "libnvidia-old.so.304.137"),
		gnu + "libnvme.so.515.48":                          nil,
		gnu + "libnvme.so.515.48.07":                       nil,
		gnu + "libnvpair.so.300.10":                        nil,
		gnu + "libnvtx.so.202.10":                          nil,
		gnu + "libnvtt.so.535.10":                          nil,
		gnu + "libnvToolsExt.so.515.48.07":                 nil,
		gnu + "libnvrtc.so.535.54.03":                      nil,
		gnu + "libnvfoo.so.120.5":                          nil,
		gnu + "libnvidia-thing.so.120.5":                   nil,
		gnu + "libcudart.so.550.54.15":                     nil,
		gnu + "libcudadebugger.so.550.54.15":               fail(gnu + "libcudadebugger.so.550.54.15"),
		gnu + "libnvoptix.so.570.26":                       fail(gnu + "libnvoptix.so.570.26"),
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

// TestLibrariesOfJetson finds what can only be Jetson's driver wherever it lies, and not what
// the toolkit or DeepStream have under the same name.
func TestLibrariesOfJetson(t *testing.T) {
	t.Parallel()
	lib := library(imagetest.ELF{Exec: 300 << 10})
	for _, name := range []string{
		"libnvcucompat.so", "libnvcuextend.so", "libnvdla_compiler.so", "libnvdla_runtime.so", "libnvscibuf.so.1", "libnvscisync.so.1", "libnvsciipc.so",
		"libnvscistream.so.1", "libnvscicommon.so.1", "libnvscievent.so", "libnvtegrahv.so", "libnvmedia.so", "libnvmedia2d.so", "libnvmedia_iep_sci.so",
		"libnvtnr.so", "libnvpva.so", "libnvpvaumd.so", "libnvpva_algorithms.so", "libnvvic.so", "libnvvideo.so", "libnvparser.so", "libnvomx.so",
		"libnvcapture.so", "libnvcolorutil.so", "libnvtegra.so", "libnveglstream_camconsumer.so", "libv4l2_nvargus.so", "libnvofsdk.so",
	} {
		want := []string{"fail driver-library usr/lib/" + name}
		if diff := cmp.Diff(want, briefs(judge(t, imagetest.New(layer(entries{"usr/lib/" + name: lib}))))); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
	}
	for _, name := range []string{
		"libnvjpeg.so", "libnvbufsurface.so", "libnvbufsurftransform.so", "libnvds_osd.so", "libnvv4l2.so", "libnvdsinfer.so", "libnvidia-container.so.1",
		"libnvsciences.so", "libnvmediainfo.so", "libsensors.so.5",
	} {
		if diff := cmp.Diff([]string(nil), briefs(judge(t, imagetest.New(layer(entries{"usr/lib/" + name: lib}))))); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
	}
}

// TestDanglingLinks holds that a link is judged by the name of its target too, if that is gone.
func TestDanglingLinks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files entries
		want  []string
	}{
		"library of no row":       {entries{"usr/lib/libnvidia-foo.so.1": {Symlink: "libnvidia-foo.so.580.95.05"}}, []string{"fail mount-point usr/lib/libnvidia-foo.so.1"}},
		"two numbers":             {entries{"usr/lib/libnvidia-vkgpu.so.0": {Symlink: "/usr/lib64/libnvidia-vkgpu.so.570.26"}}, []string{"fail mount-point usr/lib/libnvidia-vkgpu.so.0"}},
		"a row's, another name":   {entries{"opt/driver.so": {Symlink: "../usr/lib/libcuda.so.580.95.05"}}, []string{"fail mount-point opt/driver.so"}},
		"no version":              {entries{"opt/driver.so": {Symlink: "/usr/lib/libcuda.so.1"}}, nil},
		"of the toolkit":          {entries{"usr/lib/libnvtx.so.1": {Symlink: "libnvtx.so.202.10"}}, nil},
		"target is there":         {entries{"opt/driver.so": {Symlink: "libcuda.so.580.95.05"}, "opt/libcuda.so.580.95.05": leaked}, []string{"fail driver-library opt/libcuda.so.580.95.05"}},
		"target is cuda-compat's": {entries{"opt/x.so": {Symlink: "/usr/local/cuda/compat/libcuda.so.580.95.05"}, "usr/local/cuda/compat/libcuda.so.580.95.05": leaked}, []string{"info forward-compat usr/local/cuda/compat/libcuda.so.580.95.05"}},
	} {
		if diff := cmp.Diff(tc.want, briefs(judge(t, imagetest.New(layer(tc.files))))); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
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
		"libnvsdm", "libnvsdm-570", "nvidia-x11-drv", "nvidia-x11-drv-libs", "nvidia-x11-drv-470xx-libs", "kmod-nvidia", "kmod-nvidia-390xx", // ELRepo
		"x11-driver-video-nvidia-current", "nvidia-current-cuda-opencl", "nvidia-current-kernel-6.6.14-desktop", "dkms-nvidia-current", // Mageia
		"nvidia-linux-grid-535", "nvidia-vgpu-ubuntu-535", "nvidia-vgpu-rhel-570", "NVIDIA-vGPU-rhel", "linux610-nvidia", "linux61-nvidia-470xx", "linux66-rt-nvidia",
		"libgl1-nvidia-glx", "libgl1-nvidia-glx-i386", "libgl1-nvidia-legacy-340xx-glx", "libegl1-nvidia", "libegl-nvidia-legacy-390xx0", "libglx-nvidia-tesla-470-0",
		"libgles-nvidia-legacy-390xx1", "libgles-nvidia-tesla-535-2", "libnvidia-tesla-nvcuvid1", "nvidia-tesla-egl-icd", "nvidia-settings-tesla-470",
		"cuda-12-4", "cuda-13-0", "cuda-runtime-12-4", "cuda-drivers-550", "linux-zen-nvidia",
		"nvidia-drivers", "nvidia-legacy-390xx-kernel-support", "nvidia-driver-local-repo-ubuntu2204-550.54.15",
	} {
		if diff := cmp.Diff([]string{"fail driver-package var/lib/dpkg/status"}, briefs(judge(t, installedPackage(name)))); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
	}
	for _, name := range []string{
		"nvidia-driver-assistant", "nvidia-driver-pinning-580", "nvidia-driver-pinning-580.95.05", "nvidia-detect", "nvidia-support",
		"nvidia-installer-cleanup", "nvidia-kernel-common", "nvidia-legacy-check", "nvidia-alternative", "nvidia-prime", "nvidia-common", "ubuntu-drivers-common",
		"nvidia-legacy-390xx-alternative", "nvidia-tesla-alternative", "nvidia-tesla-470-alternative", "nvidia-tesla-legacy-check", "glx-alternative-nvidia", "nvidia-vaapi-driver", "libnvidia-ml-dev", "python3-pynvml", "nvtop",
		"libnvidia-container1", "libnvidia-container-tools", "nvidia-container-toolkit", "nvidia-container-toolkit-base", "nvidia-container-runtime", "nvidia-docker2",
		"nvidia-libXNVCtrl", "nvidia-libXNVCtrl-devel", "libxnvctrl0", "nvidia-384-dev", "nvidia-cuda-toolkit", "nvidia-nsight", "nvidia-cudnn",
		"nvidia-l4t-apt-source", "nvidia-l4t-jetson-io", "nvidia-l4t-jetson-multimedia-api", "nvidia-l4t-kernel-headers", "nvidia-l4t-graphics-demos",
		"cuda-libraries-12-4", "cuda-cudart-12-4", "cuda-nvcc-12-4", "cuda-minimal-build-12-4", "cuda-toolkit-12-4-config-common", "cuda-12-4-devel", "cuda-runtime",
		"linux-image-6.8.0-1013-nvidia", "linux-headers-nvidia", "linux-tools-6.8.0-1013-nvidia", "linux-nvidia", "mhwd-nvidia", "nvidia-current-doc-html",
		"libgl1-nvidia-alternatives", "nvidia-vgpu-device-manager", "libnvsdm-dev", "libgl1-mesa-glx", "nvidia-current-dev",
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
	const orin, conda, hpc = "usr/local/cuda-12.2/compat_orin/", "opt/conda/cuda-compat/", "opt/nvidia/hpc_sdk/Linux_x86_64/24.3/cuda/12.3/compat/"
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
		{"the HPC SDK's", "", libs(hpc), []string{"info forward-compat " + hpc + "libcuda.so.580.95.05", "info forward-compat " + hpc + "libnvidia-nvvm.so.4"}},
		{"the HPC SDK's on the search path", "LD_LIBRARY_PATH=/" + hpc, libs(hpc), []string{"fail compat-search-path " + hpc + "libcuda.so.580.95.05", "info forward-compat " + hpc + "libcuda.so.580.95.05", "info forward-compat " + hpc + "libnvidia-nvvm.so.4"}},
		{"Arch's", "", libs("opt/cuda/compat/"), []string{"info forward-compat opt/cuda/compat/libcuda.so.580.95.05", "info forward-compat opt/cuda/compat/libnvidia-nvvm.so.4"}},
		{"of no CUDA", "", libs("opt/mycuda/compat/"), []string{"fail driver-library opt/mycuda/compat/libcuda.so.1", "fail driver-library opt/mycuda/compat/libcuda.so.580.95.05", "fail driver-library opt/mycuda/compat/libnvidia-nvvm.so.4"}},
		{"a program of that folder", "", entries{conda + "nvidia-smi": imagetest.File(imagetest.ELF{}.Bytes())}, []string{"fail driver-program " + conda + "nvidia-smi"}},
	} {
		r := judge(t, imagetest.WithEnv(imagetest.New(layer(tc.files)), tc.env))
		if diff := cmp.Diff(tc.want, briefs(r)); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", tc.name, diff)
		}
	}
}
