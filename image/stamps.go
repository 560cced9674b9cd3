// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/files"
)

// alwaysHashed is the size up to which hashing a blob costs no more than asking
// whether it is needed: manifests, configurations, sample programs.
const alwaysHashed = 1 << 20

// stamp is the sign by which a change of a file shows: the kernel sets the change time
// of an inode whenever something is written to it, and nobody can set it back.
type stamp struct {
	Inode   uint64 `json:"inode"`
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"` // nanoseconds since 1970
}

// stampOf returns the stamp of a file and the time of its content.
func stampOf(path string) (stamp, time.Time, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return stamp{}, time.Time{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return stamp{Inode: st.Ino, Size: st.Size, Changed: st.Ctim.Nano()}, time.Unix(st.Mtim.Unix()), nil
}

// DropDamaged removes every blob whose content is not what its name says, and returns
// their digests, sorted. Small blobs are hashed each time, large ones only if their
// file has changed since they were last known to be whole. What another program has
// linked, unlinked or copied looks changed too, and costs one hash.
func (s *Store) DropDamaged(ctx context.Context) ([]digest.Digest, error) {
	var all, damaged []digest.Digest
	err := s.content.Walk(ctx, func(info content.Info) error {
		all = append(all, info.Digest)
		return nil
	})
	for _, d := range all {
		whole, hashErr := s.whole(ctx, d)
		if hashErr != nil {
			return damaged, errors.Join(err, hashErr)
		}
		if !whole {
			damaged = append(damaged, d)
			err = errors.Join(err, s.content.Delete(ctx, d))
		}
	}
	s.forget(all, damaged)
	slices.Sort(damaged)
	return damaged, err
}

// whole reports whether a blob's content is what its name says.
func (s *Store) whole(ctx context.Context, d digest.Digest) (bool, error) {
	now, _, err := stampOf(s.blobPath(d))
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	known := s.stamps[d] == now
	s.mu.Unlock()
	if known && now.Size > alwaysHashed {
		return true, nil
	}
	whole, err := Matches(ctx, s.blobPath(d), d)
	if whole {
		s.note(d, now)
	}
	return whole, err
}

// Matches reports whether the content of a file has that digest.
func Matches(ctx context.Context, path string, d digest.Digest) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	verifier := d.Verifier()
	if _, err := io.Copy(verifier, interruptible{ctx, f}); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return verifier.Verified(), nil
}

// interruptible ends a long read with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// note remembers that a blob was whole when its file had that stamp.
func (s *Store) note(d digest.Digest, st stamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stamps[d] != st {
		s.stamps[d] = st
		s.stamped = true
	}
}

// forget drops the stamps of blobs that are not in all, or are damaged.
func (s *Store) forget(all, damaged []digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := range s.stamps {
		if !slices.Contains(all, d) || slices.Contains(damaged, d) {
			delete(s.stamps, d)
			s.stamped = true
		}
	}
}

func (s *Store) stampFile() string { return filepath.Join(s.dir, ".stamps.json") }

// loadStamps reads what earlier runs noted. What is lost of it is hashed again.
func (s *Store) loadStamps() {
	data, err := os.ReadFile(s.stampFile())
	if err != nil || json.Unmarshal(data, &s.stamps) != nil || s.stamps == nil {
		s.stamps = map[digest.Digest]stamp{}
	}
}

func (s *Store) saveStamps() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stamped {
		return
	}
	if data, err := json.Marshal(s.stamps); err == nil {
		_ = files.Write(s.stampFile(), data)
	}
}
