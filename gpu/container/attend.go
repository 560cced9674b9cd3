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
)

// Files that Attach gives to Inside, the last three only where the program has no
// terminal.
const (
	signalsFD = 3 + iota
	stdinFD
	stdoutFD
	stderrFD
)

// given returns one of these files. Programs started here do not inherit it.
func given(fd int) *os.File {
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "stream")
}

// visit is a run that somebody is there for.
type visit struct {
	job
	mu     sync.Mutex
	pid    int          // of the program, 0 before it is started
	ended  atomic.Int32 // the signal that was meant to end it, where that took another
	cancel context.CancelFunc
}

// attend creates and starts the container, and passes signals on until it ends.
func (j job) attend(ctx context.Context, dir string) Outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v := &visit{job: j, cancel: cancel}
	go v.passSignals(given(signalsFD)) // until the end of this process
	code, err := v.serve(ctx, dir)
	last, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	_ = j.command(last, "delete", "--force", containerID).Run()
	if err != nil {
		return Outcome{Problem: err.Error(), ExitCode: -1}
	}
	return Outcome{ExitCode: code}
}

func (v *visit) serve(ctx context.Context, dir string) (int, error) {
	// What comes by way of stderr is the runtime's until its process has become the
	// program, and the program's from then on.
	said, say, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	streams, stderr := stdio{err: say}, io.Discard
	if !v.Terminal {
		streams.in, streams.out = given(stdinFD), given(stdoutFD)
		stderr = given(stderrFD)
	}
	pid, err := v.create(ctx, dir, streams)
	streams.close()
	if err != nil {
		return 0, fmt.Errorf("create: %w: %s", err, reason(words(said)))
	}
	v.begin(pid)
	if err := v.release(ctx); err != nil && v.ended.Load() == 0 {
		return 0, err
	}
	if !becomesProgram(pid) && v.ended.Load() == 0 {
		if v.Terminal {
			return 0, errors.New("the program cannot be started: its terminal says why")
		}
		return 0, fmt.Errorf("the program cannot be started: %s", tail(words(said)))
	}
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		_, _ = io.Copy(stderr, said)
	}()
	code, err := v.exitCode(pid)
	<-passed
	return code, err
}

// words are what the runtime said before it gave up.
func words(said *os.File) []byte {
	_ = said.SetReadDeadline(time.Now().Add(patience))
	text, _ := io.ReadAll(io.LimitReader(said, maxOutput))
	return text
}

// begin says that from here on a signal is the program's, who may run before the
// runtime that starts it has ended.
func (v *visit) begin(pid int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pid = pid
}

func (s stdio) close() {
	for _, f := range []*os.File{s.in, s.out, s.err} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// exitCode waits for the program. It is 128 more than a signal's number where a
// signal ended it.
func (v *visit) exitCode(pid int) (int, error) {
	status, err := wait(pid)
	if err != nil || !status.Signaled() {
		return status.ExitStatus(), err
	}
	signal := int32(status.Signal())
	if meant := v.ended.Load(); meant != 0 && signal == int32(unix.SIGKILL) {
		signal = meant
	}
	return 128 + int(signal), nil
}

// passSignals passes on what comes over r, a byte a signal. A signal that comes before
// the program is started ends the run.
func (v *visit) passSignals(r io.Reader) {
	signals := bufio.NewReader(r)
	for {
		number, err := signals.ReadByte()
		if err != nil {
			return
		}
		if pid := v.started(); pid != 0 {
			v.pass(pid, unix.Signal(number))
		}
	}
}

// started is the program's process. If there is none yet there will be none.
func (v *visit) started() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.pid == 0 {
		v.cancel()
	}
	return v.pid
}

// pass sends a signal. The first process of a container is immune to those that it has
// no handler for; they are meant to end it, so it is ended.
func (v *visit) pass(pid int, signal unix.Signal) {
	proc := fmt.Sprintf("/proc/%d", pid)
	for i := 0; i < 10000 && strings.HasPrefix(nameOf(proc), runtimeName); i++ { // it is being started
		time.Sleep(time.Millisecond)
	}
	sent := false
	for range 400 {
		blocked, heeded := disposition(proc, signal)
		if !blocked && !heeded {
			v.ended.CompareAndSwap(0, int32(signal))
			_ = unix.Kill(pid, unix.SIGKILL)
			return
		}
		if !sent {
			_ = unix.Kill(pid, signal)
			sent = true
		}
		if heeded {
			return
		}
		// It waits, in a shell for a moment only, and then without a handler is dropped.
		time.Sleep(5 * time.Millisecond)
	}
}

// disposition reports whether the process blocks a signal, and whether it handles or
// ignores it. One that has ended heeds all.
func disposition(proc string, signal unix.Signal) (blocked, heeded bool) {
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
			heeded = true
		}
	}
	return blocked, heeded
}
