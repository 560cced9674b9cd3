// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// Facts is what one layer holds, whatever image it is part of. It is what
// the cache keeps, so it refers to no other layer.
type Facts struct {
	Version  string       `json:"version"` // of what read the layer
	Digest   string       `json:"digest"`
	DiffID   string       `json:"diff_id"`
	Size     int64        `json:"size"`     // of the blob
	Encoding string       `json:"encoding"` // of the blob: "gzip", "zstd" or ""
	Entries  int          `json:"entries"`
	Hits     []Hit        `json:"hits,omitempty"`
	Links    []Link       `json:"links,omitempty"`      // symbolic links at driver names
	Hard     []Link       `json:"hard_links,omitempty"` // to files of lower layers
	Packages []PackageSet `json:"packages,omitempty"`
	Records  []Link       `json:"records,omitempty"` // hard links at the places of package databases
	Code     []Code       `json:"code,omitempty"`    // its files that have something to do with the GPU
	Paths    Paths        `json:"-"`                 // the cache has a place of its own for it
	Search   loader.Facts `json:"search"`            // what the dynamic linker goes by
	Heads    heads        `json:"heads"`             // what the kernel goes by
	Copies   []image.Copy `json:"copies,omitempty"`  // in the cache: where blobs lie that were read and had these facts
	Seen     *Recorder    `json:"-"`                 // for Watch only
}

func (f *Facts) copies() []image.Copy {
	if f == nil {
		return nil
	}
	return f.Copies
}

// weight is the bytes that the facts keep in memory, nearly.
func (f *Facts) weight() int64 {
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
	for _, c := range f.Code {
		n += c.weight()
	}
	return int64(n)
}

// Hit is a finding before it is known which image it belongs to.
type Hit struct {
	Rule   string `json:"rule"`
	Path   string `json:"path"`
	Detail string `json:"detail"`
}

// Link is a name that means another path of the image. For a symbolic link, Rule
// is what the name breaks if the link is not harmless.
type Link struct {
	Rule   string `json:"rule,omitempty"`
	Path   string `json:"path"`
	Target string `json:"target"`
	Stub   bool   `json:"stub,omitempty"`   // a stub of the library exists
	Compat bool   `json:"compat,omitempty"` // it may stand in the compat directory
	Aside  bool   `json:"aside,omitempty"`  // the name is the target's alone: it matters if that is gone
	Owner  string `json:"owner,omitempty"`
	Judged bool   `json:"judged,omitempty"` // a finding of its own is there, by its name
}

// PackageSet is the driver packages that one package database calls installed, at least
// one: that a layer has a database without any, its paths say. One that lies in no place of
// a database counts only if a link leads to it, and may be without any.
type PackageSet struct {
	Path  string `json:"path"`
	Aside bool   `json:"aside,omitempty"`
	Items []Hit  `json:"items,omitempty"` // Path is the package's name, Detail its version
	of    string // the package manager, where its names mean something else: conda, pacman
}

// found returns a function that reports whether there is a link at a driver's name, or a finding,
// at a path of the layer.
func (f *Facts) found() func(p string) bool {
	at := map[string]bool{}
	for _, l := range f.Links {
		at[l.Path] = true
	}
	for _, h := range f.Hits {
		at[h.Path] = true
	}
	return func(p string) bool {
		group := rules.Load().GroupOf(p)
		return at[p] || group != "" && at[group]
	}
}

// Counts reports whether a database is one without a link that leads to it.
func (s PackageSet) Counts() bool {
	return !s.Aside || slices.Contains(pkgdb.RPMFiles, path.Base(s.Path))
}

// Hits are the driver packages as findings of the database, in the order of Items.
func (s PackageSet) Hits() (hits []Hit) {
	for _, item := range s.Items {
		hits = append(hits, Hit{item.Rule, s.Path, fmt.Sprintf("package %s %s", item.Path, item.Detail)})
	}
	return hits
}

// Complete reports whether all content was understood.
func (f *Facts) Complete() bool {
	return !slices.ContainsFunc(f.Hits, func(h Hit) bool { return h.Rule == rules.Unreadable })
}

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
