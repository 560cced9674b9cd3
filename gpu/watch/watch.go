// SPDX-License-Identifier: Apache-2.0

// Package watch says what running processes use of the NVIDIA driver: which of its libraries they map, and
// which of its devices are there for them. The observer of pods has it too, so it imports the standard
// library alone.
//
// [Start] looks again and again until [Watch.Stop]; [Devices] looks once.
package watch

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Seen is what was mapped at some time.
type Seen struct {
	Libcuda string // as the process sees it, "" if none was mapped
	JIT     bool   // the driver's compiler for PTX
}

// Watch is of processes that are looked at while they run.
type Watch struct {
	processes func() []string
	quit      chan struct{}
	done      chan struct{}
	seen      Seen
}

// Start begins to look. Before each look, processes says which they are, as folders in /proc; as long as
// there are none it is asked again soon. It is called from one goroutine, which ends with Stop.
func Start(processes func() []string) *Watch {
	w := &Watch{processes: processes, quit: make(chan struct{}), done: make(chan struct{})}
	go w.poll()
	return w
}

// Stop ends the watch.
func (w *Watch) Stop() Seen {
	close(w.quit)
	<-w.done
	return w.seen
}

// A look at a process with many libraries takes milliseconds and holds up its allocations, so
// the longer it takes, the longer is the pause.
const (
	soon   = 500 * time.Microsecond
	often  = 3 * time.Millisecond
	seldom = 100 * time.Millisecond
	pause  = 20 // times the look
)

func (w *Watch) poll() {
	defer close(w.done)
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-w.quit:
			return
		case now := <-next.C:
			all := w.processes()
			if len(all) == 0 {
				next.Reset(soon)
				continue
			}
			for _, proc := range all {
				w.seen.readMaps(proc)
			}
			next.Reset(min(max(often, pause*time.Since(now)), seldom))
		}
	}
}

func (s *Seen) readMaps(proc string) {
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
			s.Libcuda = strings.TrimSpace(line[i:])
		case "libnvidia-ptxjitcompiler":
			s.JIT = true
		}
	}
}
