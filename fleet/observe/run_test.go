// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/fleet/observe"
)

// sh is a request for a shell command.
func sh(script string) observe.Request { return observe.Request{Args: []string{"sh", "-c", script}} }

// within runs a request, and fails if it takes longer.
func within(t *testing.T, most time.Duration, r observe.Request) observe.Seen {
	t.Helper()
	begun := time.Now()
	s := observe.Run(t.Context(), r)
	if took := time.Since(begun); took > most {
		t.Errorf("%q took %v, want at most %v", r.Args, took, most)
	}
	return s
}

func TestRun(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		script, stdout, stderr string
		code                   int
	}{
		{"exit 0", "", "", 0},
		{`printf '\377\000\r\n'; echo no >&2; exit 3`, "\xff\x00\r\n", "no\n", 3},
		{"kill -SEGV $$", "", "", 139},
		{"cat; test ! -t 0 && echo none", "none\n", "", 0},
		{"sleep 0.3 && echo late & echo early", "early\nlate\n", "", 0},
	} {
		t.Run(tc.script, func(t *testing.T) {
			t.Parallel()
			s := within(t, 10*time.Second, sh(tc.script))
			if s.ExitCode != tc.code || s.TimedOut || s.Problem != "" || string(s.Stdout.Text()) != tc.stdout || string(s.Stderr.Text()) != tc.stderr {
				t.Errorf("code %d, timed out %t, problem %q, stdout %q, stderr %q", s.ExitCode, s.TimedOut, s.Problem, s.Stdout.Text(), s.Stderr.Text())
			}
		})
	}
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	const size = 100 << 20
	s := within(t, time.Minute, sh("echo first; head -c "+strconv.Itoa(size)+" /dev/zero; echo last"))
	text := s.Stdout.Text()
	if s.Stdout.Bytes != size+11 || len(text) > observe.MaxOutput+100 || !bytes.HasPrefix(text, []byte("first\n\x00")) ||
		!bytes.HasSuffix(text, []byte("\x00last\n")) || !bytes.Contains(text, []byte("bytes are left out here")) {
		t.Errorf("%d bytes, kept %d", s.Stdout.Bytes, len(text))
	}
	for _, size := range []int{0, 1, observe.MaxOutput / 2, observe.MaxOutput - 1, observe.MaxOutput, observe.MaxOutput + 1, 2*observe.MaxOutput + 7} {
		s := within(t, time.Minute, sh("head -c "+strconv.Itoa(size)+" /dev/zero >&2"))
		row, termination := written(t, s)
		if got, err := observe.Read(row, nil); err != nil || got.Stderr.Bytes != int64(size) {
			t.Errorf("%d bytes of output: %v, %d bytes", size, err, got.Stderr.Bytes)
		}
		if _, err := observe.Read(row, termination); err != nil || len(row) > observe.MaxRow {
			t.Errorf("%d bytes of output: %v, a row of %d bytes", size, err, len(row))
		}
	}
}

