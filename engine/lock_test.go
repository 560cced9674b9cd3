// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/engine"
)

func TestAcquireCreates(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	lock := acquire(t, dir)
	if lock.Dir != dir {
		t.Errorf("Dir = %q, want %q", lock.Dir, dir)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("state directory: %v, %v, want mode 0700", info.Mode(), err)
	}
}

func TestAcquireBusy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock := acquire(t, dir)
	second, err := engine.Acquire(t.Context(), dir, nil)
	var busy *engine.BusyError
	if second != nil || !errors.As(err, &busy) {
		t.Fatalf("Acquire = %v, %v, want nil, BusyError", second, err)
	}
	if busy.PID != os.Getpid() || busy.Dir != dir || !strings.Contains(err.Error(), dir) {
		t.Errorf("BusyError = %+v (%v), want %s and pid %d", busy, err, dir, os.Getpid())
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	inherit(t, dir)
}

func TestAcquireWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := acquire(t, dir)
	called := 0
	second, err := engine.Acquire(t.Context(), dir, func(busy *engine.BusyError) {
		called++
		if busy.PID != os.Getpid() {
			t.Errorf("waiting for pid %d, want %d", busy.PID, os.Getpid())
		}
		time.AfterFunc(250*time.Millisecond, func() { _ = first.Release() }) // several tries later
	})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Release()
	if called != 1 {
		t.Errorf("waiting was called %d times, want once", called)
	}
}

func TestAcquireCancelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acquire(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	lock, err := engine.Acquire(ctx, dir, func(*engine.BusyError) { cancel() })
	var busy *engine.BusyError
	if lock != nil || !errors.Is(err, context.Canceled) || !errors.As(err, &busy) {
		t.Errorf("Acquire = %v, %v, want nil, and an error that is both BusyError and Canceled", lock, err)
	}
}

// TestAcquireStale: a lock file with garbage in it belongs to nobody.
func TestAcquireStale(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(strings.Repeat("no number ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	acquire(t, dir)
	_, err := engine.Acquire(t.Context(), dir, nil)
	var busy *engine.BusyError
	if !errors.As(err, &busy) || busy.PID != os.Getpid() {
		t.Errorf("Acquire = %v, want BusyError with pid %d", err, os.Getpid())
	}
}

func TestAcquireImpossible(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := engine.Acquire(t.Context(), file, nil)
	if lock != nil || err == nil || !strings.Contains(err.Error(), "state directory") {
		t.Errorf("Acquire = %v, %v, want nil, an error about the state directory", lock, err)
	}
}
