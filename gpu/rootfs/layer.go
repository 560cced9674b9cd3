// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/containerd/containerd/v2/pkg/archive"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/image"
)

// layer is one of an image with the digest that the configuration names for its content: asked itself,
// it might read all of it.
type layer struct {
	v1.Layer
	diffID v1.Hash
}

func layersOf(img v1.Image) ([]layer, error) {
	config, err := image.Config(img)
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err == nil && len(layers) != len(config.RootFS.DiffIDs) {
		err = fmt.Errorf("the manifest names %d layers, the configuration %d", len(layers), len(config.RootFS.DiffIDs))
	}
	if err != nil {
		return nil, err
	}
	all := make([]layer, len(layers))
	for i, l := range layers {
		all[i] = layer{l, config.RootFS.DiffIDs[i]}
	}
	return all, nil
}

// apply puts what admit lets through of a layer on dir, and takes the room for it.
func apply(ctx context.Context, dir string, layer layer, room *room, admit archive.Filter, more ...archive.ApplyOpt) error {
	r, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	digester := sha256.New()
	ahead := readAhead(room.reader(r), digester)
	_, err = archive.Apply(ctx, dir, ahead, append(more, archive.WithFilter(func(h *tar.Header) (bool, error) {
		if most := unix.PathMax; len(h.Name) > most || len(h.Linkname) > most {
			return false, fmt.Errorf("the entry %.60q... has a name of more than %d bytes", h.Name, most)
		}
		if err := room.take(h); err != nil {
			return false, err
		}
		return admit(h)
	}))...)
	if err == nil {
		_, err = io.Copy(io.Discard, ahead)
	}
	ahead.stop()
	switch {
	case room.spent(): // whatever the error, this is its cause
		return fmt.Errorf("%w: more than the %d bytes that an image may have here", errTooBig, room.bytes)
	case err != nil:
		return err
	}
	if got := (v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(digester.Sum(nil))}); got != layer.diffID {
		return fmt.Errorf("content has digest %s, the configuration says %s", got, layer.diffID)
	}
	return nil
}

// admit leaves out what could reach the host, and takes what only means something
// there off the rest. By device nodes and extended attributes overlayfs also hides files.
func admit(h *tar.Header) (bool, error) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
		h.PAXRecords = nil // extended attributes; names and sizes are in the other fields by now
		h.Mode &= 0o1777
		return true, nil
	}
	return false, nil
}

// room is what the layers of an image may take together. It bounds both how long their
// archives are and what comes out of them: a sparse file may be of any size.
type room struct {
	bytes      int64
	read, left atomic.Int64
}

func newRoom(bytes int64) *room {
	r := &room{bytes: bytes}
	r.read.Store(bytes)
	r.left.Store(bytes)
	return r
}

// errTooBig ends the unpacking of an image.
var errTooBig = errors.New("too big")

// entryBytes is what a file or folder costs a disk beside what is in it.
const entryBytes = 4096

// take makes room for an entry, and for folders that it may bring where it lies deeper than others.
func (r *room) take(h *tar.Header) error {
	entries := int64(1 + max(0, strings.Count(h.Name, "/")-maxDepth))
	if r.left.Add(-entryBytes*entries-min(h.Size, r.bytes)) < 0 {
		return errTooBig
	}
	return nil
}

func (r *room) spent() bool { return r.left.Load() < 0 || r.read.Load() < 0 }

// reader reads no more than there is room for.
func (r *room) reader(from io.Reader) io.Reader { return &counted{from, r} }

type counted struct {
	io.Reader

	room *room
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.room.read.Add(int64(-n)) < 0 {
		return 0, errTooBig
	}
	return n, err
}
