// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/capture"
)

// Files that Attach gives to Inside, the last three only where the program has no
// terminal.
const (
	signalsFD = 3 + iota
	stdinFD
	stdoutFD
	stderrFD
)

// inherited returns one of these files. Programs started here do not inherit it.
func inherited(fd int) *os.File {
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "stream")
}

// attachedRun is a run that is connected to the caller's streams.
type attachedRun struct {
	job
	mu        sync.Mutex
	pid       int          // of the program, 0 before it is started
	killedFor atomic.Int32 // the signal that was to end it, where SIGKILL had to
	cancel    context.CancelFunc
}

// runAttached creates and starts the container, and forwards signals until it ends.
func (j job) runAttached(ctx context.Context, dir string) Outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &attachedRun{job: j, cancel: cancel}
	go a.forwardSignals(inherited(signalsFD)) // until the end of this process
	code, err := a.run(ctx, dir)
	last, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	_ = j.command(last, "delete", "--force", containerID).Run()
	if err != nil {
		return Outcome{Problem: err.Error(), ExitCode: -1}
	}
	return Outcome{ExitCode: code}
}

func (a *attachedRun) run(ctx context.Context, dir string) (int, error) {
	// What comes by way of stderr is the runtime's until its process has become the
	// program, and the program's from then on.
	fromStderr, toStderr, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	streams, stderr := stdio{err: toStderr}, io.Discard
	if !a.Terminal {
		streams.in, streams.out = inherited(stdinFD), inherited(stdoutFD)
		stderr = inherited(stderrFD)
	}
	pid, err := a.create(ctx, dir, streams)
	streams.close()
	if err != nil {
		return 0, fmt.Errorf("create: %w: %s", err, reason(message(fromStderr)))
	}
	a.setPID(pid)
	if err := a.start(ctx); err != nil && a.killedFor.Load() == 0 {
		return 0, err
	}
	if !becomesProgram(pid) && a.killedFor.Load() == 0 {
		if a.Terminal {
			return 0, errors.New("the program cannot be started: its terminal says why")
		}
		return 0, fmt.Errorf("the program cannot be started: %s", tail(message(fromStderr)))
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(stderr, fromStderr)
	}()
	code, err := a.exitCode(pid)
	<-copied
	return code, err
}

// message is what the runtime said before it gave up.
func message(stderr *os.File) []byte {
	_ = stderr.SetReadDeadline(time.Now().Add(capture.Patience))
	text, _ := io.ReadAll(io.LimitReader(stderr, maxOutput))
	return text
}

// setPID says that from here on a signal is the program's, which may run before the
// runtime that starts it has ended.
func (a *attachedRun) setPID(pid int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pid = pid
}

// exitCode waits for the program. It is 128 more than a signal's number where a
// signal ended it.
func (a *attachedRun) exitCode(pid int) (int, error) {
	status, err := wait(pid)
	if err != nil || !status.Signaled() {
		return status.ExitStatus(), err
	}
	signal := int32(status.Signal())
	if meant := a.killedFor.Load(); meant != 0 && signal == int32(unix.SIGKILL) {
		signal = meant
	}
	return 128 + int(signal), nil
}

// forwardSignals forwards what comes over r, a byte a signal. A signal that comes before
// the program is started ends the run.
func (a *attachedRun) forwardSignals(r io.Reader) {
	signals := bufio.NewReader(r)
	for {
		number, err := signals.ReadByte()
		if err != nil {
			return
		}
		if pid := a.pidOrCancel(); pid != 0 {
			a.forward(pid, unix.Signal(number))
		}
	}
}

// pidOrCancel is the program's process. If there is none yet, the run ends without it.
func (a *attachedRun) pidOrCancel() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pid == 0 {
		a.cancel()
	}
	return a.pid
}

// forward sends a signal to the program. The first process of a container is immune to
// those that it has no handler for; they are meant to end it, so it is ended.
func (a *attachedRun) forward(pid int, signal unix.Signal) {
	proc := fmt.Sprintf("/proc/%d", pid)
	for i := 0; i < 10000 && strings.HasPrefix(nameOf(proc), runtimeName); i++ { // it is being started
		time.Sleep(time.Millisecond)
	}
	sent := false
	for range 400 {
		blocked, handled := disposition(proc, signal)
		if !blocked && !handled {
			a.killedFor.CompareAndSwap(0, int32(signal))
			_ = unix.Kill(pid, unix.SIGKILL)
			return
		}
		if !sent {
			_ = unix.Kill(pid, signal)
			sent = true
		}
		if handled {
			return
		}
		// It waits, in a shell for a moment only, and then without a handler is dropped.
		time.Sleep(5 * time.Millisecond)
	}
}

// disposition reports whether the process blocks a signal, and whether it handles or
// ignores it. One that has ended handles all.
func disposition(proc string, signal unix.Signal) (blocked, handled bool) {
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return false, true
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil || mask&(1<<(signal-1)) == 0 {
			continue
		}
		switch key {
		case "SigBlk":
			blocked = true
		case "SigIgn", "SigCgt":
			handled = true
		}
	}
	return blocked, handled
}
