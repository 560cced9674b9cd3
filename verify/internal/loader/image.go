// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// maxHops is how many links Linux follows in one path.
const maxHops = 40

// Cache is the path of the cache that ldconfig writes.
const Cache = "etc/ld.so.cache"

// Layer is one layer of an image.
type Layer struct {
	*Facts
	Hard []Link // hard links to files of lower layers
	// Hides reports whether the layer hides what lower layers have at a path, Has
	// whether it has a file there, a directory not counted.
	Hides, Has func(path string) bool
}

// Env is the part of an image's configuration that the dynamic linker reads.
type Env struct {
	LibraryPath string // LD_LIBRARY_PATH
	WorkingDir  string
}

// Image is the file system of an image as its dynamic linker sees it. It is not
// safe for concurrent use: it remembers what it has looked up.
type Image struct {
	// Files is all objects that are not hidden, sorted by Real.
	Files []*File

	layers   []Layer
	env      Env
	byReal   map[string]*File
	inDir    map[string][]*File // by real directory
	byName   map[string]*File   // by base name and SONAME, made when needed
	links    map[string]placed  // by path with real parents
	configs  map[string]string  // text by real path
	cached   []Link             // of the ld.so.cache that is not hidden
	realDirs map[string]string  // what resolve has learned
	sonames  map[string]map[string]*File
	loaders  map[ABI]family
	search   map[searchKey]searched
	libPaths map[ABI][]Dir // of LD_LIBRARY_PATH
	systems  map[systemKey][]Dir
	owns     map[ownKey][]Dir
	lacking  map[[2]*File][]string
	steps    int
}

// placed is a link or a file's place in the layers.
type placed struct {
	target string
	layer  int
}

// New puts the layers, bottom first, together.
func New(layers []Layer, env Env) *Image {
	im := &Image{
		layers: layers, env: env,
		byReal: map[string]*File{}, inDir: map[string][]*File{}, links: make(map[string]placed, linkCount(layers)), configs: map[string]string{},
		realDirs: map[string]string{}, sonames: map[string]map[string]*File{}, loaders: map[ABI]family{},
		search: map[searchKey]searched{}, libPaths: map[ABI][]Dir{}, systems: map[systemKey][]Dir{}, owns: map[ownKey][]Dir{}, lacking: map[[2]*File][]string{},
	}
	im.addLinks()
	for i, l := range layers {
		for k := range l.Objects {
			if o := &l.Objects[k]; !im.hidden(i, o.Path) {
				im.addFile(i, o)
			}
		}
		for _, h := range l.Hard {
			if f := im.Lookup(h.Target); f != nil && !im.hidden(i, h.Path) {
				o := *f.Object
				o.Path = h.Path
				im.addFile(i, &o)
			}
		}
		for _, c := range l.Configs {
			if !im.hidden(i, c.Path) {
				im.configs[im.place(c.Path)] = c.Text
			}
		}
		if !im.hidden(i, Cache) {
			im.cached = append(im.cached, l.Cached...)
		}
	}
	im.index()
	return im
}

// hidden reports whether a layer above i hides its path p.
func (im *Image) hidden(i int, p string) bool {
	return slices.ContainsFunc(im.layers[i+1:], func(l Layer) bool { return l.Hides(p) })
}

// linkCount is how many links the layers have.
func linkCount(layers []Layer) (n int) {
	for _, l := range layers {
		n += len(l.Links)
	}
	return n
}

// addLinks fills links. An entry below a linked directory, as "lib/x" where lib
// leads to usr/lib, is where the directory leads to.
func (im *Image) addLinks() {
	for i, l := range im.layers {
		for _, k := range l.Links {
			if !im.hidden(i, k.Path) {
				im.links[k.Path] = placed{k.Target, i}
			}
		}
	}
	for _, l := range im.layers {
		for _, k := range l.Links {
			from, ok := im.links[k.Path]
			if p := im.place(k.Path); ok && p != k.Path && im.links[p].layer <= from.layer {
				im.links[p] = from
			}
		}
	}
	clear(im.realDirs)
}

func (im *Image) addFile(layer int, o *Object) {
	im.byReal[im.place(o.Path)] = &File{Object: o, Real: im.place(o.Path), Layer: layer}
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
	final, ok := im.resolve(dir, maxHops)
	if !ok {
		return p
	}
	return join(final, path.Base(p))
}

// Real returns p with all links followed, "" and false if they go in circles.
func (im *Image) Real(p string) (string, bool) { return im.resolve(p, maxHops) }

func (im *Image) resolve(p string, hops int) (string, bool) {
	if p == "" {
		return "", true
	}
	dir, base := dirOf(p), path.Base(p)
	if dir != "" {
		final, known := im.realDirs[dir]
		if !known {
			var ok bool
			if final, ok = im.resolve(dir, hops); !ok {
				return "", false
			}
			im.realDirs[dir] = final
		}
		dir = final
	}
	p = join(dir, base)
	link, ok := im.links[p]
	switch {
	case !ok:
		return p, true
	case hops == 0:
		return "", false
	}
	return im.resolve(rooted(dir, link.target), hops-1)
}

// Lookup returns the object at p, nil if there is none.
func (im *Image) Lookup(p string) *File {
	final, ok := im.Real(p)
	if !ok {
		return nil
	}
	return im.byReal[final]
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
		final, ok := im.Real(d)
		if !ok || wanted[final] {
			continue
		}
		wanted[final] = true
		found = append(found, im.inDir[final]...)
	}
	for p := range im.links {
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
	for _, entry := range im.cached {
		if entry.Path != name {
			continue
		}
		if f := im.Lookup(rooted("", entry.Target)); f != nil && f.ABI == abi {
			return f
		}
	}
	return nil
}

// Incomplete says why the view of the image is not whole, and of which layer,
// "" if nothing is missing.
func (im *Image) Incomplete() (why string, layer int) {
	for i, l := range im.layers {
		if l.Incomplete != "" {
			return l.Incomplete, i
		}
	}
	if im.steps > maxSteps {
		return "the libraries of the image need too many others", len(im.layers) - 1
	}
	return "", 0
}

// exists reports whether the image has a file at a real path, a library or not.
func (im *Image) exists(final string) bool {
	for _, l := range slices.Backward(im.layers) {
		if l.Has(final) {
			return true
		}
		if l.Hides(final) {
			return false
		}
	}
	return false
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
