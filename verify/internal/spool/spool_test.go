// SPDX-License-Identifier: Apache-2.0

package spool_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cudabuild/cudabuild/verify/internal/spool"
)

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	space := spool.NewSpace(dir, 10)
	a, b := space.New(), space.New()
	_, _ = a.WriteAt([]byte("hello"), 1<<20)
	_, _ = b.WriteAt([]byte("other"), 0)
	names, err := os.ReadDir(dir)
	if err != nil || len(names) > 0 {
		t.Errorf("the folder has %v, %v", names, err)
	}
	got := make([]byte, 5)
	if _, err := a.ReadAt(got, 1<<20); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := a.ReadAt(got, 0); err != nil || !bytes.Equal(got, make([]byte, 5)) {
		t.Errorf("a hole reads %q, %v", got, err)
	}
	// One byte too many: the file holds nothing any more, and the others have its room.
	_, _ = a.WriteAt([]byte("x"), 0)
	if _, err := a.ReadAt(got, 1<<20); !errors.Is(err, spool.ErrFull) || !errors.Is(a.Err(), spool.ErrFull) {
		t.Errorf("full: %v", err)
	}
	_, _ = b.WriteAt([]byte("more."), 5)
	if _, err := b.ReadAt(got, 5); err != nil || string(got) != "more." {
		t.Errorf("read %q, %v", got, err)
	}
	a.Close()
	b.Close()
	c := space.New()
	_, _ = c.WriteAt(make([]byte, 10), 0)
	if c.Err() != nil {
		t.Errorf("after Close: %v", c.Err())
	}
	c.Close()
}

func TestNoFolder(t *testing.T) {
	t.Parallel()
	f := spool.NewSpace(filepath.Join(t.TempDir(), "missing"), 10).New()
	defer f.Close()
	_, _ = f.WriteAt([]byte("x"), 0)
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadAt: %v", err)
	}
}
