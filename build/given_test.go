// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/engine"
)

// given starts a daemon as somebody else would, and returns where it listens and
// keeps its state.
func given(t testing.TB) (address, state string) {
	t.Helper()
	return givenBy(t, tools)
}

// givenBy is given with the programs of a folder.
func givenBy(t testing.TB, toolDir string) (address, state string) {
	t.Helper()
	needEngine(t)
	state = t.TempDir()
	lock, err := engine.Acquire(t.Context(), state, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(t.Context(), engine.Options{StateDir: state, ToolDir: toolDir, Lock: lock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(e.Close(), lock.Release()); err != nil {
			t.Error(err)
		}
	})
	return e.Address(), state
}

// TestGivenDaemon: its blobs are sent, because they do not lie here, and it is still
// there afterwards.
func TestGivenDaemon(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.toolDir = t.TempDir()
	h.address, _ = given(t)
	for _, release := range []string{"12.1-*", "12.5-base-*"} {
		if r := h.done(t, release); r.Totals.Passed != r.Totals.Cells {
			t.Errorf("cells = %v, want all passed", states(r))
		}
	}
	wantRebuilt(t, h.done(t, "12.1-*"))
}

// TestGivenDaemonDies: then nothing can be built, which is no fault of a cell.
func TestGivenDaemonDies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.toolDir = t.TempDir()
	address, state := given(t)
	h.address = address
	h.show = &watcher{text: "sleeping now", notify: func() {
		for _, pid := range daemons(t, state) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}}
	begun := time.Now()
	r, err := h.run(t.Context(), t, "12.3-*")
	if took := time.Since(begun); took > patience {
		t.Errorf("took %v", took)
	}
	if !errors.Is(err, engine.ErrUnavailable) || r == nil || r.Totals.Cancelled != 5 {
		t.Errorf("Run = %+v, %v, want five cancelled cells and ErrUnavailable", r, err)
	}
}

// TestGivenDaemonFrozen: one that stops answering in the middle is named, once.
func TestGivenDaemonFrozen(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	address, state := given(t)
	h.address, h.patience = address, 2*time.Second
	signal := func(s syscall.Signal) {
		for _, pid := range daemons(t, state) {
			_ = syscall.Kill(pid, s)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	h.show = &watcher{text: "sleeping now", notify: func() { signal(syscall.SIGSTOP) }}
	log := &watcher{text: "still waiting", notify: func() { signal(syscall.SIGCONT); cancel() }}
	h.log = slog.New(slog.NewTextHandler(log, nil))
	_, err := h.run(ctx, t, "12.3-*")
	if said := log.String(); !errors.Is(err, context.Canceled) || strings.Count(said, "still waiting") != 1 || !strings.Contains(said, address) {
		t.Errorf("Run's error = %v, log %q, want the address once", err, said)
	}
}

// TestGivenDaemonAbsent: known before anything is made.
func TestGivenDaemonAbsent(t *testing.T) {
	t.Parallel()
	h := furnish(t, t.TempDir(), t.TempDir())
	h.address = "unix://" + h.state + "/nobody.sock"
	r, err := h.run(t.Context(), t, "12.1-*")
	if !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), "nobody.sock") || r.Totals.Cancelled != 5 {
		t.Errorf("Run = %+v, %v, want five cancelled cells and ErrUnavailable with the address", r, err)
	}
}

// TestGivenDaemonFirst: it is asked before a root is bootstrapped for it.
func TestGivenDaemonFirst(t *testing.T) {
	t.Parallel()
	h := &house{state: t.TempDir(), out: t.TempDir(), catalog: load(t)}
	h.address = "unix://" + h.state + "/nobody.sock"
	r, err := h.run(t.Context(), t, "12.1-base-*")
	var address *engine.AddressError
	if !errors.As(err, &address) || address.Address != h.address || r.Totals.Cancelled != 1 {
		t.Errorf("Run = %+v, %v, want a cancelled cell and an AddressError", r, err)
	}
}
