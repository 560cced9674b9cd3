// SPDX-License-Identifier: Apache-2.0

package recall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// clean are packages that carry nothing of the driver, by the name of their group.
var clean = map[string][]struct {
	suite    string
	packages []string
}{
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
	uris, err := mirrors(ctx)
	if err != nil {
		return Alarms{}, err
	}
	var a Alarms
	for _, group := range groups {
		for _, from := range clean[group] {
			components := "main contrib non-free non-free-firmware"
			if from.suite == "bullseye" {
				components = "main contrib non-free"
			}
			s := suite{name: from.suite, dir: filepath.Join(cache, "suites", from.suite+"-main")}
			if err := s.update(ctx, uris[false], components); err != nil {
				return a, err
			}
			files, err := s.download(ctx, filepath.Join(cache, "packages", group+"-"+from.suite), from.packages)
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

func (a *Alarms) judge(ctx context.Context, file string, hasStubs bool) error {
	fields := strings.Split(strings.TrimSuffix(filepath.Base(file), ".deb"), "_")
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
	report, err := verify.New(verify.Options{TrustDigests: true}).Image(ctx, name, imagetest.New(streamed, trusted(status)))
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
