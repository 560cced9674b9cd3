// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"github.com/cudabuild/cudabuild/internal/files"
)

// Whoever can write to the cache decides what is found. The checksum in its files is
// against damage, not against people: so only what nobody else can write is believed.

// ownCache returns dir, or "" with a warning if somebody else may have written there.
// One that is not there yet is made for this user alone.
func ownCache(dir string) string {
	if dir == "" {
		return ""
	}
	info, err := os.Stat(dir)
	if err != nil {
		return dir
	}
	if err := checkOwnership(info); err != nil {
		slog.Warn("cache of facts not used", "dir", dir, "because", err)
		return ""
	}
	return dir
}

// readOwn reads a file of the cache; an error other than fs.ErrNotExist is a warning.
func readOwn(name string) ([]byte, error) {
	data, err := func() ([]byte, error) {
		f, err := files.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err == nil {
			err = checkOwnership(info)
		}
		if err != nil {
			return nil, err
		}
		return io.ReadAll(f)
	}()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		slog.Warn("file of the cache not used", "file", name, "because", err)
	}
	return data, err
}

// checkOwnership returns an error if anybody but this user and root can have written to
// what info is about.
func checkOwnership(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("its owner is not known")
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to user %d", st.Uid)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others may write to it: its mode is %04o", info.Mode().Perm())
	}
	return nil
}
