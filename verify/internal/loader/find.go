// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// Found is a file that a name leads to.
type Found struct {
	File *File  // nil if what is there is no library
	Path string // by which it was found, parent links followed
	Dir  Dir
}

// FindIn returns what a program finds for a name in one directory of [Image.HookedDirs]; ok
// is false if there is nothing. ldconfig passes over what is no library, unless it is at
// the name of one that it lists; a program that is led to it fails.
func (im *Image) FindIn(d Dir, name string, abi ABI) (f Found, ok bool) {
	if !im.work(1 + len(d.Path)/32) {
		return Found{}, false
	}
	if f, ok := im.inside(d, name, abi); ok {
		return f, true
	}
	p := join(d.Path, name)
	if d.indexed {
		return Found{Path: p, Dir: d}, im.isFile(p) && im.byReal[p] == nil && im.BySOName(d.Path, name, abi) != nil
	}
	final, ok := im.Real(p)
	return Found{Path: p, Dir: d}, ok && im.byReal[final] == nil && im.has(final)
}

// FindListed returns what a program finds for a name in a directory that ldconfig lists, if
// it comes to that.
func (im *Image) FindListed(dir, name string, abi ABI) (f Found, ok bool) {
	for _, d := range im.listed([]Dir{{Path: dir}}, abi) {
		if f, ok := im.FindIn(d, name, abi); ok {
			return f, true
		}
	}
	return Found{}, false
}

// isFile reports whether there is a regular file at p itself, in no linked directory.
func (im *Image) isFile(p string) bool {
	_, link := im.links.at[p]
	return !link && (im.byReal[p] != nil || im.has(p))
}

// FindOwn returns what an object gets for a name from the directory d that it
// names itself; ok is false if there is nothing.
func (im *Image) FindOwn(d Dir, name string, abi ABI) (f Found, ok bool) {
	if !im.work(stepsOfElement) {
		return Found{}, false
	}
	return im.at(d, name, abi)
}

// at looks into one directory and, before it, into those for newer processors. Of
// directories that ldconfig lists these are listed themselves.
func (im *Image) at(d Dir, name string, abi ABI) (Found, bool) {
	if !d.indexed {
		for _, cpu := range im.hwcaps(d, abi) {
			if f, ok := im.inside(cpu, name, abi); ok {
				f.Dir = d
				return f, true
			}
		}
	}
	return im.inside(d, name, abi)
}

// hwcaps are the directories for newer processors in a directory, best first.
func (im *Image) hwcaps(d Dir, abi ABI) (dirs []Dir) {
	top := join(d.Path, "glibc-hwcaps")
	for _, cpu := range abi.of().hwcaps {
		d.Path = join(top, cpu)
		if im.inDir[d.Path] != nil || im.linked()[d.Path] != nil {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// inside looks into one directory alone.
func (im *Image) inside(d Dir, name string, abi ABI) (Found, bool) {
	p := join(d.Path, name)
	linked := im.Lookup(p)
	if linked != nil && linked.ABI != abi {
		linked = nil
	}
	if (d.indexed || d.linked) && !im.env.Unhooked {
		// ldconfig makes a link of the name lead to the highest version, and leaves a file.
		if l := im.BySOName(d.Path, name, abi); l != nil && !im.isFile(p) {
			if linked == nil {
				p = l.Real
			}
			return Found{l.File, p, d}, true
		}
	}
	return Found{linked, p, d}, linked != nil
}

// Listed is a library as ldconfig lists it: Name is that of the file or link in the
// directory, of which the version counts.
type Listed struct {
	*File
	Name string
}

// bySOName returns the libraries of a directory by the name under which ldconfig
// lists and links them: of several, the one of the highest version. A link counts as a
// file unless it is the one that ldconfig would make, or is for the link editor.
func (im *Image) bySOName(dir string) map[string]*Listed {
	if known, ok := im.sonames[dir]; ok {
		return known
	}
	names := map[string]*Listed{}
	add := func(f *File, base string) {
		if !isListed(base) || f.SOName == "" {
			return
		}
		if other := names[f.SOName]; other == nil || CompareNames(other.Name, base) < 0 {
			names[f.SOName] = &Listed{f, base}
		}
	}
	for _, f := range im.inDir[dir] {
		add(f, path.Base(f.Real))
	}
	for _, base := range im.linked()[dir] {
		f := im.Lookup(join(dir, base))
		if f == nil || base == f.SOName || strings.HasSuffix(base, ".so") && strings.HasPrefix(f.SOName, base) {
			continue
		}
		add(f, base)
	}
	im.sonames[dir] = names
	return names
}

// isListed reports whether ldconfig takes a name for a library's.
func isListed(base string) bool {
	return strings.Contains(base, ".so") && (strings.HasPrefix(base, "lib") || strings.HasPrefix(base, "ld-"))
}

// linked returns the names of the links by directory that ldconfig takes for libraries.
func (im *Image) linked() map[string][]string {
	if im.linksIn == nil {
		im.linksIn = map[string][]string{}
		for p := range im.links.at {
			if base := path.Base(p); isListed(base) && im.work(1) {
				im.linksIn[dirOf(p)] = append(im.linksIn[dirOf(p)], base)
			}
		}
		for _, names := range im.linksIn {
			slices.Sort(names)
		}
	}
	return im.linksIn
}

// BySOName returns the library that ldconfig links to a name in a directory, nil if none.
func (im *Image) BySOName(dir, name string, abi ABI) *Listed {
	if f := im.bySOName(dir)[name]; f != nil && f.ABI == abi {
		return f
	}
	return nil
}

// CompareNames orders file names and versions as ldconfig does: runs of digits are
// numbers.
func CompareNames(a, b string) int {
	for a != "" && b != "" {
		x, restA := digits(a)
		y, restB := digits(b)
		if x != "" && y != "" {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
				return c
			}
			a, b = restA, restB
			continue
		}
		if c := cmp.Compare(a[0], b[0]); c != 0 {
			return c
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits cuts s behind the number that it begins with.
func digits(s string) (number, rest string) {
	rest = strings.TrimLeft(s, "0123456789")
	return s[:len(s)-len(rest)], rest
}
