// SPDX-License-Identifier: Apache-2.0

package container_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/host/hosttest"
	"github.com/cudabuild/cudabuild/gpu/rootfs"
	"github.com/cudabuild/cudabuild/internal/standin"
)

// TestMain makes the test binary also the first process of its containers.
func TestMain(m *testing.M) { os.Exit(hosttest.Main(m)) }

// place is a runner with an image of one program.
func place(t *testing.T) (*container.Runner, container.Program) {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "usr/bin/deviceQuery"), standin.Sample(t), 0o755); err != nil {
		t.Fatal(err)
	}
	return hosttest.Runner(t), container.Program{Root: rootfs.Root{root}, Args: []string{"deviceQuery"}, Env: []string{"PATH=/usr/bin", "NVIDIA_VISIBLE_DEVICES=all"}, Engine: container.Direct, Limit: time.Minute}
}

func run(t *testing.T, r *container.Runner, p container.Program, args ...string) container.Outcome {
	t.Helper()
	p.Args = append(p.Args, args...)
	out, err := r.Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	empty(t, r)
	return out
}

// before are the cgroups of runs that were killed before these tests began.
var before = groups()

// groupParent is where runs have their cgroups.
const groupParent = "/cudabuild-gpu/"

// groups are those that there are, of anybody's runs.
func groups() []string {
	one, _ := filepath.Glob("/sys/fs/cgroup" + groupParent + "run-*")
	each, _ := filepath.Glob("/sys/fs/cgroup/*" + groupParent + "run-*")
	return append(one, each...)
}

// empty checks that a run has left nothing in its folder, in no cgroup and no mount.
func empty(t *testing.T, r *container.Runner) {
	t.Helper()
	if found, _ := filepath.Glob(filepath.Join(r.Dir, "run-*")); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
	for _, group := range groups() {
		if slices.Contains(before, group) {
			continue
		}
		// A run of another package's test may have it: that one ends.
		wait(t, "left behind: "+group, func() int {
			if _, err := os.Stat(group); errors.Is(err, fs.ErrNotExist) {
				return 1
			}
			return 0
		})
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), r.Dir) {
		t.Errorf("mounted still, %v:\n%s", err, mounts)
	}
}

func TestRun(t *testing.T) {
	r, p := place(t)
	for _, engine := range container.Engines() {
		t.Run(string(engine), func(t *testing.T) {
			p.Engine = engine
			out := run(t, r, p)
			if out.Problem != "" || out.ExitCode != 2 || !strings.Contains(string(out.Stdout), `"result":"WAIVED"`) {
				t.Errorf("without a GPU: %s\n%s%s", brief(out), out.Stdout, out.Stderr)
			}
			if len(out.DeviceNodes) > 0 || out.Libcuda != "" {
				t.Errorf("without a GPU there are %v and %q", out.DeviceNodes, out.Libcuda)
			}
			if out.Times.Create <= 0 || out.Times.ToMain < out.Times.Create || out.Times.Start <= 0 || out.Times.Config <= 0 {
				t.Errorf("times %+v", out.Times)
			}
			if out := run(t, r, p, "seven"); out.ExitCode != 7 {
				t.Errorf("exit code %d, want 7", out.ExitCode)
			}
		})
	}
}

// TestRunIsShut looks at what a program may do, from inside.
func TestRunIsShut(t *testing.T) {
	r, p := place(t)
	for _, engine := range container.Engines() {
		p.Engine = engine
		out := run(t, r, p, "confess")
		want := "CapPrm: 0000000000000000\nCapBnd: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2\ninterface lo\nvisible void\n"
		if string(out.Stdout) != want {
			t.Errorf("%s: the program confesses\n%swant\n%s%s", engine, out.Stdout, want, out.Stderr)
		}
	}
}

func TestRunLimits(t *testing.T) {
	r, p := place(t)
	p.Limit = 300 * time.Millisecond
	if out := run(t, r, p, "sleep"); !out.TimedOut || out.ExitCode != -1 {
		t.Errorf("a program without end: %s", brief(out))
	}
	p.Limit = time.Minute
	if out := run(t, r, p, "shout"); out.ExitCode != 0 || len(out.Stdout)>>20 != 4 || len(out.Stdout) > 4<<20+64 {
		t.Errorf("exit code %d, %d bytes of output, want 0, 4 MiB and a line", out.ExitCode, len(out.Stdout))
	}
}

