// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// watch looks at the processes of a command while they run: which libcuda they mapped, and whether
// the driver's compiler was needed.
type watch struct {
	session string // of the command; "" if all processes that there are belong to it
	quit    chan struct{}
	done    chan struct{}
	libcuda string
	jit     bool
}

func newWatch(pid int) *watch {
	w := &watch{quit: make(chan struct{}), done: make(chan struct{})}
	if os.Getpid() != 1 {
		w.session = strconv.Itoa(pid)
	}
	go w.poll()
	return w
}

// stop ends the watch.
func (w *watch) stop() (libcuda string, jit bool) {
	close(w.quit)
	<-w.done
	return w.libcuda, w.jit
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
			for _, proc := range w.processes() {
				w.readMaps(proc)
			}
			next.Reset(min(max(often, pause*time.Since(now)), seldom))
		}
	}
}

// processes are those of the command, as folders in /proc.
func (w *watch) processes() []string {
	all, _ := filepath.Glob("/proc/[0-9]*")
	self := fmt.Sprintf("/proc/%d", os.Getpid())
	return slices.DeleteFunc(all, func(proc string) bool {
		return proc == self || w.session != "" && sessionOf(proc) != w.session
	})
}

// sessionOf is the session that a process is in, "" if it has ended.
func sessionOf(proc string) string {
	stat, _ := os.ReadFile(proc + "/stat")
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // the state is the first, proc_pid_stat(5)
	if len(fields) < 4 {
		return ""
	}
	return fields[3]
}

func (w *watch) readMaps(proc string) {
	maps, err := os.ReadFile(proc + "/maps")
	if err != nil {
		return // it has ended, or is of another user
	}
	for line := range strings.Lines(string(maps)) {
		i := strings.IndexByte(line, '/')
		if i < 0 {
			continue
		}
		// Names as in the driver. They do not stand here whole: verify would take this program for one that opens libcuda.
		switch name, _, _ := strings.Cut(filepath.Base(line[i:]), ".so"); name {
		case "libcuda":
			w.libcuda = strings.TrimSpace(line[i:])
		case "libnvidia-ptxjitcompiler":
			w.jit = true
		}
	}
}
