// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/build"
	"github.com/cudabuild/cudabuild/engine"
)

// patience is how long the end of a run may take that would otherwise take an hour: on
// a quiet machine it is a part of a second.
const patience = 2 * time.Minute

// TestCancelled: an interrupt during a long step ends the run and leaves nothing running.
func TestCancelled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	var at time.Time
	h.show = &watcher{text: "sleeping now", notify: func() { at = time.Now(); cancel() }}
	r, err := h.run(ctx, t, "12.3-*")
	took := time.Since(at)
	if at.IsZero() || took > patience {
		t.Errorf("ended %v after the interrupt at %v; progress:\n%s", took, at, h.show)
	}
	t.Logf("ended %v after the interrupt", took)
	if !errors.Is(err, context.Canceled) || r == nil {
		t.Fatalf("Run = %v, %v, want a record and Canceled", r, err)
	}
	for id, state := range states(r) {
		if state != "cancelled" {
			t.Errorf("%s: %s, want cancelled", id, state)
		}
	}
	if r.Totals.Cancelled != 5 {
		t.Errorf("totals = %+v", r.Totals)
	}
	reasons := map[string]int{}
	for _, c := range r.Cells {
		reasons[c.Reason]++
	}
	if a, b := reasons["the run ended first"], reasons["not started: the run ended first"]; a == 0 || b == 0 || a+b != 5 {
		t.Errorf("reasons = %v, want cells that were cut short and cells that were not started", reasons)
	}
	nothingLeft(t, h.state)
}

// TestDaemonKilled: the run ends, and its error is the daemon's, not a cell's.
func TestDaemonKilled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.show = &watcher{text: "sleeping now", notify: func() {
		for _, pid := range daemons(t, h.state) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}}
	begun := time.Now()
	r, err := h.run(t.Context(), t, "12.3-*")
	if took := time.Since(begun); took > patience {
		t.Errorf("took %v", took)
	}
	if !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), "killed") || !strings.Contains(err.Error(), "engine.log") {
		t.Errorf("Run's error = %v, want ErrUnavailable, how the daemon ended, and its last lines", err)
	}
	if r == nil || r.Totals.Cancelled != 5 {
		t.Errorf("record = %+v, want five cancelled cells", r)
	}
	nothingLeft(t, h.state)
	h.show = nil
	wantStates(t, h.done(t, "12.1-base-*"), map[string]string{"12.1-base-tiny": "passed"})
}

// TestDiskTooSmall: known before anything is begun, the bootstrap included.
func TestDiskTooSmall(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, only := range []string{"12.6-devel-*", "12.6-nbody-*"} { // a sample is compiled in devel
		r, err := h.run(t.Context(), t, only)
		var disk *build.DiskError
		if !errors.As(err, &disk) || disk.NeedMB <= disk.FreeMB || disk.Dir != h.state {
			t.Errorf("%s: Run's error = %v, want a DiskError", only, err)
		}
		if r == nil || r.Totals.Cancelled != 1 {
			t.Errorf("%s: record = %+v, want one cancelled cell", only, r)
		}
	}
	if _, err := os.Stat(filepath.Join(h.state, "engine")); err == nil {
		t.Error("a daemon was started")
	}
	h.done(t, "12.6-base-*")
}

func TestDiskTooSmallToBootstrap(t *testing.T) {
	t.Parallel()
	h := &house{state: t.TempDir(), out: t.TempDir(), toolDir: tools, catalog: load(t)}
	_, err := h.run(t.Context(), t, "12.6-devel-*")
	if disk := (*build.DiskError)(nil); !errors.As(err, &disk) {
		t.Errorf("Run's error = %v, want a DiskError", err)
	}
}

// TestImagesDiskTooSmall: the images may lie on another disk, which has to take them.
func TestImagesDiskTooSmall(t *testing.T) {
	t.Parallel()
	needEngine(t)
	out := t.TempDir()
	mountTmpfs(t, out, "size=1m")
	h := furnish(t, t.TempDir(), out)
	h.toolDir = t.TempDir() // known before a daemon is started
	_, err := h.run(t.Context(), t, "12.1-devel-*")
	var disk *build.DiskError
	if !errors.As(err, &disk) || disk.NeedMB <= disk.FreeMB || disk.Dir != filepath.Join(out, "images") {
		t.Errorf("Run's error = %v, want a DiskError for the images", err)
	}
}

// TestImagesDiskFull: what the engine has room for, the image folder may have not.
func TestImagesDiskFull(t *testing.T) {
	t.Parallel()
	needEngine(t)
	out := t.TempDir()
	mountTmpfs(t, out, "size=100m")
	h := furnish(t, t.TempDir(), out)
	r, err := h.run(t.Context(), t, "12.5-base-*")
	var disk *build.DiskError
	if !errors.As(err, &disk) || disk.NeedMB != 0 || disk.Dir != filepath.Join(out, "images") {
		t.Errorf("Run's error = %v, want a DiskError: the disk of the images is full", err)
	}
	if r == nil || r.Totals.Cancelled != 1 {
		t.Errorf("record = %+v, want one cancelled cell", r)
	}
}

// TestMirrorGone: a step that cannot fetch from the mirror is no fault of a cell.
func TestMirrorGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	record := filepath.Join(h.state, "bases", "tiny-linux-amd64.json")
	data, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	dates := `"dates": {"http://own.example/tiny/dists/tiny/InRelease": "2026-01-01T00:00:00Z"}`
	changed := strings.Replace(string(data), `"dates": null`, dates, 1)
	if err := os.WriteFile(record, []byte(changed), 0o600); err != nil || changed == string(data) {
		t.Fatalf("%s has no dates to replace, %v", data, err)
	}
	h.mirror = "http://127.0.0.1:9"
	r, err := h.run(t.Context(), t, "12.2-base-*", "12.2-runtime-*")
	if !errors.Is(err, base.ErrUnreachable) || !strings.Contains(err.Error(), h.mirror+"/tiny/") || !strings.Contains(err.Error(), "nobody made package broken") {
		t.Errorf("Run's error = %v, want ErrUnreachable with the mirror and the step", err)
	}
	if r == nil || r.Totals.Failed != 0 {
		t.Errorf("record = %+v, want no failed cell", r)
	}
}

