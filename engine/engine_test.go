// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/require"
)

const tools = "../bin"

func acquire(t testing.TB, dir string) *engine.Lock {
	t.Helper()
	lock, err := engine.Acquire(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Release() })
	return lock
}

// open starts a daemon in dir, or ends the test where there cannot be one.
func open(t testing.TB, dir string) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.Context(), engine.Options{StateDir: dir, ToolDir: tools, Lock: acquire(t, dir)})
	if errors.Is(err, engine.ErrUnavailable) {
		require.Missing(t, "buildkit", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestOwned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := open(t, dir)
	workers, err := e.Client.ListWorkers(t.Context())
	if err != nil || len(workers) != 1 {
		t.Fatalf("ListWorkers = %v, %v, want one worker", workers, err)
	}
	if got := workers[0].Labels["org.mobyproject.buildkit.worker.snapshotter"]; got != "overlayfs" {
		t.Errorf("snapshotter = %q, want overlayfs", got)
	}
	if len(workers[0].GCPolicy) != 1 {
		t.Errorf("GC policy = %v, want ours alone", workers[0].GCPolicy)
	}
	if info, err := os.Stat(engine.Options{StateDir: dir}.ContentDir()); err != nil || !info.IsDir() {
		t.Errorf("ContentDir: %v", err)
	}
	pids := using(t, dir)
	if len(pids) == 0 {
		t.Error("no process found of a running daemon")
	}
	if info, err := os.Stat(filepath.Join(dir, "engine", "buildkitd.sock")); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("socket: %v, %v, want one with mode 0600", info, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, dir)
}

// TestLongStateDir: a socket's path may have 107 bytes, a state directory 4095.
func TestLongStateDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, dir)
}

// TestForget: what a daemon has built goes, the rest of the state directory stays.
func TestForget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "engine", "runc-overlayfs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bases"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (engine.Options{StateDir: dir}).Forget(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(dir + "/*"); err != nil || len(left) != 1 || filepath.Base(left[0]) != "bases" {
		t.Errorf("left: %v, %v, want bases alone", left, err)
	}
}

// TestReopen: what one daemon leaves must not keep the next from starting.
func TestReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock := acquire(t, dir)
	for range 2 {
		e, err := engine.Open(t.Context(), engine.Options{StateDir: dir, ToolDir: tools, Lock: lock})
		if errors.Is(err, engine.ErrUnavailable) {
			require.Missing(t, "buildkit", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	nothingLeft(t, dir)
}

func TestDied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := open(t, dir)
	kill(t, using(t, dir))
	select {
	case <-e.Died():
	case <-time.After(patience):
		t.Fatal("Died was not closed after the daemon was killed")
	}
	text := e.Failure().Error()
	if !strings.Contains(text, "killed") || !strings.Contains(text, "engine.log") || strings.Count(text, "\n") < 2 {
		t.Errorf("Failure = %q, want how it ended, the log's path, and its last lines", text)
	}
	if err := e.Close(); err != nil {
		t.Errorf("Close after the daemon's death: %v", err)
	}
	nothingLeft(t, dir)
}

// TestCancelWhileStarting: an Open that is given up must not leave its daemon.
func TestCancelWhileStarting(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond} {
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), after)
		e, err := engine.Open(ctx, engine.Options{StateDir: dir, ToolDir: tools, Lock: acquire(t, dir)})
		if err == nil {
			_ = e.Close() // it was faster
			if after == 0 {
				t.Error("Open heeds no context that had ended before")
			}
		} else if errors.Is(err, engine.ErrUnavailable) {
			require.Missing(t, "buildkit", err)
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Open cancelled after %v = %v, want DeadlineExceeded", after, err)
		}
		cancel()
		nothingLeft(t, dir)
	}
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = deaf.Close() })
	cases := map[string]struct {
		options engine.Options
		want    string
	}{
		"silent":          {engine.Options{Address: "tcp://" + deaf.Addr().String(), Patience: 50 * time.Millisecond}, "tcp://" + deaf.Addr().String() + ": it has not answered for 50ms"},
		"nothing answers": {engine.Options{Address: "unix://" + empty + "/buildkitd.sock"}, empty + "/buildkitd.sock"},
		"bad address":     {engine.Options{Address: "carrier-pigeon://coop"}, "carrier-pigeon"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := engine.Open(t.Context(), test.options)
			if e != nil || !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open = %v, %v, want nil, ErrUnavailable with %q", e, err, test.want)
			}
			var address *engine.AddressError
			if !errors.As(err, &address) || address.Address != test.options.Address {
				t.Errorf("Open's error = %v, want an AddressError for %s", err, test.options.Address)
			}
		})
	}
}

// TestWrongForms: an address that cannot be one is a mistake of usage, with what was meant.
func TestWrongForms(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:1234":        "did you mean tcp://127.0.0.1:1234",
		"unix:///a?cacert=ca":   "unix:///PATH takes no parameters",
		"carrier-pigeon://coop": "tcp://HOST:PORT",
	} {
		_, err := engine.Open(t.Context(), engine.Options{Address: address})
		if !errors.Is(err, engine.ErrUnavailable) || hint.Code(err, 3) != 2 || !strings.Contains(hint.Of(err), want) {
			t.Errorf("%s: %v, hint %q, code %d, want %q and 2", address, err, hint.Of(err), hint.Code(err, 3), want)
		}
	}
}

// TestNoTools cannot be parallel: it empties PATH.
func TestNoTools(t *testing.T) {
	if os.Geteuid() != 0 {
		require.Missing(t, "buildkit", errors.New("not root"))
	}
	t.Setenv("PATH", t.TempDir())
	dir := t.TempDir()
	e, err := engine.Open(t.Context(), engine.Options{StateDir: dir, ToolDir: t.TempDir(), Lock: acquire(t, dir)})
	if e != nil || !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), "buildkitd") || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("Open = %v, %v, want nil, ErrUnavailable naming buildkitd and 'make tools'", e, err)
	}
}

// TestBrokenDaemon: a buildkitd that ends at once is told from one that is slow.
func TestBrokenDaemon(t *testing.T) { // not parallel: it writes programs and runs them
	if os.Geteuid() != 0 {
		require.Missing(t, "buildkit", errors.New("not root"))
	}
	dir, bin := t.TempDir(), t.TempDir()
	script := "#!/bin/sh\necho 'cannot bear this machine' >&2\nexit 7\n"
	for _, name := range []string{"buildkitd", "runc"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	e, err := engine.Open(t.Context(), engine.Options{StateDir: dir, ToolDir: bin, Lock: acquire(t, dir)})
	if e != nil || !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), "cannot bear this machine") || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("Open = %v, %v, want nil, ErrUnavailable with the daemon's last line and exit status", e, err)
	}
	nothingLeft(t, dir)
}
