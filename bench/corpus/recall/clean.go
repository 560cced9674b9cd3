// SPDX-License-Identifier: Apache-2.0

package recall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// source is packages of one suite of Debian, or of npm.
type source struct {
	suite    string
	packages []string
}

const npm = "npm"

// clean are packages that carry nothing of the driver, by the name of their group.
var clean = map[string][]source{
	// What looks most like the driver: vendor-neutral dispatchers, other vendors' drivers.
	"neighbours": {{"trixie", []string{
		"libglvnd0", "libgl1", "libglx0", "libegl1", "libgles1", "libgles2", "libopengl0", "libglx-mesa0", "libegl-mesa0",
		"libgl1-mesa-dri", "libgbm1", "mesa-vulkan-drivers", "mesa-va-drivers", "mesa-vdpau-drivers", "mesa-opencl-icd", "libvdpau1",
		"libvulkan1", "ocl-icd-libopencl1", "pocl-opencl-icd", "libpocl2t64", "xserver-xorg-video-nouveau", "libdrm-nouveau2",
		"libnvtt2", "nvtop", "hashcat", "linux-headers-amd64", "libhwloc-plugins", "libucx0",
	}}},
	// CUDA without the driver.
	"toolkit": {{"trixie", []string{
		"nvidia-cuda-toolkit", "nvidia-cuda-toolkit-gcc", "nvidia-cuda-gdb", "nvidia-opencl-dev", "nvidia-profiler",
		"libnvidia-ml-dev", "libcudart12", "libcublas12", "libcublaslt12", "libcufft11", "libcurand10", "libcusolver11", "libcusparse12",
		"libnvrtc12", "libnvrtc-builtins12.4", "libnvjitlink12", "libnvvm4", "libnvtoolsext1", "libcupti12", "libnvjpeg12", "libcuinj64-12.4",
		"libaccinj64-12.4", "libnvfatbin12", "libnppc12", "libnccl2",
	}}},
	// What looks after drivers, recommends one or asks it, and holds nothing of it.
	"helpers": {{"trixie", []string{
		"nvidia-detect", "nvidia-support", "nvidia-installer-cleanup", "nvidia-legacy-check", "nvidia-alternative", "glx-alternative-nvidia",
		"nvidia-vaapi-driver", "nvidia-primus-vk-wrapper", "bumblebee", "python3-pynvml", "gpustat", "libxnvctrl0", "nvidia-cudnn",
	}}},
	// Programs and libraries that use a GPU, CUDA's by any way: linked, opened at the first call, built in.
	"users": {{"trixie", []string{
		"ffmpeg", "libavcodec61", "blender", "gstreamer1.0-plugins-bad", "libgstreamer-plugins-bad1.0-0", "libobs0t64", "obs-plugins",
		"python3-torch-cuda", "libtorch-cuda-2.6", "python3-pycuda", "libmagma2",
	}}},
	npm: {{npm, []string{
		"onnxruntime-node@1.30.0", "@node-llama-cpp/linux-x64-cuda@3.22.1", "@fugood/node-llama-linux-x64-cuda@1.7.15", "@fugood/node-whisper-linux-x64-cuda@1.1.3",
	}}},
	// The link-time stubs, which call themselves as the driver's libraries do: CUDA 11.2, 11.8 and 12.4.
	"stubs": {{"bullseye", []string{"nvidia-cuda-dev"}}, {"bookworm", []string{"nvidia-cuda-dev"}}, {"trixie", []string{"nvidia-cuda-dev"}}},
}

// CleanGroups names the groups of packages that [FalseAlarms] judges.
func CleanGroups() []string { return slices.Sorted(maps.Keys(clean)) }

// Alarms is what was said about packages that carry nothing of the driver.
type Alarms struct {
	judged  []string // packages
	said    []string // findings, none of which should be
	stubs   []string // packages with stubs, and how many
	silence []string // what should be found where stubs do harm, and was not
}

// FalseAlarms judges packages that carry nothing of the driver, each as the layer of an
// image in which it is recorded as installed. Their stubs are then put where they do harm.
func FalseAlarms(ctx context.Context, cache string, groups []string) (Alarms, error) {
	for _, group := range groups {
		if clean[group] == nil {
			return Alarms{}, fmt.Errorf("no group of clean packages is called %q: there are %s", group, strings.Join(CleanGroups(), ", "))
		}
	}
	var a Alarms
	for _, group := range groups {
		for _, from := range clean[group] {
			files, err := from.download(ctx, cache, group)
			if err != nil {
				return a, err
			}
			for _, file := range files {
				if err := a.judge(ctx, file, group == "stubs"); err != nil {
					return a, fmt.Errorf("%s: %w", filepath.Base(file), err)
				}
			}
		}
	}
	return a, nil
}

