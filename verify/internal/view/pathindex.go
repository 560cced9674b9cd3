// SPDX-License-Identifier: Apache-2.0

package view

import (
	"math/bits"
	"slices"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
)

// layerBits is how many bits of a hash a pathIndex gives up for the number of its layer.
const layerBits = 10

// pathIndex holds the path sets of all layers of an image: which layers say something
// about a path is found without asking each. It takes 10 to 12 bytes a path.
type pathIndex struct {
	layers int
	keys   []uint64 // hash and layer, sorted within each bucket
	starts []uint32 // of the buckets in keys; one more than there are
	shift  int
	steps  int // looked up so far
}

func newPathIndex(layers []*layer.Facts) *pathIndex {
	total := 0
	for _, f := range layers {
		total += len(f.Paths)
	}
	buckets := max(1, bits.Len(uint(total))-1)
	x := &pathIndex{layers: len(layers), keys: make([]uint64, total), starts: make([]uint32, 1<<buckets+1), shift: 64 - buckets}
	for _, f := range layers {
		for _, h := range f.Paths {
			x.starts[x.bucket(h)+1]++
		}
	}
	for b := range x.starts[1:] {
		x.starts[b+1] += x.starts[b]
	}
	next := slices.Clone(x.starts)
	for i, f := range layers {
		for _, h := range f.Paths {
			b := x.bucket(h)
			x.keys[next[b]] = layerKey(h, i)
			next[b]++
		}
	}
	for b := range x.starts[1:] {
		slices.Sort(x.keys[x.starts[b]:x.starts[b+1]])
	}
	return x
}

func layerKey(h uint64, layer int) uint64 { return h&^(1<<layerBits-1) | uint64(layer) }

// bucket mixes the bits first: hashes of names that differ in their last letter begin alike.
func (x *pathIndex) bucket(h uint64) uint64 {
	return (h &^ (1<<layerBits - 1)) * 0x9e3779b97f4a7c15 >> x.shift
}

// first returns the lowest layer, from one on, whose set has a hash; x.layers if none has.
func (x *pathIndex) first(h uint64, from int) int {
	x.steps++
	b := x.bucket(h)
	keys := x.keys[x.starts[b]:x.starts[b+1]]
	at, _ := slices.BinarySearch(keys, layerKey(h, from))
	if at == len(keys) || layerKey(keys[at], 0) != layerKey(h, 0) {
		return x.layers
	}
	return int(keys[at] & (1<<layerBits - 1))
}

// last returns the highest layer below one whose set has a hash, -1 if none has.
func (x *pathIndex) last(h uint64, below int) int {
	x.steps++
	b := x.bucket(h)
	keys := x.keys[x.starts[b]:x.starts[b+1]]
	at, _ := slices.BinarySearch(keys, layerKey(h, below))
	if at == 0 || layerKey(keys[at-1], 0) != layerKey(h, 0) {
		return -1
	}
	return int(keys[at-1] & (1<<layerBits - 1))
}

// hider returns the lowest layer, from one on, that hides path of the layers below it, as
// layer.Paths.hiddenBy has it; x.layers if none does. The path is hashed once, whatever
// its depth.
func (x *pathIndex) hider(path string, from int) int {
	if from >= x.layers {
		return x.layers
	}
	whiteout, opaque, file, dir := layer.Hash(layer.KindWhiteout, ""), layer.Hash(layer.KindOpaque, ""), layer.Hash(layer.KindFile, ""), layer.Hash(layer.KindDir, "")
	found := x.first(opaque, from)
	for i := range len(path) {
		if path[i] == '/' {
			found = min(found, x.first(whiteout, from), x.first(opaque, from), x.first(file, from))
		}
		whiteout, opaque, file, dir = layer.HashByte(whiteout, path[i]), layer.HashByte(opaque, path[i]), layer.HashByte(file, path[i]), layer.HashByte(dir, path[i])
	}
	return min(found, x.first(whiteout, from), x.first(file, from), x.first(dir, from))
}

// sharedOn returns the topmost part of a path, itself included, to which others than root
// may write, "" if there is none. Of what no layer has an entry for, nobody else may.
func (x *pathIndex) sharedOn(path string) string {
	h := layer.Hash(layer.KindShared, "")
	for i := range len(path) + 1 {
		if i > 0 && (i == len(path) || path[i] == '/') {
			if at := x.last(h, x.layers); at >= 0 && x.hider(path[:i], at+1) == x.layers {
				return path[:i]
			}
		}
		if i < len(path) {
			h = layer.HashByte(h, path[i])
		}
	}
	return ""
}

// has reports whether a container sees a file, a directory not counted, at path.
func (x *pathIndex) has(path string) bool {
	top := x.last(layer.Hash(layer.KindFile, path), x.layers)
	return top >= 0 && x.hider(path, top+1) == x.layers
}
