// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"path"
	"slices"
	"strings"
)

// Closure is what the dynamic linker would load for one file.
type Closure struct {
	Loaded  []*Loaded // the file itself first, then in the order of loading
	Missing []Missing
}

// Loaded is a file in the memory of a process.
type Loaded struct {
	*File
	Path string // by which it was found; its directory is $ORIGIN
	From string // Dir.From of that directory, "" for the first file

	by *Loaded // whose need it was
}

// Missing is a need that the image does not meet.
type Missing struct {
	By   *File
	Name string // of the library
	// Version is the symbol version that the library, In, does not have; "" if the
	// library itself is missing.
	Version string
	In      *File
}

// process is one run of the dynamic linker.
type process struct {
	Closure
	im    *Image
	musl  bool
	names map[string]*Loaded // a missing library is here as nil
	files map[*File]*Loaded
}

// Closure returns what loading root would load. An empty Missing means that the
// file and all it needs would start.
func (im *Image) Closure(root *File) Closure {
	p := &process{im: im, names: map[string]*Loaded{}, files: map[*File]*Loaded{}, musl: im.Musl(root.ABI)}
	first := p.load(Found{File: root, Path: root.Real}, nil)
	if root.Program() {
		p.musl = strings.HasPrefix(path.Base(root.Interp), "ld-musl-")
		if !p.interpreter(first) {
			return p.Closure
		}
	}
	for i := 0; i < len(p.Loaded); i++ {
		if !im.work(1 + len(p.Loaded[i].Needed)) {
			return p.Closure
		}
		for _, name := range p.Loaded[i].Needed {
			p.need(p.Loaded[i], name)
		}
	}
	if !p.musl {
		p.versions()
	}
	return p.Closure
}

// interpreter loads the dynamic linker, which libraries may need by name.
func (p *process) interpreter(first *Loaded) bool {
	name := rooted("", first.Interp)
	f := p.im.Lookup(name)
	if f == nil {
		p.Missing = append(p.Missing, Missing{By: first.File, Name: first.Interp})
		return false
	}
	l := p.load(Found{File: f, Path: name}, first)
	p.names[path.Base(name)] = l
	return true
}

func (p *process) load(f Found, by *Loaded) *Loaded {
	l := &Loaded{File: f.File, Path: f.Path, From: f.Dir.From, by: by}
	p.Loaded = append(p.Loaded, l)
	p.files[f.File] = l
	if f.File.SOName != "" {
		p.names[f.File.SOName] = l
	}
	return l
}

// need loads one library unless a loaded one answers to the name.
func (p *process) need(l *Loaded, name string) {
	if _, known := p.names[name]; known || name == "" || p.musl && isMuslItself(name) {
		return
	}
	found, ok := p.find(l, name)
	switch {
	case !ok:
		p.names[name] = nil
		p.Missing = append(p.Missing, Missing{By: l.File, Name: name})
	case p.files[found.File] != nil:
		p.names[name] = p.files[found.File]
	default:
		p.names[name] = p.load(found, l)
	}
}

// isMuslItself reports whether musl takes the name for one of the libraries that
// it contains.
func isMuslItself(name string) bool {
	rest, ok := strings.CutPrefix(name, "lib")
	stem, _, dotted := strings.Cut(rest, ".")
	return ok && dotted && slices.Contains([]string{"c", "pthread", "rt", "m", "dl", "util", "xnet"}, stem)
}

// find searches in the order of ld.so(8), or of musl's ldso.
func (p *process) find(l *Loaded, name string) (Found, bool) {
	if strings.Contains(name, "/") {
		at := rooted(p.im.env.WorkingDir, newTokens(dirOf(l.Path), l.ABI).replace(name)[0])
		f := p.im.Lookup(at)
		return Found{File: f, Path: at}, f != nil && f.ABI == l.ABI
	}
	if p.musl {
		if f, ok := p.common(l.ABI, name, true); ok {
			return f, true
		}
		if f, ok := p.chain(l, name); ok {
			return f, true
		}
		return p.common(l.ABI, name, false)
	}
	if l.RunPath == "" {
		if f, ok := p.chain(l, name); ok {
			return f, true
		}
	}
	if f, ok := p.common(l.ABI, name, true); ok {
		return f, true
	}
	if l.RunPath != "" {
		if f, ok := p.in(p.dirs(l), name, l.ABI); ok {
			return f, true
		}
	}
	if l.NoDefault {
		dirs := slices.DeleteFunc(slices.Clone(p.im.system(l.ABI, false)), func(d Dir) bool { return d.From == Default })
		return p.in(dirs, name, l.ABI)
	}
	return p.common(l.ABI, name, false)
}