// TestWorstRow: what others choose is cut before a row is too long.
func TestWorstRow(t *testing.T) {
	t.Setenv("NVIDIA_VISIBLE_DEVICES", strings.Repeat("\x01", 100<<10))
	t.Setenv("PATH", "/bin:/usr/bin:"+strings.Repeat("\x01", 100<<10))
	for _, name := range []string{"sh", "no-such-program"} {
		r := observe.Request{Args: []string{name, "-c", "for i in 1 2; do head -c 1M /dev/zero >&$i; done"}}
		for range 100 {
			r.Args = append(r.Args, strings.Repeat("\x01", 10<<10))
		}
		s := within(t, time.Minute, r)
		if row, _ := written(t, s); len(row) > observe.MaxRow || s.Stdout.Bytes != s.Stderr.Bytes || s.Problem == "" && s.Stdout.Bytes != 1<<20 {
			t.Errorf("%s: a row of %d bytes, output of %d", name, len(row), s.Stdout.Bytes)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		script, stdout string
		code           int
	}{
		{"echo begun; sleep 100", "begun\n", 143},
		{"trap 'echo ended; exit 5' TERM; sleep 100 & wait", "ended\n", 5},
		{"trap '' TERM; echo begun; while :; do sleep 100; done", "begun\n", 137},
	} {
		t.Run(tc.script, func(t *testing.T) {
			t.Parallel()
			r := sh(tc.script)
			r.Limit = 300 * time.Millisecond
			s := within(t, 10*time.Second, r)
			if !s.TimedOut || s.Problem != "" || s.ExitCode != tc.code || string(s.Stdout.Text()) != tc.stdout || s.Seconds < 0.3 {
				t.Errorf("timed out %t, problem %q, code %d after %v s, stdout %q", s.TimedOut, s.Problem, s.ExitCode, s.Seconds, s.Stdout.Text())
			}
		})
	}
}

func TestToldToStop(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	s := observe.Run(ctx, sh("echo begun; sleep 100"))
	if s.TimedOut || !s.Stopped || !strings.Contains(s.Problem, "told to stop") || s.ExitCode != 143 || string(s.Stdout.Text()) != "begun\n" {
		t.Errorf("timed out %t, problem %q, code %d, stdout %q", s.TimedOut, s.Problem, s.ExitCode, s.Stdout.Text())
	}
}

// TestLeftBehind: a process that outlives the command and holds its output is not waited for; of
// the command's group it is ended.
// TestStandIn: a row of a stand-in for a driver says so.
func TestStandIn(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/driver/nvidia/version":                       "NVRM version: NVIDIA UNIX Kernel Module  580.159.04\n",
		"proc/driver/nvidia/gpus/0000:06:00.0/information": "Model: \t\t NVIDIA H200\nGPU UUID: \t GPU-stand-in\nBus Location: \t 0000:06:00.0\nDevice Minor: \t 0\n",
		"dev/nvidia0": "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := observe.Run(t.Context(), observe.Request{Args: []string{"true"}, StandIn: root})
	if !s.StandIn || s.Driver != "580.159.04" || len(s.GPUs) != 1 || s.GPUs[0].UUID != "GPU-stand-in" {
		t.Errorf("row %+v", s)
	}
	if s := observe.Run(t.Context(), observe.Request{Args: []string{"true"}}); s.StandIn {
		t.Errorf("row %+v is a stand-in's", s)
	}
}

func TestLeftBehind(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]string{"in the group": "", "a daemon": "setsid "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := within(t, 10*time.Second, sh(start+"sleep 100 & echo $!"))
			if s.ExitCode != 0 || s.Seconds > 2 {
				t.Errorf("code %d after %v s", s.ExitCode, s.Seconds)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(s.Stdout.Text())))
			if err != nil {
				t.Fatal(err)
			}
			for begun := time.Now(); runs(pid); time.Sleep(10 * time.Millisecond) {
				if start != "" {
					_ = syscall.Kill(pid, syscall.SIGKILL) // it ends with its container
				}
				if time.Since(begun) > 5*time.Second {
					t.Fatalf("process %d runs still", pid)
				}
			}
		})
	}
}

// runs reports whether a process has not ended.
func runs(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}

// TestCannotStart runs by itself: a process that another test forks meanwhile may have a program open
// that is still being written, and then nobody can execute it.
func TestCannotStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(program)
	other[18], other[19] = 0x15, 0 // e_machine: PowerPC
	for _, tc := range []struct {
		name, file string
		code       int
		problem    string
	}{
		{"not on the PATH", "no-such-program", 127, "no such program on the PATH (/"},
		{"no such file", filepath.Join(dir, "none"), 127, "none: no such file"},
		{"a folder", dir, 126, "is a directory"},
		{"not executable", write("text", "hello", 0o644), 126, "permission denied"},
		{"a text", write("words", "hello", 0o755), 126, "neither a program nor a script"},
		{"empty", write("empty", "", 0o755), 126, "neither a program nor a script"},
		{"no interpreter", write("script", "#!/no/such/shell -e\n", 0o755), 126, "its interpreter /no/such/shell is not there"},
		{"another machine", write("other", string(other), 0o755), 126, "a program for EM_PPC64, and this machine is "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := within(t, 10*time.Second, observe.Request{Args: []string{tc.file}})
			if s.ExitCode != tc.code || !strings.Contains(s.Problem, tc.problem) || s.Seconds != 0 {
				t.Errorf("code %d after %v s, problem %q, want %d and %q", s.ExitCode, s.Seconds, s.Problem, tc.code, tc.problem)
			}
			if row, termination := written(t, s); len(row) == 0 {
				t.Error("no row")
			} else if _, err := observe.Read(row, termination); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWatch has stand-ins for the driver's libraries: programs of that name are mapped, too. It runs by
// itself, as TestCannotStart does.
func TestWatch(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		jit  bool
	}{{"libcuda.so.580.159.04", false}, {"libnvidia-ptxjitcompiler.so.1", true}} {
		library := filepath.Join(t.TempDir(), tc.name)
		copyFile(t, sleep, library)
		s := within(t, 10*time.Second, sh(library+" 0.5 & wait; exit 4"))
		want := library
		if tc.jit {
			want = ""
		}
		if s.LoadedLibcuda != want || s.PTXJIT != tc.jit || s.ExitCode != 4 {
			t.Errorf("libcuda %q, compiler %t, code %d", s.LoadedLibcuda, s.PTXJIT, s.ExitCode)
		}
	}
	if s := within(t, 10*time.Second, sh("sleep 0.1")); s.LoadedLibcuda != "" || s.PTXJIT {
		t.Errorf("libcuda %q, compiler %t of processes of others", s.LoadedLibcuda, s.PTXJIT)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
