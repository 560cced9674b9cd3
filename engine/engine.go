// SPDX-License-Identifier: Apache-2.0

// Package engine finds or starts a BuildKit daemon to talk to.
//
// [Open] connects to the daemon that the user names, or else starts one of its
// own: the pinned buildkitd and runc, with its state below the state directory,
// on a private socket. [Find] turns what a user writes into addresses of daemons.
// [Lock] makes one process the owner of a state directory.
//
// An owned daemon runs as the first process of its own PID namespace, in its own
// mount namespace, and is killed by the kernel when its owner dies. So whatever
// happens to either of them, no process and no mount is left behind, and since
// the daemon inherits the owner's lock, the next owner cannot start before the
// last daemon is gone. Only empty cgroups stay, which the next owner removes. The package builds nothing and knows nothing of images.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/platforms"
	bk "github.com/moby/buildkit/client"
	_ "github.com/moby/buildkit/client/connhelper/dockercontainer" // docker-container://
	_ "github.com/moby/buildkit/client/connhelper/kubepod"         // kube-pod://
	_ "github.com/moby/buildkit/client/connhelper/podmancontainer" // podman-container://
	_ "github.com/moby/buildkit/client/connhelper/ssh"             // ssh://
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/cudabuild/cudabuild/internal/address"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// ErrUnavailable is the condition that no BuildKit can be had: nothing answers at
// the given address, or an owned daemon cannot run on this machine.
var ErrUnavailable = hint.Privileged("no usable BuildKit",
	"run it again, what was built is kept; 'make tools' builds buildkitd and runc, --builder names a BuildKit that is running",
	"name a running BuildKit with --builder, which takes no root here (docs/engine.md), or run as root after 'make tools'")

// AddressError is the condition that nothing usable answers at the address that the
// user named. It matches [ErrUnavailable].
type AddressError struct {
	Address string
	Err     error
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%v at %s: %v", ErrUnavailable, Public(e.Address), e.Err)
}

func (e *AddressError) Unwrap() []error { return []error{ErrUnavailable, e.Err} }

// Hint is how to have a BuildKit, or what to write in place of the address.
func (e *AddressError) Hint() string {
	if text := hint.Of(e.Err); text != "" {
		return text
	}
	if strings.HasSuffix(e.Address, "/docker.sock") {
		return "that is Docker's own socket: 'docker buildx create --name NAME --bootstrap' starts a BuildKit, which is buildx://NAME"
	}
	return address.Next(e.Address) + "start BuildKit there, or give --builder '' and cudabuild starts its own"
}

// Code is that of a mistake on the command line where the address cannot be one, or used.
func (e *AddressError) Code() int { return hint.Code(e.Err, 3) }

// Options says which BuildKit to use. The zero value of Address means an owned one.
type Options struct {
	Address  string // of a running daemon, as Find returns it
	StateDir string // absolute; where an owned daemon keeps its state
	ToolDir  string // where buildkitd and runc lie; empty means PATH
	Lock     *Lock  // of StateDir; required for an owned daemon

	Patience time.Duration // after which a daemon counts as silent; 0 means 30 s
}

func (o Options) root() string { return filepath.Join(o.StateDir, "engine") }

// ContentDir is the folder of blobs of an owned daemon (blobs/sha256/...), empty for a
// given one. Blobs in it can be hard-linked instead of copied.
func (o Options) ContentDir() string {
	if o.Address != "" {
		return ""
	}
	return filepath.Join(o.root(), "runc-overlayfs", "content")
}

// Forget removes all that an owned daemon has built. It must not be running.
func (o Options) Forget() error { return os.RemoveAll(o.root()) }

// Engine is a connected BuildKit.
type Engine struct {
	Client    *bk.Client
	Version   string   // what the daemon says of itself, "" if it says nothing
	Runc      string   // the version of the runc of an owned daemon, "" if that does not say one
	Platforms []string // whose programs a given daemon runs; nil for an owned one

	daemon *daemon
}

