// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long what comes to pass for certain may take, on a busy machine.
const patience = 2 * time.Minute

// using returns the processes, other than this one, that name dir in their command
// line or hold a file below it open.
func using(t testing.TB, dir string) []int {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err == nil && pid != os.Getpid() && uses(entry, dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func uses(proc, dir string) bool {
	args, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
	if bytes.Contains(args, []byte(dir)) {
		return true
	}
	files, _ := filepath.Glob(filepath.Join(proc, "fd", "*"))
	for _, fd := range files {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, dir+"/") {
			return true
		}
	}
	return false
}

// environ returns the variable of a process's environment.
func environ(t testing.TB, pid int, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		t.Fatal(err)
	}
	for entry := range strings.SplitSeq(string(data), "\x00") {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

func kill(t testing.TB, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) { // it ended with another
			t.Fatalf("kill %d: %v", pid, err)
		}
	}
}

// nothingLeft fails the test if a process or a mount below dir is there still; the
// kernel may take a moment to end a PID namespace.
func nothingLeft(t testing.TB, dir string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		pids, mounts := using(t, dir), mountsBelow(t, dir)
		if len(pids) == 0 && len(mounts) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: processes %v, mounts %v", pids, mounts)
		}
	}
	if probes, _ := filepath.Glob(filepath.Join(dir, "probe-*")); len(probes) > 0 {
		t.Errorf("left behind: %v", probes)
	}
}

func mountsBelow(t testing.TB, dir string) []string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var mounts []string
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, " "+dir+"/") {
			mounts = append(mounts, strings.TrimSpace(line))
		}
	}
	return mounts
}
