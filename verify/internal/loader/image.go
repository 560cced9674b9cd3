// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// Cache is the path of the cache that ldconfig writes.
const Cache = "etc/ld.so.cache"

// Layer is one layer of an image.
type Layer struct {
	*Facts
	Hard []Link // hard links to files of lower layers
	// Hidden reports whether a layer above hides what this one has at a path.
	Hidden func(path string) bool
}

// Env is the part of an image's configuration that the dynamic linker reads.
type Env struct {
	LibraryPath string // LD_LIBRARY_PATH
	WorkingDir  string
	// Unhooked means that no runtime hook runs ldconfig: a library is found by the names that
	// the image has of it alone.
	Unhooked bool
}

// Image is the file system of an image as its dynamic linker sees it. It is not
// safe for concurrent use: it remembers what it has looked up.
type Image struct {
	// Files is all objects that are not hidden, sorted by Real.
	Files []*File

	layers   []Layer
	has      func(path string) bool // a file, a directory not counted
	env      Env
	byReal   map[string]*File
	inDir    map[string][]*File  // by real directory
	byName   map[string]*File    // by base name and SONAME, made when needed
	links    links               // by path with real parents
	configs  map[string]string   // text by real path
	cached   map[string][]string // files by name, of the ld.so.cache that is not hidden
	sonames  map[string]map[string]*Listed
	linksIn  map[string][]string // names, by directory, see linked
	loaders  map[ABI]family
	search   map[searchKey]searched
	libPaths map[ABI][]Dir // of LD_LIBRARY_PATH
	systems  map[systemKey][]Dir
	owns     map[ownKey][]Dir
	ownBytes int
	defines  map[*File]map[string]bool
	lacking  map[[2]*File][]string
	budget
}

// New puts the layers, bottom first, together. has reports whether a container sees a
// file, a directory not counted, at a path.
func New(layers []Layer, has func(path string) bool, env Env) *Image {
	im := &Image{
		layers: layers, has: has, env: env, budget: newBudget(layers),
		byReal: map[string]*File{}, inDir: map[string][]*File{}, links: newLinks(layers), configs: map[string]string{}, cached: map[string][]string{},
		sonames: map[string]map[string]*Listed{}, loaders: map[ABI]family{}, defines: map[*File]map[string]bool{},
		search: map[searchKey]searched{}, libPaths: map[ABI][]Dir{}, systems: map[systemKey][]Dir{}, owns: map[ownKey][]Dir{}, lacking: map[[2]*File][]string{},
	}
	im.addLinks()
	for i, l := range layers {
		im.addLayer(i, l)
	}
	im.index()
	return im
}

func (im *Image) addLayer(i int, l Layer) {
	for k := range l.Objects {
		if o := &l.Objects[k]; !l.Hidden(o.Path) {
			im.addFile(i, o)
		}
	}
	for _, h := range l.Hard {
		if f := im.Lookup(h.Target); f != nil && !l.Hidden(h.Path) {
			o := *f.Object
			o.Path = h.Path
			im.addFile(i, &o)
		}
	}
	for _, c := range l.Configs {
		if !l.Hidden(c.Path) {
			im.configs[im.place(c.Path)] = c.Text
		}
	}
	if len(l.Cached) > 0 && !l.Hidden(Cache) {
		for _, entry := range l.Cached {
			im.cached[entry.Path] = append(im.cached[entry.Path], entry.Target)
		}
	}
}

// addLinks fills links. An entry below a linked directory, as "lib/x" where lib
// leads to usr/lib, is where the directory leads to.
func (im *Image) addLinks() {
	for i, l := range im.layers {
		for _, k := range l.Links {
			if !l.Hidden(k.Path) {
				im.links.add(k.Path, placed{k.Target, i})
			}
		}
	}
	for _, l := range im.layers {
		for _, k := range l.Links {
			from, ok := im.links.at[k.Path]
			if p := im.place(k.Path); ok && p != k.Path && im.links.at[p].layer <= from.layer && im.keep(len(p)) {
				im.links.add(p, from)
			}
		}
	}
	im.links.forget()
}

func (im *Image) addFile(layer int, o *Object) {
	at := im.place(o.Path)
	if at == o.Path || im.keep(len(at)) {
		im.byReal[at] = &File{Object: o, Real: at, Layer: layer}
	}
}

