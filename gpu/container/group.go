// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Files of a group's folder. Each member has a folder in it, which is one like that
// of a single run.
const (
	groupFile  = "group.json"
	servedFile = "mps.json"
)

// service is what was seen of the MPS control daemon.
type service struct {
	Served int // the most clients at one time
	Log    string
}

// daemonLimit bounds the start and the end of the MPS control daemon.
const daemonLimit = time.Minute

// group is what Inside is to do when programs run together.
type group struct {
	Members []string // folders
	Daemon  string   // that of the MPS control daemon, "" if there is none
}

// run does the jobs of all members at the same time, in one set of namespaces.
func (g group) run(ctx context.Context, dir string) error {
	if g.Daemon == "" {
		return g.members(ctx, dir)
	}
	share := filepath.Join(dir, shareDir)
	if err := makeShare(share); err != nil {
		return err
	}
	served := 0
	d, err := startDaemon(ctx, filepath.Join(dir, g.Daemon))
	if err == nil {
		most := d.watch(ctx)
		err = g.members(ctx, dir)
		served = most()
		d.quit(ctx)
	}
	log := tail(readLogs(filepath.Join(share, "mps", "log")))
	if err != nil {
		return fmt.Errorf("%w: %s", err, log)
	}
	return writeJSON(filepath.Join(dir, servedFile), service{served, log})
}

func (g group) members(ctx context.Context, dir string) error {
	errs := make([]error, len(g.Members))
	var all sync.WaitGroup
	for i, name := range g.Members {
		all.Go(func() { errs[i] = runJob(ctx, filepath.Join(dir, name)) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// makeShare mounts what the members share.
func makeShare(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=755,size=1g"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	shm := filepath.Join(dir, "shm")
	return errors.Join(os.MkdirAll(filepath.Join(dir, "mps", "log"), 0o755), os.Mkdir(shm, 0o777), os.Chmod(shm, 0o1777))
}

// readLogs returns the daemon's and the server's logs.
func readLogs(dir string) []byte {
	var all []byte
	for _, name := range []string{"server.log", "control.log"} {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		all = append(all, text...)
	}
	return all
}

// daemon is a running MPS control daemon.
type daemon struct {
	dir  string
	job  job
	done chan error
}

// startDaemon starts the job in dir and waits until the daemon has a server, so that
// the first client does not wait for it. That there is none is no error here: it shows
// in the clients.
func startDaemon(ctx context.Context, dir string) (*daemon, error) {
	d := &daemon{dir: dir, done: make(chan error, 1)}
	if err := readJSON(filepath.Join(dir, jobFile), &d.job); err != nil {
		return nil, err
	}
	go func() { d.done <- runJob(ctx, dir) }()
	if err := d.until(ctx, "get_server_list", func(string) bool { return true }); err != nil {
		return nil, err
	}
	_, _ = d.ask(ctx, "start_server -uid 0")
	_ = d.until(ctx, "get_server_list", func(answer string) bool { return strings.TrimSpace(answer) != "" })
	return d, nil
}

// until asks until the answer is as wanted.
func (d *daemon) until(ctx context.Context, question string, wanted func(answer string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, daemonLimit)
	defer cancel()
	for {
		answer, err := d.ask(ctx, question)
		if err == nil && wanted(answer) {
			return nil
		}
		select {
		case end := <-d.done:
			d.done <- end
			return fmt.Errorf("the MPS control daemon ended: %w", errors.Join(end, d.last()))
		case <-ctx.Done():
			return fmt.Errorf("the MPS control daemon does not answer: %w: %s", err, answer)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// last is what the ended daemon's container had to say.
func (d *daemon) last() error {
	var out Outcome
	if err := readJSON(filepath.Join(d.dir, outcomeFile), &out); err != nil {
		return err
	}
	return fmt.Errorf("%s exit code %d: %s%s", out.Problem, out.ExitCode, tail(out.Stdout), tail(out.Stderr))
}

// ask gives the daemon a command, through its own program in its own container.
func (d *daemon) ask(ctx context.Context, command string) (string, error) {
	cmd := d.job.command(ctx, "exec", containerID, mpsBin+"/nvidia-cuda-mps-control")
	cmd.Stdin = strings.NewReader(command + "\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	return out.String(), err
}

// watch asks for the daemon's clients until the returned function is called, which
// returns the most that there were at one time.
func (d *daemon) watch(ctx context.Context) (most func() int) {
	n, over := 0, make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for {
			n = max(n, d.clients(ctx))
			select {
			case <-over:
				n = max(n, d.clients(ctx))
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	return func() int {
		close(over)
		watcher.Wait()
		return n
	}
}

// clients is how many programs the daemon's servers do work of.
func (d *daemon) clients(ctx context.Context) (n int) {
	servers, _ := d.ask(ctx, "get_server_list") // the daemon that no longer answers has none
	for _, server := range strings.Fields(servers) {
		clients, _ := d.ask(ctx, "get_client_list "+server)
		n += len(strings.Fields(clients))
	}
	return n
}

// quit ends the daemon and its server. If they do not end, they do with the run's
// namespaces.
func (d *daemon) quit(ctx context.Context) {
	_, _ = d.ask(ctx, "quit")
	select {
	case err := <-d.done:
		_ = err // it has served; its log tells how
	case <-time.After(daemonLimit):
	}
}
