// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/golden"
	needs "github.com/cudabuild/cudabuild/internal/require"
)

// environments are the ones that the toolkit and this package are asked about: each way
// to name devices in each kind of image, and what can be wrong with a requirement.
func environments() [][]string {
	var all [][]string
	for _, image := range [][]string{nil, {"CUDA_VERSION=7.5.18"}, {"CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.4"}, {"CUDA_VERSION="}, {"CUDA_VERSION=12.4", "NVIDIA_REQUIRE_CUDA="}} {
		all = append(all, image)
		for _, devices := range []string{
			"", " ", ",", "void", "none", "all", "ALL", " all ", "0", "0,1", "0, 1", "0,,1,", "0,0", "1,0,1", "GPU-1234abcd", "MIG-5a1b", "0:1", "0:1:0", "0:1,1", "void,0", "0,void", "all,void", "none,all", "all,none", "0,all", "0,none",
			"none,0", "Void", "nvidia.com/gpu=0", "00000000:01:00.0", "-1", "\t", "0\t,1",
		} {
			all = append(all, append(slices.Clone(image), "NVIDIA_VISIBLE_DEVICES="+devices))
		}
	}
	for _, version := range []string{
		"cu121", "12.4.0.041", "v12.4", "12", "v12", "12.4", "12.4.1", "012.4", "12.04", "12.4.1-rc1", "12.4-rc1", "12.4.1+build.5", "12.4.1-01", "12.4.1-0a", "12.4.1-", "latest", "12.", ".12", "vv12", "V12.4", " 12.4", "12.4 ", "4294967296.0", "4294967295.1", "12.4294967296", "12.x", "0", "0.0", "12.4.1-a..b", "12.4.1-a.b+c.d", "\u0661\u0662.4",
	} {
		all = append(all, []string{"CUDA_VERSION=" + version}, []string{"CUDA_VERSION=" + version, "NVIDIA_DISABLE_REQUIRE=1"}, []string{"CUDA_VERSION=" + version, "NVIDIA_REQUIRE_CUDA=cuda>=9.0"})
	}
	for _, value := range []string{"1", "t", "T", "true", "TRUE", "True", "0", "false", "yes", "on", "", "tRUE", " true"} {
		all = append(all, []string{"NVIDIA_REQUIRE_CUDA=cuda>=99", "NVIDIA_DISABLE_REQUIRE=" + value})
	}
	all = append(all, capabilities()...)
	return append(all,
		[]string{"NVIDIA_REQUIRE_JETPACK=csv-mounts=all"}, []string{"NVIDIA_REQUIRE_JETPACK_HOST_MOUNTS=base-only", "NVIDIA_REQUIRE_X=arch>=8"}, []string{"NVIDIA_REQUIRE_=cuda>=1"}, []string{"nvidia_require_cuda=cuda>=99"},
		[]string{"NVIDIA_REQUIRE_A=cuda>=1", "NVIDIA_REQUIRE_B=driver>=2", "NVIDIA_REQUIRE_CUDA=cuda>=3"}, []string{"NVIDIA_REQUIRE_CUDA=cuda>=1", "NVIDIA_REQUIRE_CUDA=cuda>=2"}, []string{"CUDA_VERSION=cu121", "NVIDIA_REQUIRE_DRIVER=driver>=525"},
		[]string{"NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_VISIBLE_DEVICES=1"}, []string{"NVIDIA_REQUIRE_CUDA=\"cuda>=12.4\""}, []string{"NVIDIA_REQUIRE_CUDA=cuda>=11=12"})
}

// capabilities are the ways to write NVIDIA_DRIVER_CAPABILITIES, right and wrong, in each
// kind of image.
func capabilities() (all [][]string) {
	for _, image := range [][]string{nil, {"CUDA_VERSION=7.5.18"}, {"CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.4"}} {
		for _, words := range []string{
			"", " ", ",", " , ", "all", "All", "ALL", " all ", "all,", "compute", "Compute", "COMPUTE", "compute,utility", "utility,compute", "compute, utility", " compute ,\tutility ", "compute,,utility,", "compute,compute",
			"compute utility", "compute;utility", "compute:utility", "compute|utility", "\"compute,utility\"", "'all'", "video", "video,compute,utility", "graphics", "display", "graphics,display,ngx", "ngx", "compat32", "compat32,compute", "compute32",
			"none", "void", "no", "0", "1", "true", "vidoe", "compute,vidoe", "vidoe,all", "all,vidoe", "none,all", "gpu", "gpu,compute", "nvidia", "utility,compute,video,graphics,display,compat32,ngx", "compute\n", "compute\u00a0", "\u3000all", "compute\x00", "encode", "cuda", "graphic",
		} {
			all = append(all, append(slices.Clone(image), "NVIDIA_DRIVER_CAPABILITIES="+words))
		}
	}
	return append(all,
		[]string{"NVIDIA_DRIVER_CAPABILITIES=all", "NVIDIA_DRIVER_CAPABILITIES=utility"}, []string{"nvidia_driver_capabilities=all"}, []string{"CUDA_VERSION=", "NVIDIA_REQUIRE_CUDA="}, []string{"CUDA_VERSION=12.4", "NVIDIA_REQUIRE_CUDA=", "NVIDIA_DRIVER_CAPABILITIES=video"})
}

