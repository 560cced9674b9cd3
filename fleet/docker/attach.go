// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// Program is what somebody runs who is there.
type Program struct {
	Ref       string
	Image     v1.Image
	Args, Env []string // all of it, never empty
	GPUs      []string // "all", indexes or UUIDs as the daemon's side has them; none for none
	Open      container.Open
	Bounds    container.Bounds
}

// Attach runs a program connected to streams and returns its exit code, as container's does. The end
// of ctx ends the preparations; the program gets signals, and what is its first process may take no notice of them,
// as with docker: the third SIGINT or SIGTERM ends it. If the daemon does not answer to that either, Attach
// returns errFrozen.
func (h *Host) Attach(ctx context.Context, p Program, s container.Streams) (code int, err error) {
	want, err := h.container(p, s)
	if err != nil {
		return 0, err
	}
	if want.Image, err = h.bring(ctx, p.Ref, p.Image); err != nil {
		return 0, err
	}
	id, err := h.client.Create(ctx, want)
	if err != nil {
		return 0, err
	}
	defer func() {
		left := h.remove(ctx, id)
		if lost := (*lostError)(nil); !errors.As(err, &lost) {
			err = errors.Join(err, left)
		}
	}()
	conn, err := h.client.Attach(ctx, id, want.OpenStdin)
	if err != nil { // podman makes the container ready now
		return 0, notStarted("start", err)
	}
	defer conn.Close()
	if err := h.client.Start(ctx, id); err != nil {
		return 0, notStarted("start", err)
	}
	a := &attached{h: h, id: id, conn: conn, Streams: s, terminal: want.Tty}
	return a.run(context.WithoutCancel(ctx))
}

var errFrozen = hint.New("the daemon does not answer, and its container may run on", "the next 'cudabuild gpu' or 'run' with that daemon ends it")

// container is the program in the words of the daemon.
func (h *Host) container(p Program, s container.Streams) (daemon.Container, error) {
	want := daemon.Container{
		Entrypoint: p.Args[:1], Cmd: p.Args[1:], Env: p.Env, User: p.Open.User, WorkingDir: p.Open.Dir,
		Tty: p.Open.Terminal, OpenStdin: s.In != nil, StdinOnce: s.In != nil, AttachStdin: s.In != nil, AttachStdout: true, AttachStderr: true,
		Labels: map[string]string{Label: newMark(time.Time{})},
		HostConfig: daemon.HostConfig{
			NetworkMode: "none", SecurityOpt: []string{"no-new-privileges"}, CapDrop: []string{"AUDIT_WRITE", "MKNOD", "NET_RAW"}, // what is left is what engine direct gives
			PidsLimit: cmp.Or(p.Bounds.Pids, maxPids), Memory: p.Bounds.Memory, ShmSize: p.Open.ShmBytes, LogConfig: daemon.LogConfig{Type: "none"},
		},
	}
	if p.Open.Network {
		want.HostConfig.NetworkMode = "host"
	}
	if p.Open.HostIPC {
		want.HostConfig.IpcMode = "host"
	}
	for _, l := range p.Bounds.Ulimits {
		want.HostConfig.Ulimits = append(want.HostConfig.Ulimits, daemon.Ulimit{Name: l.Name, Soft: l.Soft, Hard: l.Hard})
	}
	for _, b := range p.Open.Binds {
		if !h.client.Local() {
			return want, hint.New(fmt.Sprintf("--volume %s: it is of this host, and the daemon is %s", b.Source, h.client.Endpoint), "leave it out, or use a daemon of this host; an image can hold the files")
		}
		want.HostConfig.Mounts = append(want.HostConfig.Mounts, daemon.Mount{Type: "bind", Source: b.Source, Target: b.Target, ReadOnly: b.ReadOnly})
	}
	return want, h.give(&want, p.GPUs)
}

// attached is a program that runs.
type attached struct {
	container.Streams

	h        *Host
	id       string
	conn     *daemon.Attached
	terminal bool
}

// run connects the streams until the program's end.
func (a *attached) run(ctx context.Context) (int, error) {
	if a.terminal && a.In != nil && a.Terminal != nil {
		if undo, err := container.MakeRaw(a.Terminal); err == nil {
			defer undo()
		}
	}
	if a.In != nil {
		go func() { // nobody waits for it: a read of somebody's keys cannot be ended
			_, _ = io.Copy(a.conn, a.In)
			_ = a.conn.CloseWrite()
		}()
	}
	output := make(chan error, 1)
	go func() { output <- a.output() }()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	quit, relayed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(relayed)
		a.signals(ctx, quit, giveUp)
	}()
	code, lost, err := a.h.client.Wait(ctx, a.id)
	close(quit)
	<-relayed
	if err != nil && ctx.Err() != nil {
		a.h.last = a.h.prompt // it removes nothing either
		return 0, context.Cause(ctx)
	}
	if lost {
		return 0, a.gone(code, err)
	}
	select {
	case said := <-output:
		err = errors.Join(err, said)
	case <-time.After(10 * time.Second): // what the program has left running holds its output
	}
	return code, err
}

// gone is the error of a program whose daemon went away: its output is not whole then.
func (a *attached) gone(code int, err error) error {
	text := fmt.Sprintf("%s: the daemon went away while the program ran", a.h.client.Endpoint)
	if err == nil {
		return fmt.Errorf("%s: it is back, and says that the program ended with code %d", text, code)
	}
	a.h.last = time.Second // it removes nothing either
	return &lostError{hint.New(fmt.Sprintf("%s: %v", text, err), "its container may run on: the next 'cudabuild gpu' or 'run' with that daemon ends it")}
}

// lostError is that the daemon does not come back: that nothing can be removed there goes without saying.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }

// output hands on what the program says.
func (a *attached) output() error {
	if !a.terminal {
		return daemon.Split(a.Out, a.Err, a.conn)
	}
	_, err := io.Copy(a.Out, a.conn)
	return err
}

// signals hands signals on until quit is closed. The third that is to end the program ends the waiting for a daemon
// that does not say so, too.
func (a *attached) signals(ctx context.Context, quit <-chan struct{}, giveUp context.CancelCauseFunc) {
	a.resize(ctx)
	for ends := 0; ; {
		select {
		case <-quit:
			return
		case s := <-a.Signals:
			number, ok := s.(unix.Signal)
			switch {
			case !ok:
				continue
			case number == unix.SIGWINCH:
				a.resize(ctx)
				continue
			case s == os.Interrupt, number == unix.SIGTERM:
				if ends++; ends >= 3 {
					number = unix.SIGKILL
					time.AfterFunc(a.h.prompt, func() { giveUp(errFrozen) })
				}
			}
			a.promptly(ctx, func(ctx context.Context) error { return a.h.client.Kill(ctx, a.id, strconv.Itoa(int(number))) })
		}
	}
}

// resize gives the program's terminal the size of the caller's.
func (a *attached) resize(ctx context.Context) {
	if size := container.SizeOf(a.Terminal); a.terminal && size != nil {
		a.promptly(ctx, func(ctx context.Context) error { return a.h.client.Resize(ctx, a.id, int(size.Row), int(size.Col)) })
	}
}

// promptly asks the daemon for what it has done at once. Whether it does is nothing to the program, which may have
// ended.
func (a *attached) promptly(ctx context.Context, ask func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, a.h.prompt)
	defer cancel()
	_ = ask(ctx)
}
