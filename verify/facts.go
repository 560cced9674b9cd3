// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
)

// layerFacts is what one layer holds, whatever image it is part of. It is what
// the cache keeps, so it refers to no other layer.
type layerFacts struct {
	Rules    string       `json:"rules"` // RulesVersion of the rules that were applied
	Digest   string       `json:"digest"`
	DiffID   string       `json:"diff_id"`
	Size     int64        `json:"size"`     // of the blob
	Encoding string       `json:"encoding"` // of the blob: "gzip", "zstd" or ""
	Entries  int          `json:"entries"`
	Hits     []hit        `json:"hits,omitempty"`
	Links    []link       `json:"links,omitempty"`      // symbolic links at driver names
	Hard     []link       `json:"hard_links,omitempty"` // to files of lower layers
	Packages []packageSet `json:"packages,omitempty"`
	Records  []link       `json:"records,omitempty"` // hard links at the places of package databases
	Needs    []gpuNeed    `json:"needs,omitempty"`   // what its files ask of driver and GPU
	Paths    pathSet      `json:"-"`                 // the cache has a place of its own for it
	Search   loader.Facts `json:"search"`            // what the dynamic linker goes by
	Heads    heads        `json:"heads"`             // what the kernel goes by
	Copies   []image.Copy `json:"copies,omitempty"`  // in the cache: where blobs lie that were read and had these facts
	watched  *watch       // for Explain only
}

func (f *layerFacts) copies() []image.Copy {
	if f == nil {
		return nil
	}
	return f.Copies
}

// weight is the bytes that the facts keep in memory, nearly.
func (f *layerFacts) weight() int64 {
	n := 512 + 8*len(f.Paths) + f.Search.Weight() + f.Heads.weight()
	for _, h := range f.Hits {
		n += 256 + len(h.Path) + len(h.Detail)
	}
	for _, l := range slices.Concat(f.Links, f.Hard, f.Records) {
		n += 128 + len(l.Path) + len(l.Target) + len(l.Owner)
	}
	for _, set := range f.Packages {
		n += 64 + len(set.Path)
		for _, h := range set.Items {
			n += 256 + len(h.Path) + len(h.Detail)
		}
	}
	for _, need := range f.Needs {
		n += needWeight(need)
	}
	return int64(n)
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
	Aside  bool   `json:"aside,omitempty"`  // the name is the target's alone: it matters if that is gone
	Owner  string `json:"owner,omitempty"`
	Judged bool   `json:"judged,omitempty"` // a finding of its own is there, by its name
}

// packageSet is the driver packages that one package database calls installed, at least
// one: that a layer has a database without any, its paths say. One that lies in no place of
// a database counts only if a link leads to it, and may be without any.
type packageSet struct {
	Path  string `json:"path"`
	Aside bool   `json:"aside,omitempty"`
	Items []hit  `json:"items,omitempty"` // Path is the package's name, Detail its version
	of    string // the package manager, where its names mean something else: conda, pacman
}

// unreadable records what is wrong with the layer as a whole; no limit applies to it.
func (f *layerFacts) unreadable(why string) {
	f.Hits = append(f.Hits, hit{Rule: ruleUnreadable, Detail: why})
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
	pathShared   = 's' // a directory or library to which others than root may write
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

// hiddenBy says what hides path of the layers below, "" if nothing does: a whiteout,
// another entry there, or either of these on a parent directory.
func (s pathSet) hiddenBy(path string) string {
	switch {
	case s.has(pathWhiteout, path):
		return "whiteout"
	case s.exists(path):
		return "replaced"
	case s.has(pathOpaque, ""):
		return "opaque root directory"
	}
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		dir := path[:i]
		switch {
		case s.has(pathWhiteout, dir):
			return "whiteout of " + dir
		case s.has(pathOpaque, dir):
			return "opaque directory " + dir
		case s.has(pathFile, dir):
			return dir + " is no directory any more"
		}
	}
	return ""
}

// pathHash is FNV-1a over the kind and the path: stable, for the cache on disk.
func pathHash(kind byte, path string) uint64 {
	h := hashByte(14695981039346656037, kind)
	for i := range len(path) {
		h = hashByte(h, path[i])
	}
	return h
}

// hashByte goes on with a hash.
func hashByte(h uint64, b byte) uint64 { return (h ^ uint64(b)) * 1099511628211 }