// chain searches the paths of a file and of those that loaded it. glibc passes
// only RPATH on, musl both.
func (p *process) chain(l *Loaded, name string) (Found, bool) {
	abi := l.ABI
	for ; l != nil && p.im.work(1); l = l.by {
		if l.RPath == "" && (!p.musl || l.RunPath == "") {
			continue
		}
		if f, ok := p.in(p.dirs(l), name, abi); ok {
			return f, true
		}
	}
	return Found{}, false
}

func (p *process) in(dirs []Dir, name string, abi ABI) (Found, bool) {
	for _, d := range dirs {
		if !p.im.work(1 + len(d.Path)/32) {
			break
		}
		if f, ok := p.im.at(d, name, abi); ok {
			return f, true
		}
	}
	return Found{}, false
}

// dirs returns the directories that a file names itself.
func (p *process) dirs(l *Loaded) []Dir { return p.im.own(l.Object, dirOf(l.Path)) }

type searchKey struct {
	abi       ABI
	musl, env bool
	name      string
}

// searched is the remembered result of a search.
type searched struct {
	Found
	ok bool
}

// maxSearched bounds the results that are remembered.
const maxSearched = 1 << 16

// common searches what is alike for all files: LD_LIBRARY_PATH, or the system's
// directories.
func (p *process) common(abi ABI, name string, env bool) (Found, bool) {
	if env && p.im.env.LibraryPath == "" {
		return Found{}, false
	}
	key := searchKey{abi, p.musl, env, name}
	s, known := p.im.search[key]
	if !known {
		dirs := p.im.libraryPath
		if !env {
			dirs = func(abi ABI) []Dir { return p.im.system(abi, p.musl) }
		}
		s.Found, s.ok = p.in(dirs(abi), name, abi)
		if len(p.im.search) == maxSearched {
			clear(p.im.search)
		}
		p.im.search[key] = s
	}
	return s.Found, s.ok
}

// versions finds the symbol versions that loaded libraries lack. A library that
// defines none is taken as it is, with a warning, by glibc.
func (p *process) versions() {
	for _, l := range p.Loaded {
		for _, v := range l.Versions {
			in := p.names[v.Lib]
			if in == nil || len(in.Defines) == 0 || !p.im.work(1) {
				continue
			}
			for _, lacking := range p.im.lacks(in.File, l.File, v) {
				p.Missing = append(p.Missing, Missing{By: l.File, Name: v.Lib, Version: lacking, In: in.File})
			}
		}
	}
}

// maxLacking bounds the pairs of files of which is known what one lacks for the other.
const maxLacking = 1 << 17

// lacks returns the versions of v that a library does not define.
func (im *Image) lacks(in, by *File, v Versions) []string {
	key := [2]*File{in, by}
	missing, known := im.lacking[key]
	if known || !im.work(len(v.Names)) {
		return missing
	}
	defined := im.definedBy(in)
	for _, name := range v.Names {
		if !defined[name] {
			missing = append(missing, name)
		}
	}
	if len(im.lacking) == maxLacking {
		clear(im.lacking)
	}
	im.lacking[key] = missing
	return missing
}

// definedBy returns the versions that a library defines.
func (im *Image) definedBy(f *File) map[string]bool {
	set := im.defines[f]
	if set == nil && im.work(len(f.Defines)) {
		set = make(map[string]bool, len(f.Defines))
		for _, name := range f.Defines {
			set[name] = true
		}
		im.defines[f] = set
	}
	return set
}
