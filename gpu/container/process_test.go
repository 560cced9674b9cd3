// SPDX-License-Identifier: Apache-2.0

package container_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// program waits for the process of the container whose run lies in dir.
func program(t *testing.T, dir string) int {
	t.Helper()
	return wait(t, "no program runs", func() int {
		for _, pid := range processes() {
			line, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
			group, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
			if strings.HasPrefix(string(line), "deviceQuery\x00sleep") && mine(string(group), dir) {
				return pid
			}
		}
		return 0
	})
}

// gone waits until no process of a run in dir is left.
func gone(t *testing.T, dir string) {
	t.Helper()
	wait(t, "processes are left", func() int {
		for _, pid := range processes() {
			group, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
			if mine(string(group), dir) {
				return 0
			}
		}
		return 1
	})
}

// mine reports whether a process in that cgroup belongs to a run in dir.
func mine(group, dir string) bool {
	runs, _ := filepath.Glob(filepath.Join(dir, "run-*"))
	for _, run := range runs {
		if strings.Contains(group, groupParent+filepath.Base(run)) {
			return true
		}
	}
	return false
}

func child(t *testing.T, parent int) int {
	t.Helper()
	return wait(t, "no child", func() int {
		for _, pid := range processes() {
			status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
			if strings.Contains(string(status), "\nPPid:\t"+strconv.Itoa(parent)+"\n") {
				return pid
			}
		}
		return 0
	})
}

func processes() []int {
	var pids []int
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// patience is how long what comes to pass for certain may take, on a busy machine.
const patience = 2 * time.Minute

func wait(t *testing.T, problem string, find func() int) int {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(20 * time.Millisecond) {
		if pid := find(); pid != 0 {
			return pid
		}
	}
	t.Fatal(problem)
	return 0
}
