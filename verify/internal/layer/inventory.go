// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"path"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/rpmdb"
)

// Inventory is what the records of a layer list, whatever it is. Each database lists what lower layers brought
// as well, so facts hold it compressed, and nobody decodes it who does not ask.
type Inventory struct {
	Databases []Database               `json:"databases,omitempty"` // in the order of the layer, so that of two at one path the last counts
	Licenses  map[string][]string      `json:"licenses,omitempty"`  // of Debian's packages, by the path of their file copyright
	Releases  map[string]pkgdb.Release `json:"releases,omitempty"`  // by the path of the file
	Links     map[string]string        `json:"links,omitempty"`     // from where these texts are looked for to other paths
	Over      bool                     `json:"over,omitempty"`      // there is more than is kept
}

// Database is all that one database lists.
type Database struct {
	Path     string          `json:"path"`
	Of       pkgdb.Manager   `json:"of"`
	Packages []pkgdb.Package `json:"packages"`
}

// ListsRoom is what the lists of an image's layers may decode to, in bytes: a hundred layers with 5,000 packages each.
type ListsRoom struct{ used int64 }

const maxLists = 64 << 20

// Inventory returns what the layer lists, unless that is more than there is room for.
func (f *Facts) Inventory(room *ListsRoom) (list Inventory, err error) {
	if f.Listed == nil {
		return Inventory{}, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(f.Listed))
	if err != nil {
		return Inventory{}, err
	}
	limited := &io.LimitedReader{R: r, N: maxLists - room.used}
	err = json.NewDecoder(limited).Decode(&list)
	room.used = maxLists - limited.N
	if limited.N == 0 {
		return Inventory{Over: true}, nil
	}
	return list, err
}

// seal is the inventory as facts hold it, nil for an empty one.
func (i Inventory) seal(over bool) []byte {
	if over {
		i = Inventory{Over: true}
	}
	if i.Databases == nil && i.Licenses == nil && i.Releases == nil && i.Links == nil && !over {
		return nil
	}
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_ = json.NewEncoder(w).Encode(i)
	_ = w.Close()
	return buf.Bytes()
}

// list notes a package, without what the texts that it was read from hold beside it.
func (b *builder) list(set *PackageSet, p pkgdb.Package) {
	p, size := own(p)
	if !b.budget.listed.keep(size + perPackage) {
		b.budget.listed.spend(maxListed + 1)
		set.list, b.inventory = Database{}, Inventory{}
		return
	}
	set.list.Path, set.list.Of = set.Path, set.of
	set.list.Packages = append(set.list.Packages, p)
}

// perPackage is what a package takes beside its texts, and more than a map's entry.
const perPackage = 128

// own returns a copy of p and its bytes.
func own(p pkgdb.Package) (pkgdb.Package, int) {
	p.Licenses = ownAll(p.Licenses)
	size := 0
	for _, text := range []*string{&p.Name, &p.Version, &p.Arch, &p.Source} {
		*text = strings.Clone(*text)
		size += len(*text)
	}
	for _, l := range p.Licenses {
		size += len(l) + perEntry
	}
	return p, size
}

func ownAll(texts []string) (all []string) {
	for _, t := range texts {
		all = append(all, strings.Clone(t))
	}
	return all
}

// maxSaid bounds a text in which a package says something about itself, in bytes.
const maxSaid = 4 << 20

// says reads p if it is a text in which a package or a distribution says something about itself. What is
// wrong with it is nobody's finding. The error is that of body.
func (b *builder) says(p string, head []byte, body io.Reader) (handled bool, err error) {
	limited := &io.LimitedReader{R: body, N: maxSaid}
	dir, isMetadata := pkgdb.MetadataDir(p)
	switch {
	case isMetadata:
		set := PackageSet{Path: p, of: pkgdb.Wheel}
		b.list(&set, pkgdb.Metadata(dir, limited))
		b.packages(set)
	case pkgdb.IsCopyright(p, head):
		if names := ownAll(pkgdb.Copyright(limited)); limited.N > 0 && b.keepSaid(p, names...) {
			b.inventory.Licenses = with(b.inventory.Licenses, p, names)
		}
	case pkgdb.IsRelease(p):
		if is := pkgdb.ReadRelease(limited); b.keepSaid(p, is.ID, is.Version) {
			b.inventory.Releases = with(b.inventory.Releases, p, pkgdb.Release{ID: strings.Clone(is.ID), Version: strings.Clone(is.Version)})
		}
	default:
		return false, nil
	}
	_, err = io.Copy(io.Discard, body)
	return true, err
}

// textLink notes a symbolic link in the place of a text, or of a folder with one.
func (b *builder) textLink(p, target string) {
	if to := LinkTarget(p, target); pkgdb.IsTextPlace(p) && b.keepSaid(p, to) {
		b.inventory.Links = with(b.inventory.Links, p, to)
	}
}

// keepSaid reports whether there is room for texts at p.
func (b *builder) keepSaid(p string, texts ...string) bool {
	size := len(p)
	for _, t := range texts {
		size += len(t)
	}
	return b.budget.listed.keep(size)
}

func with[T any](all map[string]T, key string, value T) map[string]T {
	if all == nil {
		all = map[string]T{}
	}
	all[key] = value
	return all
}

// listedRPM is a package of rpm's in the words of all databases.
func listedRPM(p rpmdb.Package) pkgdb.Package {
	is := pkgdb.Package{Name: p.Name, Version: p.Version, Arch: p.Arch, Source: path.Base(p.Source)}
	if p.Source == "" {
		is.Source = ""
	}
	if p.License != "" {
		is.Licenses = []string{p.License}
	}
	return is
}
