// SPDX-License-Identifier: Apache-2.0

package files_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/internal/files"
)

// write gives a file its content by way of files.Create.
func write(ctx context.Context, name, text string) error {
	out, err := files.Create(ctx, name)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return out.Close(err)
}

// TestOutputKeepsWhatIsThere: what is no regular file is written to, and stays what it is.
func TestOutputKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, through := range []string{"name", "link", "link to a link", "link in a folder that is one"} {
		dir := t.TempDir()
		fifo := filepath.Join(dir, "fifo")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		name := fifo
		links := map[string]string{"link": fifo, "link to a link": "link", "link in a folder that is one": "folder/fifo"}
		if err := errors.Join(os.Symlink(".", filepath.Join(dir, "folder")), os.Symlink("fifo", filepath.Join(dir, "link")), os.Symlink("link", filepath.Join(dir, "second"))); err != nil {
			t.Fatal(err)
		}
		switch through {
		case "link":
			name = filepath.Join(dir, "link")
		case "link to a link":
			name = filepath.Join(dir, "second")
		case "link in a folder that is one":
			name = filepath.Join(dir, links[through])
		}
		read := make(chan string)
		go func() {
			data, _ := os.ReadFile(fifo)
			read <- string(data)
		}()
		if err := write(t.Context(), name, "text"); err != nil {
			t.Errorf("%s: %v", through, err)
		}
		if got := <-read; got != "text" {
			t.Errorf("%s: the other end of the pipe read %q", through, got)
		}
		kept(t, fifo, fs.ModeNamedPipe)
		kept(t, filepath.Join(dir, "link"), fs.ModeSymlink)
		kept(t, filepath.Join(dir, "second"), fs.ModeSymlink)
		clean(t, dir, 4)
	}
}

func kept(t *testing.T, name string, want fs.FileMode) {
	t.Helper()
	if info, err := os.Lstat(name); err != nil || info.Mode().Type() != want {
		t.Errorf("%s is %v, %v, want %v", name, info, err, want)
	}
}

// clean checks that a folder has so many entries: no temporary file is left.
func clean(t *testing.T, dir string, want int) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != want {
		t.Errorf("%s has %v, %v, want %d", dir, entries, err, want)
	}
}

// TestOutputOfRegularFiles: a file, new or old, appears whole or not at all, and through
// a link it is the link's.
func TestOutputOfRegularFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.Mkdir(at("sub"), 0o755), os.WriteFile(at("old"), []byte("old"), 0o600),
		os.Symlink("sub/new", at("dangling")), os.Symlink("old", at("link")), os.Symlink("loop", at("loop"))); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"dangling": "sub/new", "link": "old", "new": "new"} {
		if err := write(t.Context(), at(name), "text of "+name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if data, err := os.ReadFile(at(file)); err != nil || string(data) != "text of "+name {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	kept(t, at("link"), fs.ModeSymlink)
	kept(t, at("dangling"), fs.ModeSymlink)
	out, err := files.Create(t.Context(), at("old"))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	_, _ = io.WriteString(out, "half")
	if err := out.Close(broken); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}
	if data, _ := os.ReadFile(at("old")); string(data) != "text of link" {
		t.Errorf("a file that was not finished has %q", data)
	}
	for _, name := range []string{"sub", "sub/", "loop", "absent/x", ""} {
		if err := write(t.Context(), at("")+"/"+name, "x"); err == nil {
			t.Errorf("%q can be written to", name)
		}
	}
	clean(t, dir, 6)
	clean(t, at("sub"), 1)
}

// TestOutputOfDescriptors: what is open already is written to where it stands, also if
// it is a regular file.
func TestOutputOfDescriptors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(fmt.Sprintf("/dev/fd/%d", f.Fd()), link); err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, name := range []string{"/dev/fd/%d", "/proc/self/fd/%d", fmt.Sprintf("/proc/%d/fd/", os.Getpid()) + "%d", "/dev/../dev/fd/%d", link} {
		name = strings.Replace(name, "%d", fmt.Sprint(f.Fd()), 1)
		if _, err := f.WriteString("before "); err != nil {
			t.Fatal(err)
		}
		if err := write(t.Context(), name, "text of "+filepath.Base(filepath.Dir(name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want += "before text of " + filepath.Base(filepath.Dir(name))
		if data, _ := os.ReadFile(file); string(data) != want {
			t.Errorf("%s: the file has %q, want %q", name, data, want)
		}
	}
	clean(t, filepath.Dir(file), 1)
	if err := write(t.Context(), "/dev/fd/999", "x"); err == nil {
		t.Error("a descriptor that is not open can be written to")
	}
}

// TestOutputOfDevices: a full device is an error, and both are there afterwards.
func TestOutputOfDevices(t *testing.T) {
	t.Parallel()
	if err := write(t.Context(), os.DevNull, "x"); err != nil {
		t.Error(err)
	}
	if err := write(t.Context(), "/dev/full", "x"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("/dev/full: %v, want that it is", err)
	}
	kept(t, os.DevNull, fs.ModeDevice|fs.ModeCharDevice)
	kept(t, "/dev/full", fs.ModeDevice|fs.ModeCharDevice)
}

// TestOutputGivesUp: nobody reads the pipe, and the wait ends with the context.
func TestOutputGivesUp(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := write(ctx, fifo, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("without a reader: %v", err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := write(ctx, fifo, strings.Repeat("x", 1<<20)); !errors.Is(err, context.Canceled) {
		t.Errorf("a reader that does not read: %v", err)
	}
	kept(t, fifo, fs.ModeNamedPipe)
}
