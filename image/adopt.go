// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/internal/disk"
)

// Adopting returns the store's blobs as a BuildKit exporter should write them: a
// blob that lies in dir/blobs already, on the same file system, is hard-linked
// instead of sent again. dir must be the content folder of a daemon of our own,
// which has hashed every blob that it names by a digest; one that is older than the
// open store may have been damaged since, and is hashed again.
func (s *Store) Adopting(dir string) content.Store {
	return adopting{Store: s.content, to: s, from: dir}
}

type adopting struct {
	content.Store

	to   *Store
	from string
}

var _ content.Store = adopting{}

func (a adopting) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	var options content.WriterOpts
	for _, opt := range opts {
		if err := opt(&options); err != nil {
			return nil, err
		}
	}
	if err := a.to.dropDamaged(ctx, options.Desc); err != nil {
		return nil, err
	}
	if d := options.Desc.Digest; a.from != "" && d.Validate() == nil {
		if err := a.adopt(ctx, d); !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	w, err := a.Store.Writer(ctx, opts...)
	if err != nil {
		return nil, a.to.noteFull(err)
	}
	return noting{w, a.to}, nil
}

// adopt links a blob of the daemon's. The error says that it exists now, matches
// [fs.ErrNotExist] if it has to be sent, or says that the daemon's copy is damaged.
func (a adopting) adopt(ctx context.Context, d digest.Digest) error {
	path := a.to.blobPath(d)
	if err := link(BlobPath(a.from, d), path); err != nil {
		return fs.ErrNotExist // or on another file system
	}
	now, written, err := stampOf(path)
	if err != nil {
		return err
	}
	if written.After(a.to.opened) {
		a.to.note(d, now)
	} else if whole, err := a.to.whole(ctx, d); err != nil {
		return err
	} else if !whole {
		return errors.Join(fmt.Errorf("blob %s: the engine's copy is damaged ('cudabuild prune --all' drops it)", d), os.Remove(path))
	}
	return fmt.Errorf("blob %s: %w", d, errdefs.ErrAlreadyExists)
}

// noting notes what becomes of a blob that is sent.
type noting struct {
	content.Writer

	to *Store
}

func (n noting) Write(p []byte) (int, error) {
	written, err := n.Writer.Write(p)
	return written, n.to.noteFull(err)
}

func (n noting) Commit(ctx context.Context, size int64, expected digest.Digest, opts ...content.Opt) error {
	if err := n.Writer.Commit(ctx, size, expected, opts...); err != nil {
		return n.to.noteFull(err)
	}
	if now, _, err := stampOf(n.to.blobPath(n.Digest())); err == nil {
		n.to.note(n.Digest(), now)
	}
	return nil
}

// noteFull notes an error that comes from a full disk, and returns it as it is.
func (s *Store) noteFull(err error) error {
	if disk.Full(err) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.full = true
	}
	return err
}

// Full reports whether a blob that was sent found no room on the disk.
func (s *Store) Full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// dropDamaged removes a blob that is there with another size: whoever wants to write
// it would be told that it exists.
func (s *Store) dropDamaged(ctx context.Context, desc ocispec.Descriptor) error {
	info, err := s.content.Info(ctx, desc.Digest)
	if err != nil || desc.Size == 0 || info.Size == desc.Size {
		return nil
	}
	return s.content.Delete(ctx, desc.Digest)
}

func link(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.Link(from, to); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// CopyTo makes every blob of an image part of another store, by hard link where
// both are on one file system.
func (s *Store) CopyTo(ctx context.Context, to *Store, desc ocispec.Descriptor) error {
	blobs, err := s.Blobs(ctx, desc)
	if err != nil {
		return err
	}
	for _, blob := range blobs {
		if err := to.dropDamaged(ctx, blob); err != nil {
			return err
		}
		if link(s.blobPath(blob.Digest), to.blobPath(blob.Digest)) == nil {
			continue
		}
		if err := copyBlob(ctx, s.content, to.content, blob.Digest, blob.Size); err != nil {
			return err
		}
	}
	return nil
}

func copyBlob(ctx context.Context, from, to content.Store, d digest.Digest, size int64) error {
	r, err := from.ReaderAt(ctx, ocispec.Descriptor{Digest: d, Size: size})
	if err != nil {
		return err
	}
	defer r.Close()
	return content.WriteBlob(ctx, to, d.String(), content.NewReader(r), ocispec.Descriptor{Digest: d, Size: size})
}