func TestRunProblems(t *testing.T) {
	r, p := place(t)
	p.Args = []string{"nothing-of-this-name"}
	if out := run(t, r, p); !strings.Contains(out.Problem, "nothing-of-this-name") {
		t.Errorf("a program that is not there: %s", brief(out))
	}
	p.Root[0] += ",lowerdir=/"
	if _, err := r.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a path that would change the mount: %v", err)
	}
	empty(t, r)
	if err := container.Inside(t.Context(), t.TempDir()); err == nil {
		t.Error("Inside runs outside")
	}
}

// runDir makes a copy of the test binary run a program without end.
const runDir = "CUDABUILD_TEST_RUN_DIR"

// TestOwner is not a test of its own: it is the process that TestKilled kills.
func TestOwner(t *testing.T) {
	dir := os.Getenv(runDir)
	if dir == "" {
		t.Skip("only as a child of TestKilled")
	}
	r, p, mps := placeNBody(t)
	r.Dir = dir
	p.Args = []string{"deviceQuery", "sleep"}
	if os.Getenv("CUDABUILD_TEST_TOGETHER") != "" {
		_, err := r.Together(t.Context(), p, 2, mps)
		t.Log(err)
		return
	}
	_, err := r.Run(t.Context(), p)
	t.Log(err)
}

// startOwner starts that copy. All that it leaves lies in folders of this test's own.
func startOwner(t *testing.T, dir string, env ...string) *exec.Cmd {
	t.Helper()
	owner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOwner$")
	owner.Env = append(append(os.Environ(), runDir+"="+dir, "TMPDIR="+t.TempDir()), env...)
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	return owner
}

// TestKilled: whoever of those that take part in a run is killed, the next run finds
// the house clean.
func TestKilled(t *testing.T) {
	cases := map[string]func(t *testing.T, owner *exec.Cmd, dir string){
		"owner": func(t *testing.T, owner *exec.Cmd, _ string) { kill(t, owner.Process.Pid) },
		"first process": func(t *testing.T, owner *exec.Cmd, _ string) {
			kill(t, child(t, owner.Process.Pid))
		},
		"program": func(t *testing.T, _ *exec.Cmd, dir string) { kill(t, program(t, dir)) },
	}
	for name, strike := range cases {
		t.Run(name, func(t *testing.T) {
			r, p := place(t)
			owner := startOwner(t, r.Dir)
			program(t, r.Dir) // wait until it runs
			strike(t, owner, r.Dir)
			_ = owner.Wait()
			gone(t, r.Dir)
			if out := run(t, r, p, "seven"); out.ExitCode != 7 {
				t.Errorf("the next run: %s", brief(out))
			}
		})
	}
}

// TestHookKilled: a hook, or the runtime, that dies makes a problem, not a mess.
func TestHookKilled(t *testing.T) {
	r, p := place(t)
	for name, script := range map[string]string{"killed": "kill -9 $$", "fails": "exit 3", "leaves a child": "sleep 1000 & kill -9 $$"} {
		file := filepath.Join(t.TempDir(), "runc")
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		broken := *r
		broken.Runc = file
		if out := run(t, &broken, p); out.Problem == "" {
			t.Errorf("a runtime that %s: %s, want a problem", name, brief(out))
		}
		if name == "leaves a child" {
			continue // runc waits for what a hook leaves, until the run's limit
		}
		p.CDI = []byte(fmt.Sprintf(`{"cdiVersion":"0.6.0","kind":"nvidia.com/gpu","devices":[{"name":"x","containerEdits":{"env":["A=1"]}}],
			"containerEdits":{"hooks":[{"hookName":"createContainer","path":%q,"args":["runc"]}]}}`, file))
		p.Devices = []string{"x"}
		if out := run(t, r, p); !strings.Contains(out.Problem, "hook") {
			t.Errorf("a hook that %s: %s, want a problem", name, brief(out))
		}
		p.CDI, p.Devices = nil, nil
	}
}

// TestInject: a specification edits the container, and what hooks leave is seen.
func TestInject(t *testing.T) {
	r, p := place(t)
	lib := filepath.Join(t.TempDir(), "libcuda.so.580.1.1")
	if err := os.WriteFile(lib, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.CDI = []byte(fmt.Sprintf(`{"cdiVersion":"0.6.0","kind":"nvidia.com/gpu","devices":[
		{"name":"GPU-1","containerEdits":{"deviceNodes":[{"path":"/dev/nvidia0","hostPath":"/dev/null"}]}},
		{"name":"GPU-2","containerEdits":{"deviceNodes":[{"path":"/dev/nvidia1","hostPath":"/dev/null"}]}}],
		"containerEdits":{"mounts":[{"hostPath":%q,"containerPath":"/usr/lib/x86_64-linux-gnu/libcuda.so.580.1.1","options":["ro","bind"]}]}}`, lib))
	p.Devices = []string{"GPU-2"}
	out := run(t, r, p)
	if out.ExitCode != 0 || strings.Join(out.DeviceNodes, " ") != "/dev/nvidia1" {
		t.Errorf("%s\n%s%s", brief(out), out.Stdout, out.Stderr)
	}
	if !strings.Contains(string(out.Stdout), "stand-in nvidia1") || strings.Contains(string(out.Stdout), "nvidia0") {
		t.Errorf("the program sees %s, want the second GPU alone", out.Stdout)
	}
	if strings.Join(out.Diff, " ") != "usr/lib/x86_64-linux-gnu/libcuda.so.580.1.1" || len(out.DiffTar) == 0 {
		t.Errorf("diff %v (%d bytes), want the mount point", out.Diff, len(out.DiffTar))
	}
	p.Devices = []string{"GPU-3"}
	if _, err := r.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "GPU-3") {
		t.Errorf("a device that is not in the specification: %v", err)
	}
	empty(t, r)
}

