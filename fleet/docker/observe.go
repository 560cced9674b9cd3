// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/fleet/had"
	"github.com/cudabuild/cudabuild/fleet/observe"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// What is put into a container: the program that observes, and the file that it writes its row to.
const (
	observerFile = "/.cudabuild-observe"
	rowFile      = "/.cudabuild-row"
)

// Bounds of an observed container, as engine direct has them: 15 percent of the fewest processes that a kernel can have.
const (
	maxPids = 32768 * 15 / 100
	shmSize = 1 << 30
	tmpfs   = "rw,nosuid,nodev,exec,mode=1777,size=1g"
)

var errHangs = errors.New("the container does not come to an end")

// Observe implements [observer.Elsewhere]: it runs a test with GPUs and returns what was seen.
func (h *Host) Observe(ctx context.Context, s predict.Subject, gpus []gpu.GPU, limit time.Duration) (container.Outcome, *gpu.Seen, error) {
	want := daemon.Container{Env: slices.Clone(s.Env), HostConfig: daemon.HostConfig{
		NetworkMode: "none", CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
		PidsLimit: maxPids, ShmSize: shmSize, LogConfig: daemon.LogConfig{Type: "none"},
	}}
	if !s.Test.Own() { // else it has the image's own
		want.User, want.WorkingDir, want.HostConfig.Tmpfs = "0:0", "/", map[string]string{"/tmp": tmpfs}
	}
	if err := h.give(&want, h.names(gpus)); err != nil {
		return container.Outcome{}, nil, err
	}
	saw, err := h.observed(ctx, want, s.Ref, s.Image, s.Args, limit)
	if err != nil {
		return container.Outcome{}, nil, err
	}
	out := container.Outcome{ExitCode: -1, DeviceNodes: []string{}}
	out.Times.Create = saw.created
	if saw.problem != nil {
		out.Problem = saw.problem.Error()
		return out, nil, nil
	}
	seen := saw.row
	out.Problem = cmp.Or(seen.Problem, notGiven(gpus, seen.GPUs))
	out.ExitCode, out.TimedOut, out.Stdout, out.Stderr = seen.ExitCode, seen.TimedOut, seen.Stdout.Text(), seen.Stderr.Text()
	out.Libcuda, out.JIT, out.DeviceNodes = seen.LoadedLibcuda, seen.PTXJIT, seen.DeviceNodes
	out.Times.Run = time.Duration(seen.Seconds * float64(time.Second))
	if h.client.Local() { // one clock
		out.Times.ToMain = seen.Started.Sub(saw.begun)
	}
	return out, had.Seen(seen), nil
}

// notGiven says which other GPUs the container had than it was to get, "" if none. Where the driver's
// files are hidden, the program alone can tell.
func notGiven(want []gpu.GPU, seen []observe.GPU) string {
	for _, g := range seen {
		if !slices.ContainsFunc(want, func(w gpu.GPU) bool { return w.BusID == g.BusID }) {
			return fmt.Sprintf("the container has GPU %s (%s), which it was not given: the daemon's CDI specification numbers them in another way", g.UUID, g.BusID)
		}
	}
	return ""
}

// saw is what was seen of a container: a row, or why there is none.
type saw struct {
	row     observe.Seen
	problem error // the runtime did not start it, or it was killed
	begun   time.Time
	created time.Duration // it was, and started
}

// observed makes a container that runs a command beside the observer, and removes it.
func (h *Host) observed(ctx context.Context, want daemon.Container, ref string, img v1.Image, args []string, limit time.Duration) (s saw, err error) {
	if want.Image, err = h.bring(ctx, ref, img); err != nil {
		return s, err
	}
	program, err := h.observer()
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit+time.Minute, errHangs)
	defer cancel()
	want.Entrypoint = []string{observerFile, "run", "--limit", limit.String(), "--row", rowFile, "--"}
	want.Cmd = args
	want.Labels = map[string]string{Label: newMark(h.now().Add(limit + 10*time.Minute))}
	s.begun = time.Now()
	id, err := h.client.Create(ctx, want)
	if err != nil {
		return s, because(ctx, err)
	}
	defer func() { err = errors.Join(err, h.remove(ctx, id)) }()
	if err := h.client.Put(ctx, id, bytes.NewReader(observerArchive(program))); err != nil {
		return s, fmt.Errorf("put the observer into the container: %w", because(ctx, err))
	}
	err = h.client.Start(ctx, id)
	s.created = time.Since(s.begun)
	if refused := (*daemon.Error)(nil); errors.As(err, &refused) {
		s.problem = notStarted("start", refused)
		return s, nil
	}
	if err == nil {
		_, _, err = h.client.Wait(ctx, id)
	}
	if err != nil {
		return s, because(ctx, err)
	}
	return s, because(ctx, h.read(ctx, id, &s))
}

