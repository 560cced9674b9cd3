// SPDX-License-Identifier: Apache-2.0

package files_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cudabuild/cudabuild/internal/files"
)

// TestWrite: a reader sees the old content or the new, and failure leaves nothing.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := files.Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := files.Write(path, []byte("new and longer")); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(reader); err != nil || string(data) != "old" {
		t.Errorf("a reader of the old file got %q, %v", data, err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "new and longer" {
		t.Errorf("file = %q, %v", data, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := files.Write(filepath.Join(dir, "folder"), []byte("x")); err == nil {
		t.Error("Write over a folder succeeded")
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

// TestWriteKeepsLinks: also the files that the program names itself.
func TestWriteKeepsLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "run.json")
	if err := os.Symlink("elsewhere.json", link); err != nil {
		t.Fatal(err)
	}
	if err := files.Write(link, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	kept(t, link, fs.ModeSymlink)
	if data, err := os.ReadFile(filepath.Join(dir, "elsewhere.json")); err != nil || !bytes.Equal(data, []byte("{}")) {
		t.Errorf("%q, %v", data, err)
	}
	clean(t, dir, 2)
}

// TestUnnamed: nothing of it is in the folder, and what is written can be read anywhere.
func TestUnnamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := files.Unnamed(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	clean(t, dir, 0)
	text := make([]byte, 4)
	_, err = f.WriteAt([]byte("text"), 3)
	if _, readErr := f.ReadAt(text, 3); err != nil || readErr != nil || string(text) != "text" {
		t.Errorf("it has %q: %v, %v", text, err, readErr)
	}
}