// index fills what New's callers search in.
func (im *Image) index() {
	for _, f := range im.byReal {
		im.Files = append(im.Files, f)
	}
	slices.SortFunc(im.Files, func(a, b *File) int { return cmp.Compare(a.Real, b.Real) })
	for _, f := range im.Files {
		dir := dirOf(f.Real)
		im.inDir[dir] = append(im.inDir[dir], f)
		family := im.loaders[f.ABI]
		family.glibc = family.glibc || strings.HasPrefix(f.SOName, "ld-linux") || strings.HasPrefix(f.SOName, "ld64.so")
		family.musl = family.musl || strings.HasPrefix(path.Base(f.Real), "ld-musl-")
		im.loaders[f.ABI] = family
	}
}

// place returns p with the links in its parent directories followed.
func (im *Image) place(p string) string {
	dir := dirOf(p)
	d := im.realDir(dir)
	switch {
	case d.hops > maxHops, d.path == dir:
		return p
	}
	return join(d.path, path.Base(p))
}

// Place returns p with the links in its parent directories followed.
func (im *Image) Place(p string) string {
	return im.place(p)
}

// Lookup returns the object at p, nil if there is none.
func (im *Image) Lookup(p string) *File {
	final, ok := im.Real(p)
	if !ok {
		return nil
	}
	return im.byReal[final]
}

// Config returns the text of the linker's configuration file at p; ok is false if there
// is no such file, or if it is not known to be one.
func (im *Image) Config(p string) (text string, ok bool) {
	final, _ := im.Real(p)
	text, ok = im.configs[final]
	return text, ok
}

// Has reports whether there is a file at p, links followed.
func (im *Image) Has(p string) bool {
	final, ok := im.Real(p)
	return ok && im.has(final)
}

// In returns the objects in a directory, links not counted.
func (im *Image) In(dir string) []*File {
	final, _ := im.Real(dir)
	return im.inDir[final]
}

// Programs returns the programs that a shell finds in these directories, those
// that links there lead to included, sorted by Real.
func (im *Image) Programs(dirs []string) []*File {
	var found []*File
	wanted := map[string]bool{}
	for _, d := range dirs {
		final, ok := im.Real(rooted("", d))
		if !ok || wanted[final] {
			continue
		}
		wanted[final] = true
		found = append(found, im.inDir[final]...)
	}
	for p := range im.links.at {
		if wanted[dirOf(p)] {
			if f := im.Lookup(p); f != nil {
				found = append(found, f)
			}
		}
	}
	found = slices.DeleteFunc(found, func(f *File) bool { return !f.Program() })
	slices.SortFunc(found, func(a, b *File) int { return cmp.Compare(a.Real, b.Real) })
	return slices.Compact(found)
}

// Named returns an object with this base name or SONAME, wherever it is; nil if
// there is none.
func (im *Image) Named(abi ABI, name string) *File {
	if im.byName == nil {
		im.byName = map[string]*File{}
		for _, f := range slices.Backward(im.Files) {
			im.byName[f.SOName] = f
			im.byName[path.Base(f.Real)] = f
		}
	}
	if f := im.byName[name]; f != nil && f.ABI == abi {
		return f
	}
	return nil
}

// Cached returns the object that the image's ld.so.cache has under a name, nil if it
// has none outside the default directories, or none that is still there.
func (im *Image) Cached(abi ABI, name string) *File {
	for _, target := range im.cached[name] {
		if f := im.Lookup(rooted("", target)); f != nil && f.ABI == abi {
			return f
		}
	}
	return nil
}

// Incomplete says what a layer has too much of, and which one, "" if none has.
func (im *Image) Incomplete() (why string, layer int) {
	for i, l := range im.layers {
		if l.Incomplete != "" {
			return l.Incomplete, i
		}
	}
	return "", 0
}

// dirOf is path.Dir for paths without a leading slash: "" is the root.
func dirOf(p string) string { return strings.TrimSuffix(p[:strings.LastIndexByte(p, '/')+1], "/") }

func join(dir, base string) string {
	if dir == "" {
		return base
	}
	return dir + "/" + base
}

// rooted returns name as a path of the image, taken from dir if it is relative.
func rooted(dir, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)[1:]
	}
	return path.Clean("/" + dir + "/" + name)[1:]
}
