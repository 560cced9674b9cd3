// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/gpu/rootfs"
	"github.com/cudabuild/cudabuild/internal/contain"
)

// Engine is what brings the driver into a container.
type Engine string

// The engines.
const (
	Direct Engine = "direct" // a CDI specification and runc
	Nvidia Engine = "nvidia" // nvidia-container-runtime, which starts runc
)

// Engines returns those whose containers are made here.
func Engines() []Engine { return []Engine{Direct, Nvidia} }

// The engines that somebody else's daemon is (package fleet/docker).
const (
	Docker Engine = "docker"
	Podman Engine = "podman"
)

// OfDaemon reports whether the containers are a daemon's.
func (e Engine) OfDaemon() bool { return e == Docker || e == Podman }

// Runner knows the programs that a container needs.
type Runner struct {
	// Dir keeps what runs need while they last.
	Dir string
	// Inside is the command that calls [Inside] with the argument that is added to it.
	Inside []string
	// Paths of the programs. Direct needs runc and the hook, Nvidia all three.
	Runc, Hook, Runtime string
	// Libraries is the folder of the driver's libraries where it is not one that a
	// dynamic linker searches, else "". The nvidia engine would not find it.
	Libraries string
}

// Program is what one container runs.
type Program struct {
	Root      rootfs.Root // the unpacked image
	Args, Env []string
	Engine    Engine
	CDI       []byte   // the specification, for Direct
	Devices   []string // UUIDs; none means no GPU at all
	Limit     time.Duration
	Open      *Open // nil for a program that is as shut as can be
	Bounds    Bounds

	attached bool   // to a caller's streams, or to a terminal
	shared   bool   // it shares the run's namespaces of processes and of IPC
	binds    []Bind // that it gets besides

	bare []string // the command of a hook that gets no environment from us, to see what the runtime gives it
}

// Outcome is what was seen of a run.
type Outcome struct {
	// Problem says why the program did not run, "" if it did.
	Problem        string
	ExitCode       int // -1 where a signal ended it
	TimedOut       bool
	Stdout, Stderr []byte // the first and the last 2 MiB of each
	Libcuda        string // the mapped file, "" if none was seen
	JIT            bool   // the driver's compiler of PTX was mapped
	DeviceNodes    []string
	Diff           []string // paths of the overlay diff: what the run left in the root file system
	Times          Times
	// DiffTar is the overlay diff as the archive of a layer.
	DiffTar []byte `json:"-"`
}

// Times says how long each part took.
type Times struct{ Config, Create, Hooks, Start, ToMain, Run time.Duration }

// Run runs a program and returns what was seen. An error means that nothing can be
// said about the image; a program that fails is an outcome.
func (r *Runner) Run(ctx context.Context, p Program) (out Outcome, err error) {
	dir, release, err := r.claim(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer func() { err = errors.Join(err, release()) }()
	return r.do(ctx, dir, p)
}

// do runs a program in the folder of a run.
func (r *Runner) do(ctx context.Context, dir string, p Program) (Outcome, error) {
	if err := r.prepare(dir, p); err != nil {
		return Outcome{}, err
	}
	ctx, cancel := bounded(ctx, p.Limit)
	defer cancel()
	if err := r.contained(ctx, dir, nil, nil); err != nil {
		return Outcome{}, err
	}
	return readOutcome(dir)
}

// prepare writes the OCI bundle of a program and its job into dir.
func (r *Runner) prepare(dir string, p Program) error {
	begin, hooks := time.Now(), marks{}
	if !p.attached { // there nobody asks how long they take
		hooks = newMarks(dir)
	}
	if err := p.writeConfig(dir, hooks); err != nil {
		return err
	}
	config := time.Since(begin)
	j, err := r.job(dir, p)
	if err != nil {
		return err
	}
	j.Config = config
	return writeJSON(filepath.Join(dir, jobFile), j)
}

// bounded ends a runtime or a hook that hangs. The limit inside, shorter, ends the program.
func bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit+30*time.Second, errors.New("the container runtime or a hook does not come to an end"))
}

// readOutcome reads what Inside saw of an observed program.
func readOutcome(dir string) (out Outcome, err error) {
	if err := readJSON(filepath.Join(dir, outcomeFile), &out); err != nil {
		return Outcome{}, err
	}
	out.Times.Hooks = newMarks(dir).between()
	if out.DiffTar, err = os.ReadFile(filepath.Join(dir, diffFile)); errors.Is(err, fs.ErrNotExist) {
		err = nil // of a program with a writable root
	}
	return out, err
}

// contained has Inside do what is prepared in dir, in namespaces of its own, which get
// files and are reported to started, if that is not nil.
func (r *Runner) contained(ctx context.Context, dir string, files []*os.File, started func(error)) error {
	cmd := contain.Command(r.Inside[0], append(r.Inside[1:], dir)...)
	log := new(strings.Builder)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, files
	cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWIPC // for containers that share one
	cmd.WaitDelay = 30 * time.Second
	err := contain.Run(ctx, cmd, started)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("container: %w: %s", err, strings.TrimSpace(log.String()))
}

// between is the time between the marks, 0 if they were not made.
func (m marks) between() time.Duration {
	begin, err1 := os.Stat(m.begin)
	end, err2 := os.Stat(m.end)
	if err1 != nil || err2 != nil {
		return 0
	}
	return end.ModTime().Sub(begin.ModTime())
}

// maxJSON bounds the files that pass between the two halves of a run.
const maxJSON = 64 << 20

func readJSON(name string, value any) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return json.NewDecoder(io.LimitReader(f, maxJSON)).Decode(value)
}
