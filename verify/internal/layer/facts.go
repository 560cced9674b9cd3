// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"fmt"
	"path"
	"slices"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// Facts is what one layer holds, whatever image it is part of. It is what
// the cache keeps, so it refers to no other layer.
type Facts struct {
	Version     string       `json:"version"` // of what read the layer
	Digest      string       `json:"digest"`
	DiffID      string       `json:"diff_id"`
	Size        int64        `json:"size"`     // of the blob
	Encoding    string       `json:"encoding"` // of the blob: "gzip", "zstd" or ""
	Entries     int          `json:"entries"`
	Hits        []Hit        `json:"hits,omitempty"`
	Links       []Link       `json:"links,omitempty"`      // symbolic links at driver names
	Hard        []Link       `json:"hard_links,omitempty"` // to files of lower layers
	Packages    []PackageSet `json:"packages,omitempty"`
	Records     []Link       `json:"records,omitempty"` // hard links at the places of package databases
	Code        []Code       `json:"code,omitempty"`    // its files that have something to do with the GPU
	Paths       Paths        `json:"-"`                 // the cache has a place of its own for it
	Linker      loader.Facts `json:"linker"`            // what the dynamic linker goes by
	Executables executables  `json:"executables"`       // what the kernel goes by
	Listed      []byte       `json:"listed,omitempty"`  // an [Inventory], see Inventory
	Copies      []image.Copy `json:"copies,omitempty"`  // in the cache: where blobs lie that were read and had these facts
	Seen        *Recorder    `json:"-"`                 // for Watch only
}

func (f *Facts) copies() []image.Copy {
	if f == nil {
		return nil
	}
	return f.Copies
}

// weight is the bytes that the facts keep in memory, nearly.
func (f *Facts) weight() int64 {
	n := 512 + 8*len(f.Paths) + len(f.Listed) + f.Linker.Weight() + f.Executables.weight()
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
	of    pkgdb.Manager
	list  Database // all packages
}

// found returns a function that reports whether there is a link at a driver's name, or a finding,
// at a path of the layer.
func (f *Facts) found() func(p string) bool {
	links, hits := map[string]bool{}, map[string]bool{}
	for _, l := range f.Links {
		links[l.Path] = true
	}
	for _, h := range f.Hits {
		hits[h.Path] = true
	}
	return func(p string) bool {
		group := rules.Load().GroupOf(p)
		return links[p] || hits[p] || group != "" && hits[group]
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
