// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	bk "github.com/moby/buildkit/client"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/require"
)

// TestSocketOfOthers: whom a socket is not for is told about its group, not to start a BuildKit.
func TestSocketOfOthers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		require.Missing(t, "buildkit", errors.New("not root"))
	}
	path := filepath.Join(t.TempDir(), "bk.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	refused := errors.New("refused")
	if err := why(t.Context(), "unix://"+path, refused); err != refused { //nolint:errorlint // the same, with nothing around it
		t.Errorf("why = %v at a socket of this user, want what it was given", err)
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := syscall.Setfsuid(12345); err != nil {
		t.Fatal(err)
	}
	err = why(t.Context(), "unix://"+path, refused)
	_ = syscall.Setfsuid(0) // for the cleanup
	if !errors.Is(err, refused) || !strings.Contains(err.Error(), "not for this user") || !strings.Contains(hint.Of(err), "group") {
		t.Errorf("why = %v, hint %q, want that it is not for this user", err, hint.Of(err))
	}
}

// TestSilentAtTheStart: a daemon that takes the connection and says nothing, as a frozen one
// does, is silent, and not what gRPC says when it gives up.
func TestSilentAtTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // whose clock is its own
		frozen := func(context.Context, string) (net.Conn, error) {
			conn, deaf := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, deaf) }()
			return conn, nil
		}
		c, err := bk.New(t.Context(), "tcp://127.0.0.1:1", connecting(30*time.Second), bk.WithContextDialer(frozen))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err = within(t.Context(), 30*time.Second, (&Engine{Client: c}).introduce)
		if waited := time.Since(start); !errors.Is(err, errSilent) || waited != 30*time.Second || !strings.Contains(err.Error(), "it has not answered for 30s") {
			t.Errorf("within = %v after %v, want errSilent after 30s", err, waited)
		}
		_ = c.Close()
	})
}
