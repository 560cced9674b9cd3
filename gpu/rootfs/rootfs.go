// SPDX-License-Identifier: Apache-2.0

// Package rootfs turns images into root file systems, once for each image.
//
// [Store.Unpack] returns the folder of an image's files, all layers applied. Images
// are not trusted: containerd's archive package keeps every path, link and whiteout
// inside of the folder, and this package keeps device nodes, sockets, set-user-ID
// bits and extended attributes out, checks every layer against the digest that the
// configuration names, and bounds what is written. Folders are shared by all runs
// and must not be written to: mount an overlay on them.
package rootfs

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/pkg/archive"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/files"
)

// DefaultMaxBytes bounds the decoded layers of one image.
const DefaultMaxBytes = 64 << 30

// Store keeps root file systems by the digest of their image.
type Store struct {
	dir string
	// MaxBytes bounds the decoded layers of one image.
	MaxBytes int64
}

// Open returns the store in dir, which is made if it is missing. It removes what
// an unpacking that was killed has left.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, MaxBytes: DefaultMaxBytes}
	lock, err := s.lock(context.Background())
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	stale, err := fs.Glob(os.DirFS(dir), "*.new") // dir is no pattern
	for _, name := range stale {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
	}
	return s, err
}

// lock makes this process the only one that writes to the store.
func (s *Store) lock(ctx context.Context) (*files.Lock, error) {
	return files.WaitLock(ctx, filepath.Join(s.dir, "lock"))
}

// Unpack returns the folder with the files of img. An image that was unpacked before
// costs nothing.
func (s *Store) Unpack(ctx context.Context, img v1.Image) (string, error) {
	digest, err := img.Digest()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(s.dir, digest.Hex)
	lock, err := s.lock(ctx)
	if err != nil {
		return "", err
	}
	defer lock.Unlock()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	tmp := dir + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return "", err
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return "", err
	}
	if err := s.fill(ctx, tmp, img); err != nil {
		return "", errors.Join(fmt.Errorf("unpack %s: %w", digest, err), os.RemoveAll(tmp))
	}
	return dir, os.Rename(tmp, dir)
}

func (s *Store) fill(ctx context.Context, dir string, img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	left, err := s.room()
	if err != nil {
		return err
	}
	for i, layer := range layers {
		if left, err = apply(ctx, dir, layer, left); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return nil
}

// room is how much an image may take: what the store allows, but some of the disk stays
// free for everybody else.
func (s *Store) room() (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(s.dir, &disk); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: s.dir, Err: err}
	}
	free := max(0, int64(disk.Bavail)-int64(disk.Blocks/keepFree))
	if free > s.MaxBytes/disk.Bsize {
		return s.MaxBytes, nil
	}
	return free * disk.Bsize, nil
}

// keepFree is which part of a disk an image may not have: a fiftieth.
const keepFree = 50

// entryBytes is what a file or folder costs a disk beside what is in it.
const entryBytes = 4096

// apply puts one layer on dir and returns what is left of limit, which bounds both how
// long the archive is and what comes out of it: a sparse file may be of any size.
func apply(ctx context.Context, dir string, layer v1.Layer, limit int64) (int64, error) {
	want, err := layer.DiffID()
	if err != nil {
		return 0, err
	}
	r, err := layer.Uncompressed()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	limited := &io.LimitedReader{R: r, N: limit + 1}
	digester := sha256.New()
	hashed := io.TeeReader(limited, digester)
	left := limit
	_, err = archive.Apply(ctx, dir, hashed, archive.WithFilter(func(h *tar.Header) (bool, error) {
		if left -= entryBytes; left >= 0 {
			left -= min(h.Size, limit+1)
		}
		if left < 0 {
			return false, errTooBig
		}
		return admit(h)
	}))
	if err == nil {
		_, err = io.Copy(io.Discard, hashed)
	}
	switch {
	case limited.N <= 0, left < 0: // whatever the error, this is its cause
		return 0, fmt.Errorf("%w: more than the %d bytes that an image may have here", errTooBig, limit)
	case err != nil:
		return 0, err
	}
	if got := (v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(digester.Sum(nil))}); got != want {
		return 0, fmt.Errorf("content has digest %s, the configuration says %s", got, want)
	}
	return min(left, limited.N-1), nil
}

// errTooBig ends the unpacking of an image.
var errTooBig = errors.New("too big")

// admit leaves out what could reach the host, and takes what only means something
// there off the rest. Device nodes also are overlayfs's whiteouts.
func admit(h *tar.Header) (bool, error) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
		h.PAXRecords = nil // extended attributes; names and sizes are in the other fields by now
		h.Mode &= 0o1777
		return true, nil
	}
	return false, nil
}
