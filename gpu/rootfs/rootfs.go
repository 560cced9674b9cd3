// SPDX-License-Identifier: Apache-2.0

// Package rootfs turns images into root file systems, once for each layer.
//
// [Store.Unpack] returns an image's files as a [Root]: a folder for each layer, unpacked
// at the same time as the others, and shared by all images that have the layer. An
// overlay of them shows what applying the layers one by one would have made. Where it
// would not, because a layer counts on what lies below it, they are applied one by one,
// to one folder.
//
// Images are not trusted: containerd's archive package keeps every path, link and
// whiteout inside of the folder, and this package keeps device nodes, sockets,
// set-user-ID bits and extended attributes out, checks every layer against the digest
// that the configuration names, and bounds what is written. Folders are shared by all
// runs and must not be written to.
package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/files"
)

// DefaultMaxBytes bounds the decoded layers of one image.
const DefaultMaxBytes = 64 << 30

// Store keeps layers by the digest of their content, and root file systems that are no
// stack of layers by the digest of their image.
type Store struct {
	dir string
	// MaxBytes bounds the decoded layers of one image.
	MaxBytes int64
}

// Open returns the store in dir, which is made if it is missing. It removes what
// an unpacking that was killed has left, and waits for one that is under way until ctx ends.
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, MaxBytes: DefaultMaxBytes}
	lock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	return s, s.clear()
}

// begun is what the name of a folder ends in until all of it is there.
const begun = ".new"

// clear removes what was begun and did not come to its end.
func (s *Store) clear() error {
	stale, err := fs.Glob(os.DirFS(s.dir), "*"+begun) // dir is no pattern
	for _, name := range stale {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, name)))
	}
	return err
}

// lock makes this process the only one that writes to the store.
func (s *Store) lock(ctx context.Context) (*files.Lock, error) {
	return files.WaitLock(ctx, filepath.Join(s.dir, "lock"))
}

// Unpack returns the files of img. What was unpacked before costs nothing.
func (s *Store) Unpack(ctx context.Context, img v1.Image) (Root, error) {
	digest, err := img.Digest()
	if err != nil {
		return nil, err
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	whole := filepath.Join(s.dir, digest.Hex)
	if _, err := os.Stat(whole); !errors.Is(err, fs.ErrNotExist) {
		return Root{whole}, err
	}
	layers, err := layersOf(img)
	if err != nil {
		return nil, err
	}
	root, err := s.apart(ctx, layers)
	if errors.Is(err, errLeans) {
		if err = s.clear(); err == nil {
			root, err = Root{whole}, s.together(ctx, layers, whole)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("unpack %s: %w", digest, err), s.clear())
	}
	return root, nil
}

// apart unpacks each layer by itself. The error wraps errLeans if that makes no stack.
func (s *Store) apart(ctx context.Context, layers []layer) (Root, error) {
	if len(layers) == 0 || len(layers) > maxStack {
		return nil, errLeans
	}
	room, err := s.room()
	if err != nil {
		return nil, err
	}
	var stack, lie []string // the folders, the uppermost first, and where they lie so far
	var missing []func(context.Context) error
	for i, layer := range slices.Backward(layers) {
		dir := filepath.Join(s.dir, "layer-"+layer.diffID.Hex)
		if slices.Contains(stack, dir) { // the same above covers all of it
			continue
		}
		stack = append(stack, dir)
		if _, err := os.Stat(dir); err != nil {
			dir += begun
			missing = append(missing, func(ctx context.Context) error { return numbered(i, unpack(ctx, dir, layer, room)) })
		}
		lie = append(lie, dir)
	}
	if err := atOnce(ctx, missing); err != nil {
		return nil, err
	}
	if err := check(lie); err != nil {
		return nil, err
	}
	for i, dir := range lie {
		if dir == stack[i] {
			continue
		}
		if err := os.Rename(dir, stack[i]); err != nil {
			return nil, err
		}
	}
	return rootOf(stack), nil
}

// atOnce does as much at the same time as there are processors for.
func atOnce(ctx context.Context, all []func(context.Context) error) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for _, do := range all {
		work.Go(func() error { return do(ctx) })
	}
	return work.Wait()
}

// together unpacks the layers into one folder, each over those below it.
func (s *Store) together(ctx context.Context, layers []layer, dir string) error {
	room, err := s.room()
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir+begun, 0o755); err != nil {
		return err
	}
	for i, layer := range layers {
		if err := apply(ctx, dir+begun, layer, room, admit); err != nil {
			return numbered(i, err)
		}
	}
	return os.Rename(dir+begun, dir)
}

func numbered(layer int, err error) error {
	if err != nil {
		return fmt.Errorf("layer %d: %w", layer, err)
	}
	return nil
}

// room is how much an image may take: what the store allows, but some of the disk stays
// free for everybody else.
func (s *Store) room() (*room, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(s.dir, &disk); err != nil {
		return nil, &fs.PathError{Op: "statfs", Path: s.dir, Err: err}
	}
	free := max(0, int64(disk.Bavail)-int64(disk.Blocks/keepFree))
	if free > s.MaxBytes/disk.Bsize {
		return newRoom(s.MaxBytes), nil
	}
	return newRoom(free * disk.Bsize), nil
}

// keepFree is which part of a disk an image may not have: a fiftieth.
const keepFree = 50
