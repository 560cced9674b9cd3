// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// watch looks at a process while it runs: when it became the program that it was
// made for, which libcuda it or another process of its container mapped, and whether the
// driver's compiler was needed.
type watch struct {
	proc string
	pids string // its namespace of processes, "" if that is this process's too
	quit chan struct{}
	done chan struct{}
	seen observation
}

type observation struct {
	main    time.Time // zero if the program was not seen
	libcuda string    // as the container sees it, "" if none was mapped
	jit     bool      // libnvidia-ptxjitcompiler was mapped
}

func newWatch(pid int) *watch {
	w := &watch{proc: fmt.Sprintf("/proc/%d", pid), quit: make(chan struct{}), done: make(chan struct{})}
	if pids := namespaceOf(w.proc); pids != namespaceOf("/proc/self") {
		w.pids = pids
	}
	go w.poll()
	return w
}

// stop ends the watch.
func (w *watch) stop() observation {
	close(w.quit)
	<-w.done
	return w.seen
}

// A look at a process with many libraries takes milliseconds and holds up its allocations, so
// the longer it takes, the longer is the pause.
const (
	often  = 3 * time.Millisecond
	seldom = 100 * time.Millisecond
	pause  = 20 // times the look
)

func (w *watch) poll() {
	defer close(w.done)
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-w.quit:
			return
		case now := <-next.C:
			if w.seen.main.IsZero() && w.executed() {
				w.seen.main = now
			}
			if w.seen.main.IsZero() {
				next.Reset(500 * time.Microsecond)
				continue
			}
			for _, proc := range w.processes() {
				w.readMaps(proc)
			}
			next.Reset(min(max(often, pause*time.Since(now)), seldom))
		}
	}
}

// processes are those of the container, as folders in /proc.
func (w *watch) processes() []string {
	if w.pids == "" {
		return []string{w.proc}
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	return slices.DeleteFunc(all, func(proc string) bool { return namespaceOf(proc) != w.pids })
}

// namespaceOf names the namespace of processes that a process is in, "" if it has ended.
func namespaceOf(proc string) string {
	name, _ := os.Readlink(proc + "/ns/pid")
	return name
}

// executed reports whether the process is no longer the runtime's own.
func (w *watch) executed() bool {
	name := nameOf(w.proc)
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

func (w *watch) readMaps(proc string) {
	maps, err := os.ReadFile(proc + "/maps")
	if err != nil {
		return // it has ended
	}
	for line := range strings.Lines(string(maps)) {
		i := strings.IndexByte(line, '/')
		if i < 0 {
			continue
		}
		switch name := filepath.Base(line[i:]); {
		case strings.HasPrefix(name, "libcuda.so"):
			w.seen.libcuda = strings.TrimSpace(line[i:])
		case strings.HasPrefix(name, "libnvidia-ptxjitcompiler.so"):
			w.seen.jit = true
		}
	}
}

// deviceNodes lists NVIDIA's devices in the container's /dev.
func deviceNodes(pid int) []string {
	dev := fmt.Sprintf("/proc/%d/root/dev", pid)
	nodes := []string{}
	_ = filepath.WalkDir(dev, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeDevice != 0 && (strings.Contains(name, "/dev/nvidia") || strings.Contains(name, "/dev/dri/")) {
			nodes = append(nodes, strings.TrimPrefix(name, strings.TrimSuffix(dev, "/dev")))
		}
		return nil
	})
	slices.Sort(nodes)
	return nodes
}
