// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	bk "github.com/moby/buildkit/client"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/contain"
)

// stopGrace is how long a daemon may take to end before it is killed.
const stopGrace = 5 * time.Second

// configFormat is the daemon's configuration. BuildKit's default garbage
// collection wants 20 % of the disk free and would drop what the next run needs,
// so the policy is explicit: keep everything while 2 GB stay free.
// The sockets, runc's state and the cgroups of steps are our own.
const configFormat = `root = %q
[grpc]
  address = ["unix:///proc/self/fd/4/buildkitd.sock"]
[otel]
  socketPath = %q
[worker.containerd]
  enabled = false
[worker.oci]
  enabled = true
  snapshotter = "overlayfs"
  binary = %q
  defaultCgroupParent = %q
  networkMode = "host"
  gc = true
  [[worker.oci.gcpolicy]]
    all = true
    reservedSpace = "20GB"
    maxUsedSpace = "200GB"
    minFreeSpace = "2GB"
`

// launcher mounts the folder of runc's state, where a runc of that root stands too, and
// becomes the daemon. What is in there goes with the daemon, however that ends.
const launcher = `mount -t tmpfs -o mode=700 runc "$RUNC_ROOT" &&
printf '#!/bin/sh\nexec "$RUNC" --root "$RUNC_ROOT" "$@"\n' >"$RUNC_ROOT/runc" && chmod 700 "$RUNC_ROOT/runc" && exec "$@"`

// daemon is a buildkitd that this process owns.
type daemon struct {
	root, log string
	runc      string   // its version
	state     string   // the state directory
	dir       *os.File // root, held open: see socket

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	end  error         // valid once done is closed
}

func start(ctx context.Context, o Options) (*daemon, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: starting one needs root (or name a running one with --builder)", ErrUnavailable)
	}
	buildkitd, err := tool(o.ToolDir, "buildkitd")
	if err != nil {
		return nil, err
	}
	runc, err := tool(o.ToolDir, "runc")
	if err != nil {
		return nil, err
	}
	if err := probeOverlay(o.root()); err != nil {
		return nil, err
	}
	d := &daemon{
		runc:  versionOf(ctx, runc),
		root:  o.root(),
		log:   filepath.Join(o.StateDir, "engine.log"),
		state: o.StateDir,
		done:  make(chan struct{}),
	}
	return d, d.spawn(o, buildkitd, runc)
}

// socket is short whatever the state directory's name, because a socket's path may
// have 107 bytes at most: it goes by way of the open folder. The daemon finds that
// open as its descriptor 4. So there is nothing outside the state directory that a
// killed run could leave behind.
func (d *daemon) socket() string {
	return fmt.Sprintf("/proc/%d/fd/%d/buildkitd.sock", os.Getpid(), d.dir.Fd())
}

// traces is the socket that steps see, and so no way by this process's descriptors: empty
// is BuildKit's own, below /run, for state directories with a long name.
func (d *daemon) traces() string {
	path := filepath.Join(d.tmp(), "otel.sock")
	if len(path) > 107 {
		return ""
	}
	return path
}

// tmp is the daemon's own folder for temporary files; it leaves some.
func (d *daemon) tmp() string { return filepath.Join(d.root, "tmp") }

func (d *daemon) spawn(o Options, buildkitd, runc string) error {
	// What a daemon that was killed had only begun: its next copy would go on from there.
	for _, name := range []string{"buildkitd.sock", "tmp", "runc", "runc-overlayfs/content/ingest"} {
		if err := os.RemoveAll(filepath.Join(d.root, name)); err != nil {
			return err
		}
	}
	states := filepath.Join(d.root, "runc")
	err := errors.Join(dropUnknownSnapshots(d.root), os.MkdirAll(d.tmp(), 0o700), os.MkdirAll(states, 0o700))
	if err != nil {
		return err
	}
	if d.dir, err = os.Open(d.root); err != nil {
		return err
	}
	config := filepath.Join(o.StateDir, "buildkitd.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, configFormat, d.root, d.traces(), filepath.Join(states, "runc"), cgroupParent(d.state)), 0o600); err != nil {
		return err
	}
	log, err := os.Create(d.log)
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = contain.Command("/bin/sh", "-c", launcher, "sh", buildkitd, "--config", config)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.ExtraFiles = []*os.File{o.Lock.lock.File, d.dir} // descriptors 3 and 4
	d.cmd.Env = append(os.Environ(), "TMPDIR="+d.tmp(), "RUNC="+runc, "RUNC_ROOT="+states)
	started := make(chan error)
	go d.own(started)
	if err := <-started; err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, buildkitd, err)
	}
	return nil
}

// own waits for the end of the process it starts.
func (d *daemon) own(started chan<- error) {
	d.end = contain.Run(context.Background(), d.cmd, func(err error) { started <- err })
	close(d.done)
}

// wait returns when the daemon answers, or says why it does not.
func (d *daemon) wait(ctx context.Context, c *bk.Client) (*bk.Info, error) {
	timeout, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		if info, err := c.Info(timeout); err == nil {
			return info, os.Chmod(d.socket(), 0o600)
		}
		select {
		case <-d.done:
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, d.failure())
		case <-timeout.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("%w: buildkitd does not answer: %w\n%s", ErrUnavailable, timeout.Err(), d.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the daemon: politely first, so that its databases are closed. One that
// is not up yet has nothing to close, and as the first process of its namespace it
// does not even notice a signal that it has no handler for: it gets no grace.
func (d *daemon) stop(grace time.Duration) error {
	_ = d.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(grace):
		_ = d.cmd.Process.Kill()
		<-d.done
	}
	return errors.Join(os.RemoveAll(d.tmp()), os.RemoveAll(filepath.Join(d.root, "buildkitd.sock")), removeGroups(d.state), d.dir.Close())
}

func (d *daemon) failure() error {
	<-d.done
	return fmt.Errorf("buildkitd ended (%v); its last lines in %s:\n%s", d.end, d.log, d.tail())
}

// tail returns the last lines of the daemon's log, indented.
func (d *daemon) tail() string {
	const lines = 8
	data, err := os.ReadFile(d.log)
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	all := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	var text []string
	for _, line := range all[max(0, len(all)-lines):] {
		text = append(text, "  "+string(line))
	}
	return strings.Join(text, "\n")
}
