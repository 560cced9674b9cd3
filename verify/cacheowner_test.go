// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/verify"
)

// ownDir is a folder to which nobody else can write, whatever the umask is.
func ownDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCacheOfOthersIsNotUsed: facts that somebody else may have written are not
// believed; a pipe in their place is not waited for.
func TestCacheOfOthersIsNotUsed(t *testing.T) {
	t.Parallel()
	other := os.Geteuid() + 1
	for name, change := range map[string]func(dir, file string) error{
		"folder of anybody":  func(dir, _ string) error { return os.Chmod(dir, 0o777|fs.ModeSticky) },
		"folder of a group":  func(dir, _ string) error { return os.Chmod(dir, 0o770) },
		"file of anybody":    func(_, file string) error { return os.Chmod(file, 0o666) },
		"folder of somebody": func(dir, _ string) error { return os.Chown(dir, other, -1) },
		"file of somebody":   func(_, file string) error { return os.Chown(file, other, -1) },
		"pipe": func(_, file string) error {
			_ = os.Remove(file)
			return unix.Mkfifo(file, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := ownDir(t)
			img := imagetest.New(layer(map[string]imagetest.Entry{"a": {Data: "x"}}))
			read := func() int64 {
				report, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", img)
				if err != nil || report.Verdict != verify.Pass {
					t.Fatalf("Image = %s, %v", report.Verdict, err)
				}
				return report.Stats.BytesRead
			}
			read()
			files, err := filepath.Glob(filepath.Join(dir, "*.facts"))
			if err != nil || len(files) != 1 || read() != 0 {
				t.Fatalf("nothing came from the cache: %q, %v", files, err)
			}
			err = change(dir, files[0])
			if errors.Is(err, fs.ErrPermission) {
				require.Missing(t, "root", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if read() == 0 {
				t.Error("facts were believed that others may have written")
			}
		})
	}
}