// because is the reason for which ctx ended, if it has, else err.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// read reads what the observer wrote in a container that has ended.
func (h *Host) read(ctx context.Context, id string, s *saw) error {
	row, err := h.client.Get(ctx, id, rowFile, observe.MaxRow)
	if err == nil {
		s.row, err = observe.Read(row, nil)
	}
	if err == nil && !s.row.Stopped {
		return nil
	}
	state, problem := h.client.State(ctx, id)
	switch {
	case problem != nil:
		return errors.Join(err, problem)
	case state.OOMKilled:
		s.problem = errors.New("killed: it used more memory than it may have (OOMKilled)")
		return nil
	case err == nil:
		return errors.New("somebody stopped the container before its program had ended")
	}
	err = fmt.Errorf("the container ended with code %d and left no row: %w", state.ExitCode, err)
	if state.ExitCode == 2 { // the observer does not know its command line
		return hint.New(err.Error(), fmt.Sprintf("observe-%s in %s is of another version than this program: 'make tools' builds it; a release has it", h.info.Arch(), h.options.Programs))
	}
	return err
}

// observerArchive is what is put into a container. Whoever the image's user is may write the row.
func observerArchive(program []byte) []byte {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range []struct {
		name string
		mode int64
		data []byte
	}{{observerFile, 0o555, program}, {rowFile, 0o666, nil}} {
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name[1:], Size: int64(len(f.data)), Mode: f.mode, ModTime: time.Unix(0, 0)}) // in memory
		_, _ = w.Write(f.data)
	}
	_ = w.Close()
	return archive.Bytes()
}

// Look asks from within a container of an image what the daemon gives to those that get all GPUs, or
// none, and returns it as facts of the host.
func (h *Host) Look(ctx context.Context, ref string, img v1.Image, none bool) (gpu.Host, error) {
	want := daemon.Container{
		Env: []string{"NVIDIA_DISABLE_REQUIRE=true"}, User: "0:0", // it is not the image that is looked at
		HostConfig: daemon.HostConfig{NetworkMode: "none", LogConfig: daemon.LogConfig{Type: "none"}},
	}
	gpus := []string{"all"}
	if none {
		gpus = nil
	}
	err := h.give(&want, gpus)
	if err != nil {
		return gpu.Host{}, err
	}
	s, err := h.observed(ctx, want, ref, img, []string{observerFile, "version"}, time.Minute)
	if err == nil && s.problem != nil {
		err = s.problem
	}
	if err == nil && s.row.Problem != "" {
		err = errors.New(s.row.Problem)
	}
	if err != nil {
		return gpu.Host{}, fmt.Errorf("look for GPUs in a container of %s: %w", h.client.Endpoint, err)
	}
	return h.facts(s.row), nil
}

// facts are what is known of the host by a row.
func (h *Host) facts(row observe.Seen) gpu.Host {
	version := h.client.Version
	return gpu.Host{
		OS: h.info.OperatingSystem, Kernel: h.info.KernelVersion, Cgroup: "v" + cmp.Or(h.info.CgroupVersion, "1"), Daemon: version.Name(), Runc: version.Runc(),
		Driver: row.Driver, CUDA: compat.DriverCUDA(row.Driver), GPUs: had.GPUs(row, gpu.GPU{}), Problems: []string{}, StandIn: row.StandIn,
	}
}

// Here reports whether the daemon's host is this one, so that what is known of this host is true there.
func (h *Host) Here(kernel, name string) bool {
	return h.client.Local() && h.info.KernelVersion == kernel && h.info.Name == name
}
