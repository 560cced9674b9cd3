// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// startup is the start of a container: its process becomes the program that it was made for.
type startup struct {
	proc string
	pids string    // its namespace of processes, "" if that is this process's too
	main time.Time // zero if the program was not seen
}

func newStartup(pid int) *startup {
	s := &startup{proc: fmt.Sprintf("/proc/%d", pid)}
	if pids := namespaceOf(s.proc); pids != namespaceOf("/proc/self") {
		s.pids = pids
	}
	return s
}

// processes are those of the container, as folders in /proc; none until the program runs.
func (s *startup) processes() []string {
	if s.main.IsZero() && s.executed() {
		s.main = time.Now()
	}
	switch {
	case s.main.IsZero():
		return nil
	case s.pids == "":
		return []string{s.proc}
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	return slices.DeleteFunc(all, func(proc string) bool { return namespaceOf(proc) != s.pids })
}

// namespaceOf names the namespace of processes that a process is in, "" if it has ended.
func namespaceOf(proc string) string {
	name, _ := os.Readlink(proc + "/ns/pid")
	return name
}

// executed reports whether the process is no longer the runtime's own.
func (s *startup) executed() bool {
	name := nameOf(s.proc)
	return name != "" && !strings.HasPrefix(name, runtimeName)
}

// runtimeName begins the name of the runtime's own process, runc:[...], in every release.
const runtimeName = "runc"

// nameOf is what a process calls itself, "" if it has ended.
func nameOf(proc string) string {
	name, _ := os.ReadFile(proc + "/comm")
	return string(name)
}

// becomesProgram waits until the runtime's process, a child that was let go, has become
// the program. It reports false if that process ended as it was: the kernel did not
// take the program. Then it waits to be waited for, and what it said is all there.
func becomesProgram(pid int) bool {
	const forkedNoExec = 0x40 // PF_FORKNOEXEC of linux/sched.h
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // the state is the first, proc_pid_stat(5)
		if err != nil || len(fields) < 7 {
			return true
		}
		if flags, err := strconv.ParseUint(fields[6], 10, 64); err != nil || flags&forkedNoExec == 0 {
			return true
		}
		if fields[0] == "Z" {
			return false
		}
		time.Sleep(500 * time.Microsecond)
	}
}
