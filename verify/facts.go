// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
)

// layerFacts is what one layer holds, whatever image it is part of. It is what
// the cache keeps, so it refers to no other layer.
type layerFacts struct {
	Rules    string       `json:"rules"` // RulesVersion of the rules that were applied
	Digest   string       `json:"digest"`
	DiffID   string       `json:"diff_id"`
	Size     int64        `json:"size"` // of the blob
	Entries  int          `json:"entries"`
	Hits     []hit        `json:"hits,omitempty"`
	Links    []link       `json:"links,omitempty"`      // symbolic links at driver names
	Hard     []link       `json:"hard_links,omitempty"` // to files of lower layers
	Packages []packageSet `json:"packages,omitempty"`
	Paths    pathSet      `json:"paths"`
	Needs    []gpuNeed    `json:"needs,omitempty"` // what its files ask of driver and GPU
}

// hit is a finding before it is known which image it belongs to.
type hit struct {
	Rule   string `json:"rule"`
	Path   string `json:"path"`
	Detail string `json:"detail"`
}

// link is a name that means another path of the image. For a symbolic link, Rule
// is what the name breaks if the link is not harmless.
type link struct {
	Rule   string `json:"rule,omitempty"`
	Path   string `json:"path"`
	Target string `json:"target"`
	Stub   bool   `json:"stub,omitempty"`   // a stub of the library exists
	Compat bool   `json:"compat,omitempty"` // it may stand in the compat directory
	Owner  string `json:"owner,omitempty"`
}

// packageSet is the driver packages that one package database calls installed.
// A database without any is kept too: it says that they are gone.
type packageSet struct {
	Path  string `json:"path"`
	Items []hit  `json:"items,omitempty"` // Path is the package's name, Detail its version
}

// complete reports whether all content was understood.
func (f *layerFacts) complete() bool {
	return !slices.ContainsFunc(f.Hits, func(h hit) bool { return h.Rule == ruleUnreadable })
}

// What a layer may say about a path.
const (
	pathFile     = 'f' // anything but a directory
	pathDir      = 'd'
	pathWhiteout = 'w' // hides the path in lower layers
	pathOpaque   = 'o' // hides what lower layers have in the directory
)

// pathSet holds what a layer says about its paths as 64-bit hashes, 8 bytes each,
// so that a layer of a million entries stays small. Two paths that collide can
// make a finding look deleted; they cannot hide it.
type pathSet []uint64

func (s *pathSet) add(kind byte, path string) { *s = append(*s, pathHash(kind, path)) }

// seal sorts the set; has needs it.
func (s *pathSet) seal() {
	slices.Sort(*s)
	*s = slices.Clip(slices.Compact(*s))
}

func (s pathSet) has(kind byte, path string) bool {
	_, ok := slices.BinarySearch(s, pathHash(kind, path))
	return ok
}

// exists reports whether the layer itself has the path.
func (s pathSet) exists(path string) bool { return s.has(pathFile, path) || s.has(pathDir, path) }

// hides reports whether the layer hides path of the layers below it: by a
// whiteout, by another file there, or by either of these on a parent directory.
func (s pathSet) hides(path string) bool {
	if s.has(pathWhiteout, path) || s.exists(path) {
		return true
	}
	if s.has(pathOpaque, "") {
		return true
	}
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		dir := path[:i]
		if s.has(pathFile, dir) || s.has(pathWhiteout, dir) || s.has(pathOpaque, dir) {
			return true
		}
	}
	return false
}

// pathHash is FNV-1a over the kind and the path: stable, for the cache on disk.
func pathHash(kind byte, path string) uint64 {
	const prime = 1099511628211
	h := (uint64(14695981039346656037) ^ uint64(kind)) * prime
	for i := range len(path) {
		h = (h ^ uint64(path[i])) * prime
	}
	return h
}

// MarshalText implements encoding.TextMarshaler.
func (s pathSet) MarshalText() ([]byte, error) {
	raw := make([]byte, 0, 8*len(s))
	for _, h := range s {
		raw = binary.LittleEndian.AppendUint64(raw, h)
	}
	return base64.StdEncoding.AppendEncode(nil, raw), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *pathSet) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return err
	}
	*s = make(pathSet, 0, len(raw)/8)
	for ; len(raw) >= 8; raw = raw[8:] {
		*s = append(*s, binary.LittleEndian.Uint64(raw))
	}
	return nil
}
