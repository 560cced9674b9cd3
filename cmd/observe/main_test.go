// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/fleet/observe"
	"github.com/cudabuild/cudabuild/internal/require"
)

// build compiles the program for a processor.
func build(t *testing.T, arch string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "observe-"+arch)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// pod is a container whose first process is the program, as far as it sees that.
type pod struct {
	cmd         *exec.Cmd
	stdout      bytes.Buffer
	termination string
}

// first starts the program as the first process of a namespace with a /proc of its own. With
// "setpriv" and its like before it, the program runs as what these make of it.
func first(t *testing.T, before []string, program string, args ...string) *pod {
	t.Helper()
	p := &pod{termination: filepath.Join(t.TempDir(), "termination-log")}
	if err := os.WriteFile(p.termination, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	line := append([]string{"--pid", "--fork", "--mount-proc", "--kill-child"}, before...)
	line = append(line, program, "run", "--termination-log", p.termination)
	p.cmd = exec.CommandContext(t.Context(), "unshare", append(line, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, os.Stderr
	if os.Geteuid() != 0 {
		require.Missing(t, "root", errors.New("not root"))
	}
	if err := p.cmd.Start(); err != nil {
		require.Missing(t, "root", err)
	}
	return p
}

// seen waits for the row.
func (p *pod) seen(t *testing.T) observe.Seen {
	t.Helper()
	return p.seenAfter(t, 0)
}

// seenAfter is the row that is left by a program that ends with this code.
func (p *pod) seenAfter(t *testing.T, code int) observe.Seen {
	t.Helper()
	if err := p.cmd.Wait(); p.cmd.ProcessState.ExitCode() != code {
		t.Fatalf("%v\n%s", err, p.stdout.Bytes())
	}
	termination, err := os.ReadFile(p.termination)
	if err != nil {
		t.Fatal(err)
	}
	s, err := observe.Read(p.stdout.Bytes(), termination)
	if err != nil || !bytes.Contains(termination, []byte(strconv.Itoa(p.stdout.Len()-1))) {
		t.Fatalf("%v, termination message %q, stdout of %d bytes", err, termination, p.stdout.Len())
	}
	return s
}

// pid is the program's, outside.
func (p *pod) pid(t *testing.T) int {
	t.Helper()
	file := fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cmd.Process.Pid)
	for begun := time.Now(); time.Since(begun) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		children, _ := os.ReadFile(file)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(children))); err == nil {
			return pid
		}
	}
	t.Fatal("unshare has no child")
	return 0
}

func TestFirstProcess(t *testing.T) {
	t.Parallel()
	program := build(t, runtime.GOARCH)
	for _, tc := range []struct {
		name, script, stdout string
		code                 int
		limit                string
		timedOut             bool
	}{
		{"pid", "cat /proc/1/comm; exit 3", "observe-" + runtime.GOARCH, 3, "1m", false},
		{"reaps orphans", "for i in 1 2 3; do (setsid sleep 0.1 &); done; sleep 0.5; cat /proc/[0-9]*/status | grep -c 'State:.Z'", "0", 1, "1m", false},
		{"a daemon holds the output", "setsid setsid sleep 100 & echo gone", "gone", 0, "1m", false},
		{"a daemon writes without end", "setsid yes & sleep 0.2", "y", 0, "1m", false},
		{"time limit", "trap '' TERM; setsid sleep 100 & echo begun; while :; do sleep 100; done", "begun", 137, "500ms", true},
		{"a signal", "kill -ABRT $$", "", 134, "1m", false},
		{"the first process is not to be killed", "kill -KILL 1; kill -TERM -1; echo here", "here", 0, "1m", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			s := first(t, nil, program, "--limit", tc.limit, "--", "sh", "-c", tc.script).seen(t)
			line, _, _ := strings.Cut(string(s.Stdout.Text()), "\n")
			if line != tc.stdout || s.ExitCode != tc.code || s.TimedOut != tc.timedOut || time.Since(begun) > 15*time.Second {
				t.Errorf("code %d, timed out %t after %v, problem %q, stdout %q", s.ExitCode, s.TimedOut, time.Since(begun), s.Problem, line)
			}
		})
	}
}