// download returns the packages' files.
func (from source) download(ctx context.Context, cache, group string) ([]string, error) {
	dir := filepath.Join(cache, "packages", group+"-"+from.suite)
	if from.suite == npm {
		return packNPM(ctx, dir, from.packages)
	}
	uris, err := mirrors(ctx)
	if err != nil {
		return nil, err
	}
	components := "main contrib non-free non-free-firmware"
	if from.suite == "bullseye" {
		components = "main contrib non-free"
	}
	s := suite{name: from.suite, dir: filepath.Join(cache, "suites", from.suite+"-main")}
	if err := s.update(ctx, uris[false], components); err != nil {
		return nil, err
	}
	return s.download(ctx, dir, from.packages)
}

// packNPM downloads packages of npm, "name@version", as archives, if they are not there yet.
func packNPM(ctx context.Context, dir string, packages []string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var files []string
	for _, name := range packages {
		file := filepath.Join(dir, strings.NewReplacer("@", "-", "/", "-").Replace(strings.TrimPrefix(name, "@"))+".tgz")
		if _, err := os.Stat(file); err != nil {
			cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", name)
			cmd.Dir = dir
			if _, err := output(cmd); err != nil {
				return nil, err
			}
		}
		files = append(files, file)
	}
	return files, nil
}

func (a *Alarms) judge(ctx context.Context, file string, hasStubs bool) error {
	fields := strings.Split(strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".deb"), ".tgz"), "_")
	name := fields[0]
	if hasStubs {
		name += " " + fields[1]
	}
	said, found, err := judgeClean(ctx, fields[0], file)
	if err != nil {
		return err
	}
	a.judged, a.said = append(a.judged, name), append(a.said, said...)
	if !hasStubs {
		return nil
	}
	a.stubs = append(a.stubs, fmt.Sprintf("%s (%d)", name, len(found)))
	for _, missed := range harmless(ctx, found) {
		a.silence = append(a.silence, name+": "+missed)
	}
	return nil
}

// judgeClean returns what is said about a package, and its stubs.
func judgeClean(ctx context.Context, name, file string) (said []string, found files, err error) {
	var failed error
	stubs := newCollector()
	open := func() io.ReadCloser {
		cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
		if strings.HasSuffix(file, ".tgz") {
			cmd = exec.CommandContext(ctx, "gzip", "-dc", file)
		}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			failed = err
			return io.NopCloser(bytes.NewReader(nil))
		}
		return &process{Reader: out, out: out, wait: sync.OnceValue(cmd.Wait)}
	}
	streamed := trusted(nil)
	first := open() // a manifest says how long a layer is, and a package does not
	streamed.Length, err = io.Copy(io.Discard, first)
	if err = errors.Join(err, first.Close(), failed); err != nil {
		return nil, nil, err
	}
	streamed.Reader = func([]byte) io.ReadCloser {
		p := open()
		return struct {
			io.Reader
			io.Closer
		}{io.TeeReader(p, stubs), p}
	}
	status := imagetest.Files(files{"var/lib/dpkg/status": {Data: "Package: " + name + "\nStatus: install ok installed\nVersion: 1\n"}})
	img := imagetest.WithEnv(imagetest.New(streamed, trusted(status)), "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=all") // a package alone asks for nothing
	report, err := verify.New(verify.Options{TrustDigests: true}).Image(ctx, name, img)
	found = stubs.close()
	if err = errors.Join(err, failed); err != nil {
		return nil, nil, err
	}
	for _, f := range report.Findings {
		if strings.HasPrefix(f.Rule, "unresolved") { // a package alone has no C library
			continue
		}
		said = append(said, strings.Join([]string{name, string(f.Severity), f.Rule, f.Path, f.Detail}, ": "))
	}
	return said, found, nil
}

// process ends with its output. It may be closed twice; Wait may not be called twice.
type process struct {
	io.Reader
	out  io.Closer
	wait func() error
}

func (p *process) Close() error {
	_ = p.out.Close()
	return p.wait()
}

// Page says which clean packages were judged and what was said about them.
func (a Alarms) Page() string {
	page := fmt.Sprintf("\n## False alarms\n\n%d findings in %d packages that carry nothing of the driver: %s.\n", len(a.said), len(a.judged), strings.Join(a.judged, ", "))
	for _, s := range a.said {
		page += "- " + s + "\n"
	}
	if len(a.stubs) > 0 {
		page += fmt.Sprintf("\nAmong them are stubs in their place, of the toolkit's libraries and of the driver's: %s. On the linker's path, and each "+
			"linked under the name that programs load, they fail; %d cases do not.\n", strings.Join(a.stubs, ", "), len(a.silence))
	}
	for _, s := range a.silence {
		page += "- " + s + "\n"
	}
	return page
}

// Verdict is an error if anything was said, or a stub passed where it does harm.
func (a Alarms) Verdict() error {
	if problems := slices.Concat(a.said, a.silence); len(problems) > 0 {
		return errors.New("false alarms and stubs let through:\n" + strings.Join(problems, "\n"))
	}
	return nil
}
