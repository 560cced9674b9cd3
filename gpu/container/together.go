// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// MPS is NVIDIA's Multi-Process Service: one server on a GPU does the work of many
// programs at the same time, where they would take turns without it.
type MPS struct {
	Control, Server string // paths of the driver's two programs
	Threads         int    // percentage of the GPU's threads that a client may use
}

// Together is what was seen of programs that ran at the same time.
type Together struct {
	Outcomes []Outcome
	// Wall is the time from the start of the first program to the end of the last.
	Wall time.Duration
	// Served is how many clients the MPS control daemon had at one time, at most.
	Served int
	// Log is what the daemon and the server wrote, the end of it.
	Log string
}

// Together runs p n times at once, each in a container of its own. With mps the
// containers share an MPS control daemon, which has a container too, and for its sake
// the namespaces of processes and of IPC and /dev/shm, which are the run's own.
func (r *Runner) Together(ctx context.Context, p Program, n int, mps *MPS) (t Together, err error) {
	dir, release, err := r.claim(ctx)
	if err != nil {
		return Together{}, err
	}
	defer func() { err = errors.Join(err, release()) }()
	g := group{}
	client := p
	client.Env = append(slices.Clone(p.Env), "CUDA_MPS_PIPE_DIRECTORY=/nonexistent") // not the host's own daemon
	if mps != nil {
		g.Daemon, client = "mps", mps.client(p, dir)
		if err := r.member(filepath.Join(dir, g.Daemon), mps.daemon(p, dir)); err != nil {
			return Together{}, err
		}
	}
	for i := range n {
		g.Members = append(g.Members, "c"+strconv.Itoa(i))
		if err := r.member(filepath.Join(dir, g.Members[i]), client); err != nil {
			return Together{}, err
		}
	}
	if err := writeJSON(filepath.Join(dir, groupFile), g); err != nil {
		return Together{}, err
	}
	ctx, cancel := bounded(ctx, p.Limit+2*daemonLimit)
	defer cancel()
	if err := r.contained(ctx, dir, nil, nil); err != nil {
		return Together{}, err
	}
	return g.outcome(dir)
}

// member makes the folder of one container of the group.
func (r *Runner) member(dir string, p Program) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return r.prepare(dir, p)
}

// outcome reads what the members left.
func (g group) outcome(dir string) (t Together, err error) {
	first, last := time.Duration(0), time.Duration(0)
	for i, name := range g.Members {
		out, err := readOutcome(filepath.Join(dir, name))
		if err != nil {
			return Together{}, err
		}
		t.Outcomes = append(t.Outcomes, out)
		if i == 0 || out.Times.ToMain < first {
			first = out.Times.ToMain
		}
		last = max(last, out.Times.ToMain+out.Times.Run)
	}
	t.Wall = last - first
	if g.Daemon != "" {
		var s service
		if err := readJSON(filepath.Join(dir, servedFile), &s); err != nil {
			return Together{}, err
		}
		t.Served, t.Log = s.Served, s.Log
	}
	return t, nil
}

// Where members of a group find what they share.
const (
	shareDir = "share"    // in the run's folder: a tmpfs
	mpsDir   = "/tmp/mps" // in containers: the daemon's pipes and logs
	mpsBin   = "/tmp/mps-bin"
)

// client is p as a client of the daemon.
func (m *MPS) client(p Program, dir string) Program {
	p.Env = append(slices.Clone(p.Env), "CUDA_MPS_PIPE_DIRECTORY="+mpsDir, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE="+strconv.Itoa(m.Threads))
	return sharing(p, dir)
}

// sharing is p as a member of a group that shares.
func sharing(p Program, dir string) Program {
	share := filepath.Join(dir, shareDir)
	p.shared = true
	p.binds = []Bind{{Source: filepath.Join(share, "shm"), Target: "/dev/shm"}, {Source: filepath.Join(share, "mps"), Target: mpsDir}}
	return p
}

// daemon is the control daemon, on the files of p's image.
func (m *MPS) daemon(p Program, dir string) Program {
	p.Args = []string{mpsBin + "/nvidia-cuda-mps-control", "-f"}
	env := []string{"CUDA_MPS_PIPE_DIRECTORY=" + mpsDir, "CUDA_MPS_LOG_DIRECTORY=" + mpsDir + "/log"}
	for _, e := range p.Env {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			e = "PATH=" + mpsBin + ":" + path
		}
		env = append(env, e)
	}
	p.Env, p.Limit = env, p.Limit+2*daemonLimit
	p = sharing(p, dir)
	p.binds = append(p.binds,
		Bind{Source: m.Control, Target: mpsBin + "/nvidia-cuda-mps-control", ReadOnly: true},
		Bind{Source: m.Server, Target: mpsBin + "/nvidia-cuda-mps-server", ReadOnly: true})
	return p
}

// join makes the container a member of a group that shares.
func (p Program) join(spec *specs.Spec) {
	leave(spec, specs.PIDNamespace, specs.IPCNamespace)
	remount(spec, bindMounts(p.binds))
}
