// SPDX-License-Identifier: Apache-2.0

// Package contain runs programs that must leave nothing behind. A contained program
// is the first process of a PID namespace and has a mount namespace of its own: when
// it ends, the kernel ends everything it started and drops everything it mounted,
// and when its owner dies, however it dies, the kernel ends the program.
package contain

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// launcher waits for a word on the descriptor that is its name, mounts the /proc of the
// new PID namespace and becomes the program.
const launcher = `read -r go <&"$0" && eval "exec $0<&-" && mount -t proc proc /proc && exec "$@"`

// Command prepares a contained program. It needs root. Start it with [Run] only.
func Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", launcher, "", name}, args...)...) //nolint:forbidigo // the caller ends it
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   unix.CLONE_NEWPID,
		Unshareflags: unix.CLONE_NEWNS, // unlike Cloneflags, Go makes / private for it
		Pdeathsig:    unix.SIGKILL,
		Setpgid:      true, // a Ctrl-C at the terminal is for the owner to pass on
	}
	return cmd
}

// Run starts the program, reports the outcome to started unless that is nil, and
// waits for the program's end. It kills the program when ctx ends, and then returns
// the error of ctx. All of it is done on one locked thread, because the kernel sends
// the parent-death signal when the thread that started the program ends, not when
// the process does. An owner that ends before the program has asked for that signal ends
// it too: the word that the program waits for never comes.
func Run(ctx context.Context, cmd *exec.Cmd, started func(error)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := start(cmd)
	if started != nil {
		started(err)
	}
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err = cmd.Wait(); ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// start starts the launcher and lets it go on.
func start(cmd *exec.Cmd) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	const name = 3 // in the arguments: /bin/sh -c LAUNCHER NAME PROGRAM ...
	cmd.Args[name] = strconv.Itoa(3 + len(cmd.ExtraFiles))
	cmd.ExtraFiles = append(cmd.ExtraFiles, r)
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := w.WriteString("go\n"); err != nil && !errors.Is(err, unix.EPIPE) { // it has ended: Wait says how
		return err
	}
	return nil
}
