// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Root is the files of an image: the folders of an overlay, the uppermost first.
type Root []string

// rootOf is the root that folders of layers make.
func rootOf(layers []string) (r Root) {
	for _, dir := range layers {
		r = append(r, filepath.Join(dir, filesDir))
	}
	return r
}

// maxLinks is how many links a name may lead through, as to Linux.
const maxLinks = 40

// Open opens a file as a program in the image would, without mounting it.
func (r Root) Open(name string) (*os.File, error) {
	at, found, links := "/", "", 0
	for rest := strings.Split(name, "/"); len(rest) > 0; {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		file, info, err := r.find(next)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at, found = next, file
			continue
		}
		target, err := os.Readlink(file)
		if links++; err != nil || links > maxLinks {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errors.Join(err, unix.ELOOP)}
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return os.Open(found)
}

// find returns what an overlay shows by a name that leads through no links, and where it
// lies.
func (r Root) find(name string) (file string, info fs.FileInfo, err error) {
	parts := strings.Split(strings.TrimPrefix(name, "/"), "/")
	for _, file := range r {
		covered := false
		for i, part := range parts {
			file = filepath.Join(file, part)
			info, err := os.Lstat(file)
			if errors.Is(err, fs.ErrNotExist) {
				break
			}
			switch last := i == len(parts)-1; {
			case err != nil:
				return "", nil, err
			case info.Mode().Type() == fs.ModeDevice|fs.ModeCharDevice: // a whiteout: there are no other devices
				return "", nil, fs.ErrNotExist
			case last:
				return file, info, nil
			case !info.IsDir():
				return "", nil, fs.ErrNotExist
			}
			covered = covered || isOpaque(file)
		}
		if covered {
			break
		}
	}
	return "", nil, fs.ErrNotExist
}

func isOpaque(dir string) bool {
	var value [1]byte
	n, err := unix.Lgetxattr(dir, "trusted.overlay.opaque", value[:])
	return err == nil && string(value[:n]) == "y"
}

// plain reports whether a folder is like one that archive.Apply makes for what is in it.
func plain(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode() == fs.ModeDir|0o755 && s.Uid == 0 && s.Gid == 0
}