func brief(out container.Outcome) string {
	return fmt.Sprintf("%q exit code %d, timed out %v, libcuda %q, nodes %v, left %v, %+v",
		out.Problem, out.ExitCode, out.TimedOut, out.Libcuda, out.DeviceNodes, out.Diff, out.Times)
}

// TestInjectSlice: a slice of a divided GPU gets its own nodes, by whatever name it was
// asked for. The specification is synthetic: it has the devices and nodes that nvidia-ctk
// gives slices, by UUID as ours and by place as its own.
func TestInjectSlice(t *testing.T) {
	r, p := place(t)
	const first, second = "MIG-aaaa1111-0000-5000-8000-000000000001", "MIG-bbbb2222-0000-5000-8000-000000000002"
	host := []gpu.GPU{
		{Index: 0, UUID: "GPU-1111", BusID: "0000:00:06.0", MIGDevices: []gpu.MIGDevice{}},
		{Index: 1, UUID: "GPU-2222", BusID: "0000:00:07.0", MIG: true, MIGDevices: []gpu.MIGDevice{{Index: 0, UUID: first}, {Index: 1, UUID: second}}},
	}
	slice := func(name string, instance int) string {
		return fmt.Sprintf(`{"name":%q,"containerEdits":{"deviceNodes":[{"path":"/dev/nvidia1","hostPath":"/dev/null"},
			{"path":"/dev/nvidia-caps/nvidia-cap%d","hostPath":"/dev/null"},{"path":"/dev/nvidia-caps/nvidia-cap%d","hostPath":"/dev/null"}]}}`, name, instance, instance+1)
	}
	p.CDI = fmt.Appendf(nil, `{"cdiVersion":"0.6.0","kind":"nvidia.com/gpu","devices":[{"name":"GPU-1111","containerEdits":{"deviceNodes":[{"path":"/dev/nvidia0","hostPath":"/dev/null"}]}},%s]}`,
		strings.Join([]string{slice("1:0", 12), slice(first, 12), slice("1:1", 21), slice(second, 21)}, ","))
	for request, want := range map[string]string{
		"1:0":                   "/dev/nvidia-caps/nvidia-cap12 /dev/nvidia-caps/nvidia-cap13 /dev/nvidia1",
		first:                   "/dev/nvidia-caps/nvidia-cap12 /dev/nvidia-caps/nvidia-cap13 /dev/nvidia1",
		strings.ToLower(second): "/dev/nvidia-caps/nvidia-cap21 /dev/nvidia-caps/nvidia-cap22 /dev/nvidia1",
		"1:1,0":                 "/dev/nvidia-caps/nvidia-cap21 /dev/nvidia-caps/nvidia-cap22 /dev/nvidia0 /dev/nvidia1",
		"0":                     "/dev/nvidia0",
		"1:2":                   "",
		"0:0":                   "",
		"MIG-cccc":              "",
		"MIG-GPU-2222/1/0":      "", // as drivers before 470 named slices
	} {
		chosen, err := gpu.Select(host, request)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "1:1 ("+second+")") {
				t.Errorf("%s: %v, want what there is", request, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Devices = gpu.UUIDs(chosen)
		out := run(t, r, p)
		slices.Sort(out.DeviceNodes)
		if got := strings.Join(out.DeviceNodes, " "); out.ExitCode != 0 || got != want {
			t.Errorf("%s: nodes %q, want %q: %s\n%s%s", request, got, want, brief(out), out.Stdout, out.Stderr)
		}
	}
	p.Devices = []string{"GPU-2222"} // a divided GPU as a whole is not in the specification
	if _, err := r.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "GPU-2222") {
		t.Errorf("a divided GPU as a whole: %v", err)
	}
	empty(t, r)
}