// Open connects to a daemon. The error matches [ErrUnavailable] where there is none.
func Open(ctx context.Context, o Options) (*Engine, error) {
	if o.Address != "" {
		return given(ctx, o.Address, o.patience())
	}
	d, err := start(ctx, o)
	if err != nil {
		return nil, err
	}
	c, err := bk.New(ctx, "unix://"+d.socket())
	var info *bk.Info
	if err == nil {
		info, err = d.wait(ctx, c)
	}
	if err != nil {
		return nil, errors.Join(err, d.stop(0))
	}
	return &Engine{Client: c, Version: info.BuildkitVersion.Version, Runc: d.runc, daemon: d}, nil
}

func (o Options) patience() time.Duration { return cmp.Or(o.Patience, 30*time.Second) }

func given(ctx context.Context, at string, patience time.Duration) (*Engine, error) {
	options, err := check(at)
	if err != nil {
		return nil, err
	}
	c, err := bk.New(ctx, at, append(options, connecting(patience))...)
	if err != nil {
		return nil, &AddressError{at, err}
	}
	e := &Engine{Client: c}
	if err := within(ctx, patience, e.introduce); err != nil {
		_ = c.Close()
		return nil, &AddressError{at, why(ctx, at, err)}
	}
	return e, nil
}

// introduce asks a given daemon what it is.
func (e *Engine) introduce(ctx context.Context) error {
	info, err := e.Client.Info(ctx)
	if err != nil {
		return err
	}
	e.Version = info.BuildkitVersion.Version
	workers, err := e.Client.ListWorkers(ctx)
	for _, w := range workers {
		for _, p := range w.Platforms {
			e.Platforms = append(e.Platforms, platforms.Format(p))
		}
	}
	return err
}

// connecting has gRPC wait for a daemon that takes a connection and is silent for longer than
// within does, which says so. By itself gRPC hangs up after 20 s, and calls that the error.
func connecting(patience time.Duration) bk.ClientOpt {
	return bk.WithGRPCDialOption(grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: patience + 20*time.Second}))
}

// errSilent is the condition that a daemon has not answered in time.
var errSilent = errors.New("it has not answered")

// within asks a daemon something. The error matches errSilent where that took longer than patience.
func within(ctx context.Context, patience time.Duration, ask func(context.Context) error) error {
	timeout, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := ask(timeout)
	if err != nil && timeout.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w for %v: %w", errSilent, patience, err)
	}
	return err
}

// Address is where an owned daemon listens, empty for a given one.
func (e *Engine) Address() string {
	if e.daemon == nil {
		return ""
	}
	return "unix://" + e.daemon.socket()
}

// Answers returns nil if the daemon answers within o's patience, and else why it does not.
func (e *Engine) Answers(ctx context.Context, o Options) error {
	return within(ctx, o.patience(), func(ctx context.Context) error {
		_, err := e.Client.Info(ctx)
		return err
	})
}

// Silent returns an error when the daemon has not answered for as long as o's patience, and
// nil when ctx ends before.
func (e *Engine) Silent(ctx context.Context, o Options) error {
	for {
		if err := e.Answers(ctx, o); errors.Is(err, errSilent) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(o.patience() / 3):
		}
	}
}

// Died returns a channel that is closed when an owned daemon has ended. It is nil,
// and so never ready, for a given daemon.
func (e *Engine) Died() <-chan struct{} {
	if e.daemon == nil {
		return nil
	}
	return e.daemon.done
}

// Failure describes the end of an owned daemon, with the last lines it wrote.
func (e *Engine) Failure() error { return e.daemon.failure() }

// Close disconnects, and ends an owned daemon and everything it runs.
func (e *Engine) Close() error {
	err := e.Client.Close()
	if e.daemon != nil {
		err = errors.Join(err, e.daemon.stop(stopGrace))
	}
	return err
}

// tool returns the path of an executable in dir, or in PATH where dir has none.
func tool(dir, name string) (string, error) {
	if path := filepath.Join(dir, name); dir != "" {
		if _, err := os.Stat(path); err == nil {
			return filepath.Abs(path)
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: %s is neither in %q nor on PATH (run 'make tools')", ErrUnavailable, name, dir)
	}
	return path, nil
}

// versionOf is what runc says of itself, "" if it does not say a version.
func versionOf(ctx context.Context, runc string) string {
	out, _ := exec.CommandContext(ctx, runc, "--version").Output()
	line, _, _ := strings.Cut(string(out), "\n")
	version, ok := strings.CutPrefix(line, "runc version ")
	if !ok {
		return ""
	}
	return version
}
