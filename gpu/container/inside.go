// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/gpu/watch"
	"github.com/cudabuild/cudabuild/internal/capture"
)

// containerID needs no more: every run has a state directory of its own.
const containerID = "c"

// Inside is the first process of a run's namespaces. It does the job, or the jobs of a
// group, that lie in dir and leaves the outcome beside them. Nobody but a [Runner]
// starts it.
func Inside(ctx context.Context, dir string) error {
	if os.Getpid() != 1 {
		return errors.New("this command is a part of others and not to be called by hand")
	}
	var g group
	switch err := readJSON(filepath.Join(dir, groupFile), &g); {
	case errors.Is(err, fs.ErrNotExist):
		return runJob(ctx, dir)
	case err != nil:
		return err
	}
	return g.run(ctx, dir)
}

// runJob does the job that lies in dir.
func runJob(ctx context.Context, dir string) error {
	var j job
	if err := readJSON(filepath.Join(dir, jobFile), &j); err != nil {
		return err
	}
	upper, err := j.mount(dir)
	if err != nil {
		return err
	}
	var out Outcome
	if j.Attached {
		out = j.runAttached(ctx, dir)
	} else {
		out = j.runObserved(ctx, dir)
		out.Times.Config = j.Config
		if !j.Open { // else what it wrote is its own affair
			out.Diff, err = overlayDiff(upper, filepath.Join(dir, diffFile))
		}
		if err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(dir, outcomeFile), out)
}

// mount makes the container's root: the image below, a tmpfs above.
func (j job) mount(dir string) (upper string, err error) {
	scratch, root := filepath.Join(dir, "scratch"), filepath.Join(dir, "rootfs")
	if err := errors.Join(os.Mkdir(scratch, 0o700), os.Mkdir(root, 0o700)); err != nil {
		return "", err
	}
	size := "size=1g"
	if j.Attached || j.Open {
		size = "size=50%" // of the memory
	}
	if err := unix.Mount("tmpfs", scratch, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=700,"+size); err != nil {
		return "", fmt.Errorf("mount tmpfs: %w", err)
	}
	if upper, err = j.Lower.Mount(root, scratch); err != nil {
		return "", fmt.Errorf("overlay: %w", err)
	}
	return upper, j.showLibraries(dir)
}

// showLibraries lets programs in this mount namespace find the driver's libraries in
// a folder that the host's linker cache does not know, by a cache of our own.
func (j job) showLibraries(dir string) error {
	if j.Libraries == "" {
		return nil
	}
	cache := filepath.Join(dir, "ld.so.cache")
	if out, err := exec.CommandContext(context.Background(), "ldconfig", "-X", "-C", cache, j.Libraries).CombinedOutput(); err != nil {
		return fmt.Errorf("ldconfig %s: %w: %s", j.Libraries, err, out)
	}
	return unix.Mount(cache, "/etc/ld.so.cache", "", unix.MS_BIND, "")
}

// maxOutput bounds what is kept of each output of a program.
const maxOutput = 4 << 20

// runObserved creates and starts the container, and watches it until it ends.
func (j job) runObserved(ctx context.Context, dir string) Outcome {
	out := Outcome{ExitCode: -1, DeviceNodes: []string{}}
	stdout, err1 := capture.New(maxOutput)
	stderr, err2 := capture.New(maxOutput)
	if err := errors.Join(err1, err2); err != nil {
		out.Problem = err.Error()
		return out
	}
	begin := time.Now()
	pid, err := j.create(ctx, dir, stdio{out: stdout.W, err: stderr.W})
	out.Times.Create = time.Since(begin)
	_, _ = stdout.W.Close(), stderr.W.Close()
	if err != nil {
		err = fmt.Errorf("create: %w: %s", err, reason(capture.Wait(stderr)[0].Text()))
	} else {
		out.DeviceNodes = watch.Devices(fmt.Sprintf("/proc/%d/root", pid))
		err = j.follow(ctx, pid, begin, &out)
	}
	if err != nil {
		out.Problem = InWords(err.Error())
	}
	_ = j.command(ctx, "delete", "--force", containerID).Run()
	outputs := capture.Wait(stdout, stderr)
	out.Stdout, out.Stderr = outputs[0].Text(), outputs[1].Text()
	return out
}

func (j job) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, j.Runtime[0], append(j.Runtime[1:], args...)...)
	cmd.Env = j.Env
	return cmd
}

// create returns the process of the container, which waits to be started. It becomes
// a child of this process when the runtime ends, because this one is the first.
func (j job) create(ctx context.Context, dir string, streams stdio) (int, error) {
	pidFile := filepath.Join(dir, "pid")
	args := []string{"create", "--bundle", dir, "--pid-file", pidFile}
	if j.Terminal {
		args = append(args, "--console-socket", consoleSocket)
	}
	cmd := j.command(ctx, append(args, containerID)...)
	cmd.Dir = dir
	if streams.in != nil { // in an interface a nil file is not nil
		cmd.Stdin = streams.in
	}
	if streams.out != nil {
		cmd.Stdout = streams.out
	}
	if streams.err != nil {
		cmd.Stderr = streams.err
	}
	if err := cmd.Run(); err != nil {
		return 0, err
	}
	data, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// follow starts the program, watches it and waits for its end.
func (j job) follow(ctx context.Context, pid int, begin time.Time, out *Outcome) error {
	startup := newStartup(pid)
	looks := watch.Start(startup.processes)
	started := time.Now()
	if err := j.start(ctx); err != nil {
		return err
	}
	var timedOut atomic.Bool
	limit := time.AfterFunc(j.Limit, func() {
		timedOut.Store(true)
		_ = unix.Kill(pid, unix.SIGKILL)
	})
	status, err := wait(pid)
	if err != nil {
		return err
	}
	ended := time.Now()
	limit.Stop()
	seen, main := looks.Stop(), startup.main
	if main.IsZero() {
		main = ended
	}
	out.ExitCode, out.TimedOut, out.Libcuda, out.JIT = status.ExitStatus(), timedOut.Load(), seen.Libcuda, seen.JIT
	out.Times.Start, out.Times.ToMain, out.Times.Run = main.Sub(started), main.Sub(begin), ended.Sub(main)
	return nil
}

// start has the runtime start the program.
func (j job) start(ctx context.Context) error {
	if text, err := j.command(ctx, "start", containerID).CombinedOutput(); err != nil {
		return fmt.Errorf("start: %w: %s", err, reason(text))
	}
	return nil
}

// wait waits for the program's end.
func wait(pid int) (status unix.WaitStatus, err error) {
	for {
		if _, err = unix.Wait4(pid, &status, 0, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("wait for the program: %w", err)
	}
	return status, nil
}

// logged is a message in a log of runc's.
var logged = regexp.MustCompile(`msg=("(?:[^"\\]|\\.)*")`)

// reason is why a runtime ended: its last message, or the end of what it said.
func reason(text []byte) string {
	if all := logged.FindAllSubmatch(text, -1); len(all) > 0 {
		if message, err := strconv.Unquote(string(all[len(all)-1][1])); err == nil {
			return message
		}
	}
	return tail(text)
}

// tail is the end of what somebody said.
func tail(text []byte) string {
	s := strings.TrimSpace(string(text))
	return s[max(0, len(s)-1000):]
}
