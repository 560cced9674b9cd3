// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"path"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/image"
)

// Reader reads images whose trees are to be compared. The zero value is not ready, see [NewReader].
type Reader struct {
	seed maphash.Seed
	kept map[string]*sheet // by diff ID
	most int               // that all layers of a pair may take of memory, in bytes
	room atomic.Int64      // what is left of that
}

// NewReader returns a Reader that has read nothing.
func NewReader() *Reader {
	return &Reader{seed: maphash.MakeSeed(), kept: map[string]*sheet{}, most: 2 * maxWeight}
}

// LayerError is a layer that cannot be read.
type LayerError struct {
	DiffID string // by which the configurations of its images name it
	Err    error
}

func (e *LayerError) Error() string { return fmt.Sprintf("layer %s: %v", e.DiffID, e.Err) }

func (e *LayerError) Unwrap() error { return e.Err }

// source is a layer of an image.
type source struct {
	v1.Layer

	diffID  string
	size    int64
	foreign bool // its content lies outside the registry, at addresses that an image names: these are not followed
}

// Pair returns the trees of two images. Their layers are read at the same time, but for the lowest ones that both have: these
// only if one side has above them what the other lacks there, as nothing else can tell what was there before. The error is a
// [*LayerError] where a layer cannot be read.
func (r *Reader) Pair(ctx context.Context, old, now v1.Image) (*Tree, *Tree, error) {
	var sides [2][]source
	for i, img := range []v1.Image{old, now} {
		var err error
		if sides[i], err = sources(img); err != nil {
			return nil, nil, err
		}
	}
	common := 0
	for common < min(len(sides[0]), len(sides[1])) && sides[0][common].diffID == sides[1][common].diffID {
		common++
	}
	r.room.Store(int64(r.most - r.forget(slices.Concat(sides[:]...))))
	above := slices.Concat(sides[0][common:], sides[1][common:])
	if err := r.read(ctx, above); err != nil {
		return nil, nil, err
	}
	if common > 0 && !r.covered(sides[0][common:], sides[1][common:]) {
		if err := r.read(ctx, sides[0][:common]); err != nil {
			return nil, nil, err
		}
	}
	var trees [2]*Tree
	for i := range sides {
		var err error
		if trees[i], err = r.tree(sides[i]); err != nil {
			return nil, nil, err
		}
	}
	return trees[0], trees[1], nil
}

func sources(img v1.Image) (all []source, err error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	config, err := image.Config(img)
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) != len(manifest.Layers) || len(layers) != len(config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("the manifest names %d layers, the config %d, and there are %d", len(manifest.Layers), len(config.RootFS.DiffIDs), len(layers))
	}
	for i, l := range manifest.Layers {
		all = append(all, source{layers[i], config.RootFS.DiffIDs[i].String(), l.Size, len(l.URLs) > 0})
	}
	return all, nil
}

// read reads the layers that are not known, as many at a time as there are processors, the largest first.
func (r *Reader) read(ctx context.Context, layers []source) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var todo []source
	for _, l := range layers {
		known := slices.ContainsFunc(todo, func(t source) bool { return t.diffID == l.diffID })
		if r.kept[l.diffID] == nil && !known {
			todo = append(todo, l)
		}
	}
	slices.SortStableFunc(todo, func(a, b source) int { return int(min(1, max(-1, b.size-a.size))) })
	var wg sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, l := range todo {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s, err := l.read(ctx, r.seed, &r.room)
			if err != nil {
				cancel(&LayerError{l.diffID, err})
				return
			}
			mu.Lock()
			defer mu.Unlock()
			r.kept[l.diffID] = s
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (l source) read(ctx context.Context, seed maphash.Seed, room *atomic.Int64) (*sheet, error) {
	if l.foreign {
		return nil, errors.New("its content lies outside the registry, at addresses in the manifest, which are not followed")
	}
	return read(ctx, l.Compressed, l.size, seed, room)
}

// forget makes room, but for those layers, whose weight it returns.
func (r *Reader) forget(but []source) int {
	kept := map[string]*sheet{}
	for _, l := range but {
		if s := r.kept[l.diffID]; s != nil {
			kept[l.diffID] = s
		}
	}
	if weigh(r.kept) > maxWeight {
		r.kept = kept
	}
	return weigh(kept)
}

func weigh(sheets map[string]*sheet) (n int) {
	for _, s := range sheets {
		n += s.weight
	}
	return n
}

// covered reports whether two stacks of layers hide nothing that is not theirs, and have the same paths of the same types, with
// none that lies beyond a link of theirs.
func (r *Reader) covered(old, now []source) bool {
	var types [2]map[string]byte
	for i, side := range [][]source{old, now} {
		types[i] = map[string]byte{}
		for _, l := range side {
			s := r.kept[l.diffID]
			if len(s.hides) > 0 {
				return false
			}
			for _, e := range s.entries {
				if is, ok := types[i][e.path]; ok && is != e.Type || e.link != "" && types[i][e.link] == 0 {
					return false
				}
				types[i][e.path] = e.Type
			}
		}
	}
	for p := range types[0] {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if is, ok := types[0][dir]; ok && is != tar.TypeDir {
				return false
			}
		}
	}
	return maps.Equal(types[0], types[1])
}

// tree stacks the layers that were read.
func (r *Reader) tree(layers []source) (*Tree, error) {
	t := newTree()
	for i, l := range layers {
		if s := r.kept[l.diffID]; s != nil {
			if err := t.stack(s, i); err != nil {
				return nil, &LayerError{l.diffID, err}
			}
		}
	}
	for _, rec := range t.records {
		if rec.damaged != nil && t.visible(rec) {
			t.Damaged = append(t.Damaged, Damage{rec.of, fmt.Sprintf("%s: %v", rec.path, rec.damaged)})
		}
	}
	return t, nil
}
