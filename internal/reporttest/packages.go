// SPDX-License-Identifier: Apache-2.0

package reporttest

import (
	"fmt"
	"strings"
)

// rootNames are the packages of a small Debian, 60 of them.
const rootNames = `adduser apt base-files base-passwd bash bsdutils coreutils dash debconf debian-archive-keyring debianutils diffutils dpkg
e2fsprogs findutils gcc-12-base gpgv grep gzip hostname init-system-helpers libacl1 libapt-pkg6.0 libattr1 libaudit-common libaudit1
libblkid1 libbz2-1.0 libc-bin libc6 libcap-ng0 libcap2 libcom-err2 libcrypt1 libdb5.3 libdebconfclient0 libext2fs2 libffi8 libgcc-s1
libgcrypt20 libgmp10 libgnutls30 libgpg-error0 libhogweed6 libidn2-0 liblz4-1 liblzma5 libmount1 libnettle8 libp11-kit0 libpam-modules
libpam-runtime libpcre2-8-0 libseccomp2 libselinux1 libstdc++6 libsystemd0 libtinfo6 ncurses-base zlib1g`

// cudaNames are CUDA's packages, by the flavor that installs them.
var cudaNames = map[string]string{
	"base": "cuda-cudart cuda-toolkit-config-common cuda-compat-guard",
	"runtime": "cuda-libraries cuda-nvtx libcublas libcufft libcufile libcurand libcusolver libcusparse libnpp libnvfatbin libnvjitlink " +
		"libnvjpeg libnvrtc cuda-opencl",
	"devel": "cuda-cccl cuda-command-line-tools cuda-compiler cuda-crt cuda-cudart-dev cuda-cuobjdump cuda-cupti cuda-cupti-dev cuda-cuxxfilt " +
		"cuda-driver-dev cuda-gdb cuda-libraries-dev cuda-minimal-build cuda-nvcc cuda-nvdisasm cuda-nvml-dev cuda-nvprof cuda-nvprune " +
		"cuda-nvrtc-dev cuda-nvvm cuda-opencl-dev cuda-profiler-api cuda-sanitizer libcublas-dev libcufft-dev libcufile-dev libcurand-dev " +
		"libcusolver-dev libcusparse-dev libnpp-dev libnvfatbin-dev libnvjitlink-dev libnvjpeg-dev",
}

// inDevel is how many packages an image of devel has.
const inDevel = 250

// rootPackages are those of an OS's root, as NAME=VERSION.
func rootPackages(os string) (packages []string) {
	for _, name := range strings.Fields(rootNames) {
		packages = append(packages, name+"="+version(name+os))
	}
	return packages
}

// flavorPackages are those that a flavor installs: CUDA's, of this release, and in devel the OS's own, the same for all releases.
func flavorPackages(os, cuda, flavor string) (packages []string) {
	if strings.HasPrefix(flavor, "cudnn") {
		return []string{strings.Replace(flavor, "-runtime", "", 1) + "=" + version(flavor+cuda)}
	}
	suffix := strings.ReplaceAll(cuda, ".", "-")
	for _, name := range strings.Fields(cudaNames[flavor]) {
		packages = append(packages, name+"-"+suffix+"="+version(name+cuda))
	}
	if flavor != "devel" {
		return packages
	}
	below := len(strings.Fields(rootNames + " " + cudaNames["base"] + " " + cudaNames["runtime"]))
	for i := 0; below+len(packages) < inDevel; i++ {
		name := fmt.Sprintf("libstandin%d-dev", i)
		packages = append(packages, name+"="+version(name+os))
	}
	return packages
}

// version looks like one, and depends on the name alone.
func version(of string) string {
	n := number(of)
	return fmt.Sprintf("%d.%d.%d-%d+deb12u%d", n%9+1, n/9%20, n/180%100, n/18_000%5+1, n/90_000%4)
}

// flavorSize is about what a flavor's layer has, compressed, in bytes.
func flavorSize(flavor string) int64 {
	switch {
	case strings.HasSuffix(flavor, "devel"):
		return 1_800 << 20
	case strings.HasSuffix(flavor, "runtime"):
		return 900 << 20
	}
	return 12 << 20
}
