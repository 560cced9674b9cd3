// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"slices"
	"strings"
)

// The kinds of what a layer may say about a path.
const (
	KindFile     = 'f' // anything but a directory
	KindDir      = 'd'
	KindWhiteout = 'w' // hides the path in lower layers
	KindOpaque   = 'o' // hides what lower layers have in the directory
	KindShared   = 's' // a directory or library to which others than root may write
)

// Paths holds what a layer says about its paths as 64-bit hashes, 8 bytes each,
// so that a layer of a million entries stays small. Two paths that collide can
// make a finding look deleted; they cannot hide it.
type Paths []uint64

func (s *Paths) add(kind byte, path string) { *s = append(*s, Hash(kind, path)) }

// seal sorts the set; has needs it.
func (s *Paths) seal() {
	slices.Sort(*s)
	*s = slices.Clip(slices.Compact(*s))
}

// Has reports whether the layer says that of the path.
func (s Paths) Has(kind byte, path string) bool {
	_, ok := slices.BinarySearch(s, Hash(kind, path))
	return ok
}

// Exists reports whether the layer itself has the path.
func (s Paths) Exists(path string) bool { return s.Has(KindFile, path) || s.Has(KindDir, path) }

// HiddenBy says what hides path of the layers below, "" if nothing does: a whiteout,
// another entry there, or either of these on a parent directory.
func (s Paths) HiddenBy(path string) string {
	switch {
	case s.Has(KindWhiteout, path):
		return "whiteout"
	case s.Exists(path):
		return "replaced"
	case s.Has(KindOpaque, ""):
		return "opaque root directory"
	}
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		dir := path[:i]
		switch {
		case s.Has(KindWhiteout, dir):
			return "whiteout of " + dir
		case s.Has(KindOpaque, dir):
			return "opaque directory " + dir
		case s.Has(KindFile, dir):
			return dir + " is no directory any more"
		}
	}
	return ""
}

// Hash is FNV-1a over the kind and the path: stable, for the cache on disk.
func Hash(kind byte, path string) uint64 {
	h := HashByte(14695981039346656037, kind)
	for i := range len(path) {
		h = HashByte(h, path[i])
	}
	return h
}

// HashByte goes on with a hash.
func HashByte(h uint64, b byte) uint64 { return (h ^ uint64(b)) * 1099511628211 }