// TestRowFile: the row is all of a file that is there, whatever that held, and goes to no other.
func TestRowFile(t *testing.T) {
	t.Parallel()
	program, file := build(t, runtime.GOARCH), filepath.Join(t.TempDir(), "row")
	run := func() ([]byte, error) {
		return exec.CommandContext(t.Context(), program, "run", "--row", file, "--", "sh", "-c", "echo said; exit 3").Output()
	}
	if out, err := run(); err == nil || len(out) > 0 {
		t.Errorf("without the file: %q, %v", out, err)
	}
	if err := os.WriteFile(file, bytes.Repeat([]byte("longer than a row\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run()
	if err != nil || len(out) > 0 {
		t.Fatalf("%q, %v", out, err)
	}
	row, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := observe.Read(row, nil); err != nil || s.ExitCode != 3 || string(s.Stdout.Text()) != "said\n" || bytes.Count(row, []byte("\n")) != 1 {
		t.Errorf("row %+v, %v, in a file of %d bytes", s, err, len(row))
	}
}

// TestDeleted: the kubelet ends a pod with SIGTERM to its first process.
func TestDeleted(t *testing.T) {
	t.Parallel()
	p := first(t, nil, build(t, runtime.GOARCH), "--limit", "1m", "--", "sh", "-c", "echo begun; sleep 100")
	pid := p.pid(t)
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) { // until the command runs
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the command does not run")
		}
		if threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)); slices.ContainsFunc(threads, hasText) {
			break
		}
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// Were it 0, Kubernetes would take the Job of a pod that it has evicted for complete.
	if s := p.seenAfter(t, 1); s.ExitCode != 143 || s.TimedOut || !strings.Contains(s.Problem, "told to stop") {
		t.Errorf("code %d, timed out %t, problem %q", s.ExitCode, s.TimedOut, s.Problem)
	}
}

func hasText(file string) bool {
	text, _ := os.ReadFile(file)
	return len(text) > 0
}

// TestRestricted: as a user who may nothing, with a program that lies where the init container put it.
func TestRestricted(t *testing.T) {
	t.Parallel()
	program := build(t, runtime.GOARCH)
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again where one lies already
		if out, err := exec.CommandContext(t.Context(), program, "install", dir).CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%v: %s", err, out)
		}
	}
	installed := filepath.Join(dir, "observe")
	info, err := os.Stat(installed)
	if err != nil || info.Mode() != 0o555 {
		t.Fatalf("%v, mode %v", err, info.Mode())
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v: %v", err, files)
	}
	p := first(t, []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", "--bounding-set", "-all"}, installed, "--", "id", "-u")
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if s, err := observe.Read(p.stdout.Bytes(), nil); err != nil || string(s.Stdout.Text()) != "65534\n" {
		t.Errorf("%v: %+v", err, s)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"help"}, {"run"}, {"run", "--limit", "soon", "--", "true"}, {"run", "--no-such-flag"}, {"install"}, {"version", "1"}} {
		var out bytes.Buffer
		if err := run(args, &out); !errors.Is(err, errUsage) || out.Len() > 0 {
			t.Errorf("%q: %v, and %q", args, err, out.Bytes())
		}
	}
	var out bytes.Buffer
	if err := run([]string{"version"}, &out); err != nil || !strings.HasPrefix(out.String(), "observe ") {
		t.Errorf("version: %v, %q", err, out.String())
	}
	if err := run([]string{"install", filepath.Join(t.TempDir(), "none")}, &out); err == nil || errors.Is(err, errUsage) {
		t.Errorf("install into no folder: %v", err)
	}
}

// TestOtherProcessor runs the program for arm64 in an emulator.
func TestOtherProcessor(t *testing.T) {
	t.Parallel()
	emulator, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		emulator, err = exec.LookPath("qemu-aarch64")
	}
	if err != nil {
		require.Missing(t, "qemu", err)
	}
	cmd := exec.CommandContext(t.Context(), emulator, build(t, "arm64"), "run", "--limit", "1s", "--", "sh", "-c", "echo begun; sleep 100")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if s, err := observe.Read(out, nil); err != nil || !s.TimedOut || string(s.Stdout.Text()) != "begun\n" {
		t.Errorf("%v: %+v", err, s)
	}
}