// TestDiskFull: a file system that fills up in the middle is named as the cause.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	needEngine(t)
	state := t.TempDir()
	mountTmpfs(t, state, "size=160m")
	h := furnish(t, state, t.TempDir())
	_, err := h.run(t.Context(), t, "12.5-base-*")
	var disk *build.DiskError
	if !errors.As(err, &disk) || disk.NeedMB != 0 || disk.Dir != state {
		t.Errorf("Run's error = %v, want a DiskError: the disk is full", err)
	}
}

// TestNoInodes: a disk that has bytes and no room for files is full too, whoever meets it:
// the daemon in the state directory, or we in the image folder.
func TestNoInodes(t *testing.T) {
	t.Parallel()
	needEngine(t)
	for name, files := range map[string]string{"state": "nr_inodes=190", "images": "nr_inodes=12"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dirs := map[string]string{"state": t.TempDir(), "images": t.TempDir()}
			mountTmpfs(t, dirs[name], "size=2g,"+files)
			h := furnish(t, dirs["state"], dirs["images"])
			_, err := h.run(t.Context(), t, "12.5-*")
			var disk *build.DiskError
			if !errors.As(err, &disk) || !disk.NoFiles || !strings.HasPrefix(disk.Dir, dirs[name]) {
				t.Errorf("Run's error = %v, want a DiskError: no more files fit in %s", err, dirs[name])
			}
		})
	}
}

// houseDirs makes a copy of the test binary run one large cell in those directories.
const houseDirs = "CUDABUILD_TEST_HOUSE"

// TestChild is not a test of its own: it is the run that TestKilledWhileExporting kills.
func TestChild(t *testing.T) {
	state, out, ok := strings.Cut(os.Getenv(houseDirs), ":")
	if !ok {
		t.Skip("only as a child of another test")
	}
	h := furnish(t, state, out)
	if r, err := h.run(t.Context(), t, "12.5-base-*"); err != nil || r.Totals.Passed != 1 {
		t.Errorf("Run = %+v, %v", r, err)
	}
}

// TestKilledWhileExporting: state and images lie on two file systems, so blobs are
// copied, and the copy is cut short. The next run must find a whole layout.
func TestKilledWhileExporting(t *testing.T) {
	t.Parallel()
	needEngine(t)
	state := t.TempDir()
	mountTmpfs(t, state, "size=1g")
	out := t.TempDir()
	for tries := 20; !killedWhileExporting(t, state, out); out = t.TempDir() {
		if tries--; tries == 0 {
			t.Fatal("every run has exported before it could be killed")
		}
	}
	nothingLeft(t, state)

	h := furnish(t, state, out)
	wantStates(t, h.done(t, "12.5-base-*"), map[string]string{"12.5-base-tiny": "passed"})
	images := h.images(t)
	defer images.Close()
	sound(t, images, "12.5-base-tiny")
	if left, _ := os.ReadDir(filepath.Join(out, "images", "ingest")); len(left) > 0 {
		t.Errorf("ingest holds %v", left)
	}
}

// killedWhileExporting kills a run in the middle, and reports whether it came in time: a
// busy machine may see no more of the copy than its end.
func killedWhileExporting(t testing.TB, state, out string) bool {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), houseDirs+"="+state+":"+out)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ingest := filepath.Join(out, "images", "ingest")
	for !growing(ingest) {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("the run that was to be killed: %v\n%s", err, &log)
			}
			return false
		case <-time.After(time.Millisecond):
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	return growing(ingest)
}

// growing reports whether a large blob has been begun.
func growing(ingest string) bool {
	files, _ := filepath.Glob(filepath.Join(ingest, "*", "data"))
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Size() > 8<<20 {
			return true
		}
	}
	return false
}

func mountTmpfs(t testing.TB, dir, options string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var err error
		for begun := time.Now(); time.Since(begun) < patience; time.Sleep(50 * time.Millisecond) {
			if err = unix.Unmount(dir, 0); err == nil {
				return
			}
			runtime.GC() // closes the file that containerd's fs-verity check leaves open
		}
		t.Errorf("%s is still in use: %v", dir, err)
		fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
		for _, fd := range fds {
			if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, dir) {
				t.Log(fd, target)
			}
		}
		_ = unix.Unmount(dir, unix.MNT_DETACH)
	})
}

// daemons returns the processes that run buildkitd on that state directory.
func daemons(t testing.TB, state string) []int {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Error(err)
	}
	var pids []int
	for _, entry := range entries {
		args, _ := os.ReadFile(entry)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
		if err == nil && pid != os.Getpid() && bytes.Contains(args, []byte(state)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// nothingLeft fails the test if a daemon or a mount on that state directory is there
// still; the kernel may take a moment to end a PID namespace.
func nothingLeft(t testing.TB, state string) {
	t.Helper()
	var left string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		pids := daemons(t, state)
		if len(pids) == 0 && !bytes.Contains(mounts, []byte(" "+state+"/")) {
			return
		}
		left = fmt.Sprintf("processes %v, mounts below %s: %v", pids, state, bytes.Contains(mounts, []byte(" "+state+"/")))
	}
	t.Fatal("left behind: ", left)
}
