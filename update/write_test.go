// SPDX-License-Identifier: Apache-2.0

package update

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPut: if one file of several cannot be written, those before it are as they were.
func TestPut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "a"), 0o755),
		os.WriteFile(filepath.Join(dir, "a", "1"), []byte("old"), 0o644),
		os.Symlink("nowhere/at/all", filepath.Join(dir, "a", "3")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	written, err := put(dir, map[string][]byte{"a/1": []byte("new"), "a/2": []byte("new"), "a/3": []byte("new")})
	if err == nil || written != nil {
		t.Errorf("put = %v, %v, want an error", written, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "a", "1")); string(data) != "old" {
		t.Errorf("the first is %q, %v", data, err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "a")); len(entries) != 2 {
		t.Errorf("%v, %v: want the first and the link", entries, err)
	}
}
