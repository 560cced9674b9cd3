// SPDX-License-Identifier: Apache-2.0

package files_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/internal/files"
)

func lock(t *testing.T, name string) *files.Lock {
	t.Helper()
	l, err := files.TryLock(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLock: a file, made or there, and a folder; what is in a file stays, and a number in
// it is that of its owner.
func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("a line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, sign := range map[string]bool{filepath.Join(dir, "new"): true, text: false, dir + "/": false} {
		first, want := lock(t, name), 0
		if sign {
			want = os.Getpid()
			if err := first.Sign(); err != nil {
				t.Fatal(err)
			}
		}
		_, err := files.TryLock(name)
		var held *files.HeldError
		if !errors.As(err, &held) || held.Name != name || held.PID != want {
			t.Errorf("%s: the second TryLock: %v, want that pid %d holds it", name, err, want)
		}
		first.Unlock()
		lock(t, name).Unlock()
	}
	if data, err := os.ReadFile(text); err != nil || string(data) != "a line\n" {
		t.Errorf("what was locked has %q, %v", data, err)
	}
	for _, name := range []string{"absent/lock", "absent/"} {
		if _, err := files.TryLock(dir + "/" + name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want that nothing is there", name, err)
		}
	}
}

// TestWaitLock: who waits gets a file that the owner has not removed, or the end of ctx.
func TestWaitLock(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lock")
	for _, removed := range []bool{false, true} {
		first := lock(t, name)
		time.AfterFunc(50*time.Millisecond, func() {
			if removed {
				_ = os.Remove(name)
			}
			first.Unlock()
		})
		second, err := files.WaitLock(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if !files.Same(name, second.File) {
			t.Error("the lock is of a file that nobody else can find")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		_, err = files.WaitLock(ctx, name)
		cancel()
		var held *files.HeldError
		if !errors.As(err, &held) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("at the end of the context: %v, want that it is held, and that", err)
		}
		second.Unlock()
	}
}
