// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/internal/require"
)

// ownerDir makes a copy of the test binary the owner of an engine in that
// directory, until its standard input ends or it is killed.
const ownerDir = "CUDABUILD_TEST_OWNER_DIR"

// TestOwner is not a test of its own: it is the process that the tests below kill.
func TestOwner(t *testing.T) {
	dir := os.Getenv(ownerDir)
	if dir == "" {
		t.Skip("only as a child of other tests")
	}
	lock, err := engine.Acquire(t.Context(), dir, nil)
	if err == nil {
		_, err = engine.Open(t.Context(), engine.Options{StateDir: dir, ToolDir: tools, Lock: lock})
	}
	switch {
	case errors.Is(err, engine.ErrUnavailable):
		fmt.Println("unavailable", err) //nolint:forbidigo // to the parent
	case err != nil:
		fmt.Println("error", err) //nolint:forbidigo // to the parent
	default:
		fmt.Println("ready") //nolint:forbidigo // to the parent
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// owner starts a process that owns an engine in dir and returns when that answers.
func owner(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOwner$", "-test.v")
	cmd.Env = append(os.Environ(), ownerDir+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch word, rest, _ := strings.Cut(lines.Text(), " "); word {
		case "ready":
			return cmd
		case "unavailable":
			require.Missing(t, "buildkit", errors.New(rest))
		case "error":
			t.Fatal(rest)
		}
	}
	t.Fatal("the owner ended without a word")
	return nil
}

// TestOwnerKilled: whatever ends the owner, the kernel ends its daemon, mounts go
// with the daemon's namespace, and the next owner can begin.
func TestOwnerKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := owner(t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	nothingLeft(t, dir)

	lock := inherit(t, dir)
	e, err := engine.Open(t.Context(), engine.Options{StateDir: dir, ToolDir: tools, Lock: lock})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Client.ListWorkers(t.Context()); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	nothingLeft(t, dir)
}

// inherit makes this process the owner after another. The kernel may let go of the lock
// a moment after a process that was killed is out of sight, and a child that is being
// forked just now holds a copy of it until it becomes another program.
func inherit(t *testing.T, dir string) *engine.Lock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	lock, err := engine.Acquire(ctx, dir, func(*engine.BusyError) {})
	if err != nil {
		t.Fatalf("the next owner waits still: %v", err)
	}
	t.Cleanup(func() { _ = lock.Release() })
	return lock
}

// TestNothingOutside: all files of a daemon, temporary ones and its socket too, lie in
// its state directory, and what a killed one leaves there the next clears away.
func TestNothingOutside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := owner(t, dir)
	tmp := filepath.Join(dir, "engine", "tmp")
	for _, pid := range using(t, dir) {
		if got := environ(t, pid, "TMPDIR"); pid != cmd.Process.Pid && got != tmp {
			t.Errorf("a daemon's TMPDIR = %q, want %q", got, tmp)
		}
	}
	leftover := filepath.Join(tmp, "buildkit-mount1")
	if err := os.Mkdir(leftover, 0o700); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	nothingLeft(t, dir)
	if _, err := os.Lstat(filepath.Join(dir, "engine", "buildkitd.sock")); err != nil {
		t.Errorf("the killed daemon's socket: %v, want it where the next finds it", err)
	}
	e, err := engine.Open(t.Context(), engine.Options{StateDir: dir, ToolDir: tools, Lock: inherit(t, dir)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(leftover); err == nil {
		t.Error("the next daemon has not cleared the folder for temporary files")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{tmp, filepath.Join(dir, "engine", "buildkitd.sock")} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("left behind: %s", path)
		}
	}
}

// TestDaemonHoldsLock: until the daemon of a dead owner is gone too, nobody may
// start a second one on its state.
func TestDaemonHoldsLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := owner(t, dir)
	_, err := engine.Acquire(t.Context(), dir, nil)
	var busy *engine.BusyError
	if !errors.As(err, &busy) || busy.PID != cmd.Process.Pid || busy.Dir != dir {
		t.Errorf("Acquire = %v, want a BusyError for pid %d", err, cmd.Process.Pid)
	}
	holders := 0
	for _, pid := range using(t, dir) {
		if pid != cmd.Process.Pid && holds(pid, dir+"/lock") {
			holders++
		}
	}
	if holders == 0 {
		t.Error("the daemon has not inherited the lock")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	nothingLeft(t, dir)
}

func holds(pid int, file string) bool {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	return slices.ContainsFunc(fds, func(fd string) bool {
		target, err := os.Readlink(fd)
		return err == nil && target == file
	})
}
