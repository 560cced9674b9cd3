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
// made for, which libcuda it mapped, and whether it needed the driver's compiler.
type watch struct {
	proc string
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
	go w.poll()
	return w
}

// stop ends the watch.
func (w *watch) stop() observation {
	close(w.quit)
	<-w.done
	return w.seen
}

func (w *watch) poll() {
	defer close(w.done)
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for {
		select {
		case <-w.quit:
			return
		case now := <-tick.C:
			if w.seen.main.IsZero() && w.executed() {
				w.seen.main = now
				tick.Reset(3 * time.Millisecond)
			}
			if !w.seen.main.IsZero() {
				w.readMaps()
			}
		}
	}
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

func (w *watch) readMaps() {
	maps, err := os.ReadFile(w.proc + "/maps")
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
