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
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

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
// an unpacking that was killed has left.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, MaxBytes: DefaultMaxBytes}
	lock, err := files.TryLock(s.lockFile())
	if _, held := errors.AsType[*files.HeldError](err); held {
		return s, nil // what was begun is being ended
	}
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

func (s *Store) lockFile() string { return filepath.Join(s.dir, "lock") }

// ErrBusy means that an image is being unpacked.
var ErrBusy = errors.New("an image is being unpacked")

// Quiet keeps unpackings out of the store in dir until release is called. The error wraps
// [ErrBusy] while there is one.
func Quiet(dir string) (release func(), err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	lock, err := files.TryLock((&Store{dir: dir}).lockFile())
	if _, held := errors.AsType[*files.HeldError](err); held {
		return nil, fmt.Errorf("%s: %w", dir, ErrBusy)
	}
	if err != nil {
		return nil, err
	}
	return lock.Unlock, nil
}

// Unpack returns the files of img. What was unpacked before costs nothing, and waits for nobody.
func (s *Store) Unpack(ctx context.Context, img v1.Image) (Root, error) {
	digest, err := img.Digest()
	if err != nil {
		return nil, err
	}
	layers, err := layersOf(img)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", digest, err)
	}
	if root := s.known(digest, layers); root != nil {
		return root, nil
	}
	lock, err := files.WaitLock(ctx, s.lockFile())
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	if root := s.known(digest, layers); root != nil {
		return root, nil
	}
	if err := s.clear(); err != nil { // a process that was killed since Open
		return nil, err
	}
	root, err := s.apart(ctx, layers)
	if errors.Is(err, errLeans) {
		if err = s.clear(); err == nil {
			root, err = Root{s.whole(digest)}, s.together(ctx, layers, s.whole(digest))
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("unpack %s: %w", digest, err), s.clear())
	}
	return root, nil
}

// whole is the folder of an image whose layers make no stack.
func (s *Store) whole(image v1.Hash) string { return filepath.Join(s.dir, image.Hex) }

// folder is that of a layer.
func (s *Store) folder(l layer) string { return filepath.Join(s.dir, "layer-"+l.diffID.Hex) }

// checked is the file that says that layers make a stack.
func (s *Store) checked(layers []layer) string {
	sum := sha256.New()
	for _, l := range layers {
		_, _ = fmt.Fprintln(sum, l.diffID)
	}
	return filepath.Join(s.dir, fmt.Sprintf("stack-%x", sum.Sum(nil)))
}

// known is what was unpacked before, nil if there is nothing.
func (s *Store) known(image v1.Hash, layers []layer) Root {
	if isThere(s.whole(image)) {
		return Root{s.whole(image)}
	}
	root := rootOf(s.stack(layers))
	if !isThere(s.checked(layers)) || slices.ContainsFunc(root, func(dir string) bool { return !isThere(dir) }) {
		return nil
	}
	return root
}

// stack is the folders of layers, the uppermost first. Of equal ones the uppermost covers all of the
// others.
func (s *Store) stack(layers []layer) (dirs []string) {
	for _, l := range slices.Backward(layers) {
		if dir := s.folder(l); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func isThere(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
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
	var lie []string                                    // where the layers lie so far, the uppermost first
	missing := map[string]func(context.Context) error{} // by their folders
	for i, layer := range slices.Backward(layers) {
		dir := s.folder(layer)
		if !intact(dir) {
			if err := os.RemoveAll(dir); err != nil { // what somebody has damaged
				return nil, err
			}
			dir += begun
			missing[dir] = func(ctx context.Context) error { return numbered(i, unpack(ctx, dir, layer, room)) }
		}
		lie = append(lie, dir)
	}
	if err := atOnce(ctx, slices.Collect(maps.Values(missing))); err != nil {
		return nil, err
	}
	if err := check(ctx, lie); err != nil {
		return nil, err
	}
	for dir := range missing {
		if err := os.Rename(dir, strings.TrimSuffix(dir, begun)); err != nil {
			return nil, err
		}
	}
	return rootOf(s.stack(layers)), files.Write(s.checked(layers), nil)
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
	if err := mkdir(dir + begun); err != nil {
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

// mkdir makes a folder that all may enter, whatever this process's umask is.
func mkdir(name string) error {
	return errors.Join(os.Mkdir(name, 0o755), os.Chmod(name, 0o755))
}