// read is what somebody reads from an environment.
type read struct {
	Env          []string `json:"env"`
	Devices      []string `json:"devices"`
	Legacy       bool     `json:"legacy"`
	Requirements []string `json:"requirements"`
	Refused      bool     `json:"refused"`
	Capabilities string   `json:"capabilities"`
}

// TestEnvironment compares with the recorded answers of NVIDIA's toolkit 1.20.1.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/environments.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var want read
		if err := json.Unmarshal([]byte(line), &want); err != nil {
			t.Fatal(err)
		}
		got := read{Env: want.Env, Devices: compat.VisibleDevices(want.Env), Legacy: compat.Legacy(want.Env)}
		if got.Devices != nil && len(got.Devices) == 0 {
			got.Devices = []string{""} // how the toolkit says "none"
		}
		if c := compat.CapabilitiesOf(want.Env); len(c.Refused) > 0 {
			got.Capabilities = "refused"
		} else {
			got.Capabilities = strings.Join(c.Words, ",")
		}
		requirements, _ := compat.Requirements(want.Env)
		for _, r := range requirements {
			if r.Value == "" {
				got.Refused = true
			} else {
				got.Requirements = append(got.Requirements, r.Value)
			}
		}
		if want.Refused {
			got.Requirements = nil // the toolkit stops at the first
		}
		slices.Sort(want.Requirements)
		slices.Sort(got.Requirements)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || (want.Devices == nil) != (got.Devices == nil) {
			t.Errorf("%q (-toolkit +got):\n%s", want.Env, diff)
		}
	}
}

// TestEnvironmentJudge compiles the toolkit's own code and compares its answers with the
// recorded ones; with -update it records them.
func TestEnvironmentJudge(t *testing.T) {
	t.Parallel()
	var questions, text bytes.Buffer
	in := json.NewEncoder(&questions)
	for _, env := range environments() {
		if err := in.Encode(env); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), compileToolkit(t))
	cmd.Stdin = &questions
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		var a read
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		a.Devices = once(a.Devices)
		slices.Sort(a.Requirements) // they come from a map
		a.Requirements = slices.DeleteFunc(a.Requirements, func(s string) bool { return s == "" })
		again, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s\n", again)
	}
	golden.Check(t, filepath.Join("testdata", "environments.jsonl"), text.String())
}

// once leaves out the empty names that the toolkit has in place of a name's earlier
// occurrences; nvidia-container-cli takes no notice of them.
func once(devices []string) []string {
	if len(devices) < 2 {
		return devices
	}
	return slices.DeleteFunc(devices, func(name string) bool { return name == "" })
}

// compileToolkit builds the judge inside a copy of the toolkit's module, with the versions of everything else that our tools have.
func compileToolkit(t *testing.T) string {
	t.Helper()
	const module = "github.com/NVIDIA/nvidia-container-toolkit"
	list := exec.CommandContext(t.Context(), "go", "list", "-C", "../tools", "-m", "-f", "{{.Dir}}", module)
	out, err := list.Output()
	dir := strings.TrimSpace(string(out))
	if err == nil && dir == "" {
		err = errors.New("go mod download -C tools brings it")
	}
	if err != nil {
		needs.Missing(t, "toolkit-source", err)
	}
	work := t.TempDir()
	judge := filepath.Join(work, "toolkit", "cmd", "judge")
	problems := []error{os.CopyFS(filepath.Join(work, "toolkit"), os.DirFS(dir)), os.CopyFS(judge, os.DirFS("testdata/judge/toolkit"))}
	hook, err := os.ReadFile(filepath.Join(dir, "cmd", "nvidia-container-runtime-hook", "container_config.go"))
	problems = append(problems, err, os.WriteFile(filepath.Join(judge, "container_config.go"), hook, 0o600))
	for _, file := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join("../tools", file))
		problems = append(problems, err, os.WriteFile(filepath.Join(work, file), data, 0o600))
	}
	if err := errors.Join(problems...); err != nil {
		t.Fatal(err)
	}
	edit := exec.CommandContext(t.Context(), "go", "mod", "edit", "-replace", module+"=./toolkit")
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", "judge", module+"/cmd/judge")
	for _, cmd := range []*exec.Cmd{edit, build} {
		cmd.Dir, cmd.Env = work, append(os.Environ(), "CGO_ENABLED=1") // their configuration knows NVML
		if out, err := cmd.CombinedOutput(); err != nil {
			needs.Missing(t, "toolkit-source", fmt.Errorf("%s: %w: %s", cmd, err, out))
		}
	}
	return filepath.Join(work, "judge")
}
