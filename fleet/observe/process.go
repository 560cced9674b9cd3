// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How long a command has to end after SIGTERM, and how long its end is waited for after SIGKILL:
// a process that hangs in the driver ends never.
const (
	grace = 2 * time.Second
	stuck = 10 * time.Second
)

// process is the command, the first process of a session.
type process struct {
	pid   int
	ended chan unix.WaitStatus // gets one
}

// start executes a command. Its error is one of exec.LookPath or of execve.
func start(args []string, stdout, stderr *os.File) (*process, error) {
	if len(args) == 0 {
		return nil, errors.New("no command")
	}
	file, err := exec.LookPath(args[0])
	if err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	p, err := os.StartProcess(file, args, &os.ProcAttr{Files: []*os.File{null, stdout, stderr}, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		return nil, err
	}
	c := &process{pid: p.Pid, ended: make(chan unix.WaitStatus, 1)}
	_ = p.Release() // await waits for it
	go c.await()
	return c, nil
}

// await waits for the command. The first process of a container is the parent of all orphans in
// it, and reaps them.
func (p *process) await() {
	whom := p.pid
	if os.Getpid() == 1 {
		whom = -1
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(whom, &status, 0, nil)
		if pid == p.pid && (status.Exited() || status.Signaled()) {
			p.ended <- status
			return
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return // it cannot be: nobody else waits
		}
	}
}

// ending is how a command ended.
type ending struct {
	code     int
	timedOut bool
	stopped  bool
	problem  string
}

// wait waits for the command's end, and brings it about when ctx ends.
func (p *process) wait(ctx context.Context) ending {
	select {
	case status := <-p.ended:
		return ending{code: codeOf(status)}
	case <-ctx.Done():
	}
	e := ending{timedOut: errors.Is(context.Cause(ctx), errLimit)}
	if !e.timedOut {
		e.stopped = true
		e.problem = "the container was told to stop before the command had ended"
	}
	p.signal(unix.SIGTERM)
	select {
	case status := <-p.ended:
		e.code = codeOf(status)
		return e
	case <-time.After(grace):
	}
	p.kill()
	select {
	case status := <-p.ended:
		e.code = codeOf(status)
	case <-time.After(stuck):
		e.code = 128 + int(unix.SIGKILL)
		e.problem = fmt.Sprintf("process %d does not end after SIGKILL: it hangs in the kernel", p.pid)
	}
	return e
}

// signal sends a signal to the command and to all that is in its group.
func (p *process) signal(s syscall.Signal) { _ = unix.Kill(-p.pid, s) }

func (p *process) kill() { p.signal(unix.SIGKILL) }

func codeOf(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// all are the processes of the command, as folders in /proc.
func (p *process) all() []string {
	all, _ := filepath.Glob("/proc/[0-9]*")
	return slices.DeleteFunc(all, func(proc string) bool {
		if os.Getpid() == 1 { // of the container: all others are the command's
			return proc == "/proc/1"
		}
		return sessionOf(proc) != strconv.Itoa(p.pid)
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
