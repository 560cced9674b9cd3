// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// neighbours are packages of Debian that look most like the driver and are none of it:
// vendor-neutral dispatchers, other vendors' drivers, the container tools.
var neighbours = []string{
	"libglvnd0", "libgl1", "libglx0", "libegl1", "libgles1", "libgles2", "libopengl0", "libglx-mesa0", "libegl-mesa0",
	"libgl1-mesa-dri", "libgbm1", "mesa-vulkan-drivers", "mesa-va-drivers", "mesa-vdpau-drivers", "mesa-opencl-icd", "libvdpau1",
	"libvulkan1", "ocl-icd-libopencl1", "pocl-opencl-icd", "libpocl2t64", "xserver-xorg-video-nouveau", "libdrm-nouveau2",
	"libnvtt2", "nvtop", "hashcat", "linux-headers-amd64", "libhwloc-plugins", "libucx0",
}

// toolkit is CUDA without the driver, stubs included.
var toolkit = []string{
	"nvidia-cuda-toolkit", "nvidia-cuda-toolkit-gcc", "nvidia-cuda-dev", "nvidia-cuda-gdb", "nvidia-opencl-dev", "nvidia-profiler",
	"libnvidia-ml-dev", "libcudart12", "libcublas12", "libcublaslt12", "libcufft11", "libcurand10", "libcusolver11", "libcusparse12",
	"libnvrtc12", "libnvrtc-builtins12.4", "libnvjitlink12", "libnvvm4", "libnvtoolsext1", "libcupti12", "libnvjpeg12", "libcuinj64-12.4",
	"libaccinj64-12.4", "libnvfatbin12", "libnppc12", "libnccl2",
}

// cleanSuite is where the neighbours come from.
var cleanSuite = "trixie"

// falseAlarms judges packages that carry nothing of the driver, each as the layer of an
// image in which it is recorded as installed, and returns what is said about them.
func falseAlarms(ctx context.Context, cache string, packages []string) (judged, alarms []string, err error) {
	uris, err := mirrors(ctx)
	if err != nil {
		return nil, nil, err
	}
	s := suite{name: cleanSuite, dir: filepath.Join(cache, "suites", cleanSuite+"-main")}
	if err := s.update(ctx, uris[false], "main contrib non-free non-free-firmware"); err != nil {
		return nil, nil, err
	}
	files, err := release{version: fmt.Sprintf("neighbours-%d", len(packages)), suite: s, packages: packages}.download(ctx, filepath.Join(cache, "packages"))
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), "_")
		said, err := judgeClean(ctx, name, file)
		if err != nil {
			return judged, alarms, fmt.Errorf("%s: %w", name, err)
		}
		judged, alarms = append(judged, name), append(alarms, said...)
	}
	return judged, alarms, nil
}

func judgeClean(ctx context.Context, name, file string) ([]string, error) {
	var failed error
	streamed := trusted(nil)
	streamed.Reader = func([]byte) io.ReadCloser {
		cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			failed = err
			return io.NopCloser(bytes.NewReader(nil))
		}
		return &process{ReadCloser: out, wait: sync.OnceValue(cmd.Wait)}
	}
	status := imagetest.Files(files{"var/lib/dpkg/status": {Data: "Package: " + name + "\nStatus: install ok installed\nVersion: 1\n"}})
	img := imagetest.New(streamed, trusted(status))
	report, err := verify.New(verify.Options{TrustDigests: true}).Image(ctx, name, img)
	if err != nil || failed != nil {
		return nil, fmt.Errorf("%v, %w", failed, err)
	}
	var said []string
	for _, f := range report.Findings {
		if f.Rule == "unresolved" { // a package alone has no C library
			continue
		}
		said = append(said, strings.Join([]string{name, string(f.Severity), f.Rule, f.Path, f.Detail}, ": "))
	}
	return said, nil
}

// process ends with its output. It may be closed twice; Wait may not be called twice.
type process struct {
	io.ReadCloser
	wait func() error
}

func (p *process) Close() error {
	_ = p.ReadCloser.Close()
	return p.wait()
}
