// SPDX-License-Identifier: Apache-2.0

// Package probe reads from the operating system what a [gpu.Host] says beside its
// driver: release, kernel, cgroups, the tools that run containers, and the device
// nodes that should be there. [Host] reads and never changes anything;
// [LoadKernelModules] is for those who ask for it.
package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/gpu"
)

// Tools are the paths of the programs that run containers, "" where there is none.
type Tools struct{ Runc, Hook, Runtime string }

// FindTools looks for the programs in dir first, then on the PATH.
func FindTools(dir string) Tools {
	find := func(name string) string {
		if file := filepath.Join(dir, name); isProgram(file) {
			return file
		}
		file, err := exec.LookPath(name)
		if err != nil {
			return ""
		}
		return file
	}
	return Tools{Runc: find("runc"), Hook: find("nvidia-cdi-hook"), Runtime: find("nvidia-container-runtime")}
}

// Runcs are the runc that there are: beside this program in dir, then on the PATH. They
// may give hooks the environment of a container (package container's Sound tells).
func Runcs(dir string) []string {
	var found []string
	for _, dir := range append([]string{dir}, filepath.SplitList(os.Getenv("PATH"))...) {
		file := filepath.Join(dir, "runc")
		if filepath.IsAbs(dir) && isProgram(file) && !slices.Contains(found, file) {
			found = append(found, file)
		}
	}
	return found
}

func isProgram(file string) bool {
	info, err := os.Stat(file) //nolint:gosec // where the user says that programs are
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Missing says which of the programs that containers need is not there: those that
// are named, or all.
func (t Tools) Missing(names ...string) []string {
	var missing []string
	for _, tool := range []struct{ name, path string }{{"runc", t.Runc}, {"nvidia-cdi-hook", t.Hook}, {"nvidia-container-runtime", t.Runtime}} {
		if tool.path == "" && (len(names) == 0 || slices.Contains(names, tool.name)) {
			missing = append(missing, tool.name+" is neither beside this program nor on the PATH")
		}
	}
	return missing
}

// FindMPS returns the paths of the driver's MPS programs: on the PATH, or in the bin
// folder beside that of the driver's libraries.
func FindMPS(libraries string) (control, server string, err error) {
	find := func(name string) string {
		if file, err := exec.LookPath(name); err == nil {
			return file
		}
		if file := filepath.Join(filepath.Dir(libraries), "bin", name); libraries != "" && isProgram(file) {
			return file
		}
		return ""
	}
	control, server = find("nvidia-cuda-mps-control"), find("nvidia-cuda-mps-server")
	if control == "" || server == "" {
		return "", "", errors.New("nvidia-cuda-mps-control and nvidia-cuda-mps-server are not on the PATH; they come with the driver")
	}
	return control, server, nil
}

// Host returns what the operating system says. What concerns the driver is for
// package nvidia to fill in, and for [Nodes] to check afterwards.
func Host(ctx context.Context, tools Tools) gpu.Host {
	return gpu.Host{
		OS: osName("/etc/os-release"), Kernel: Kernel(), Cgroup: cgroup("/sys/fs/cgroup"),
		Hook: versionOf(ctx, tools.Hook), Runtime: versionOf(ctx, tools.Runtime), Runc: versionOf(ctx, tools.Runc),
		GPUs: []gpu.GPU{}, Problems: append([]string{}, tools.Missing()...),
	}
}

func osName(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return strings.Trim(strings.TrimSpace(name), `"`)
		}
	}
	return ""
}

// Kernel is the release of the kernel.
func Kernel() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

func cgroup(root string) string {
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return "v2"
	}
	return "v1"
}

var version = regexp.MustCompile(`version v?([0-9][-+~.\w]*)`)

// versionOf is what the first line of `program --version` calls its version.
func versionOf(ctx context.Context, program string) string {
	if program == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, _ := exec.CommandContext(ctx, program, "--version").Output()
	line, _, _ := strings.Cut(string(out), "\n")
	if found := version.FindStringSubmatch(line); found != nil {
		return found[1]
	}
	return ""
}

// Nodes says which of the device nodes that containers need are missing under root.
func Nodes(root string, gpus []gpu.GPU) []string {
	nodes := []string{"nvidiactl", "nvidia-uvm"}
	for _, g := range gpus {
		nodes = append(nodes, fmt.Sprintf("nvidia%d", g.Minor))
	}
	var missing []string
	for _, node := range nodes {
		info, err := os.Stat(filepath.Join(root, "dev", node))
		switch {
		case err == nil && info.Mode()&os.ModeCharDevice != 0:
		case node == "nvidia-uvm":
			missing = append(missing, "no /dev/nvidia-uvm: every CUDA program fails until the kernel module nvidia-uvm is loaded ('cudabuild host --load-kmods' as root, or nvidia-modprobe -u -c 0)")
		default:
			missing = append(missing, "no device node /dev/"+node)
		}
	}
	return missing
}

// LoadKernelModules loads the driver's kernel modules and makes their device nodes,
// by the driver's own program for that, nvidia-modprobe.
func LoadKernelModules(ctx context.Context) error {
	program, err := exec.LookPath("nvidia-modprobe")
	if err != nil {
		return errors.New("nvidia-modprobe is not on the PATH; it comes with the driver")
	}
	if out, err := exec.CommandContext(ctx, program, "-u", "-c", "0").CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}
