// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"cmp"
	"path"
	"strings"
)

// Found is a file that a name leads to.
type Found struct {
	File *File  // nil if what is there is no library
	Path string // by which it was found, parent links followed
	Dir  Dir
}

// FindIn returns what a program finds for a name in one directory of [Image.HookedDirs]; ok
// is false if there is nothing. ldconfig passes over what is no library, a program that
// LD_LIBRARY_PATH leads to it fails.
func (im *Image) FindIn(d Dir, name string, abi ABI) (f Found, ok bool) {
	if !im.work(1 + len(d.Path)/32) {
		return Found{}, false
	}
	if f, ok := im.at(d, name, abi); ok || d.indexed {
		return f, ok
	}
	p := join(d.Path, name)
	final, ok := im.Real(p)
	return Found{Path: p, Dir: d}, ok && im.byReal[final] == nil && im.has(final)
}

// FindOwn returns what an object gets for a name from the directory d that it
// names itself; ok is false if there is nothing.
func (im *Image) FindOwn(d Dir, name string, abi ABI) (f Found, ok bool) {
	if !im.work(stepsOfElement) {
		return Found{}, false
	}
	return im.at(d, name, abi)
}

// at looks into one directory and, before it, into those for newer processors.
func (im *Image) at(d Dir, name string, abi ABI) (Found, bool) {
	for _, cpu := range abi.of().hwcaps {
		sub := join(d.Path, "glibc-hwcaps/"+cpu)
		if im.inDir[sub] == nil {
			continue
		}
		if f := im.Lookup(join(sub, name)); f != nil && f.ABI == abi {
			return Found{f, join(sub, name), d}, true
		}
	}
	p := join(d.Path, name)
	linked := im.Lookup(p)
	if linked != nil && linked.ABI != abi {
		linked = nil
	}
	if d.indexed || d.linked {
		// ldconfig makes a link of the name lead to the highest version, and leaves a file.
		if f := im.bySOName(d.Path)[name]; f != nil && f.ABI == abi && (linked == nil || linked.Real != p) {
			if linked == nil {
				p = f.Real
			}
			return Found{f, p, d}, true
		}
	}
	return Found{linked, p, d}, linked != nil
}

// bySOName returns the libraries of a directory by the name under which ldconfig
// lists and links them: of several, the one of the highest version.
func (im *Image) bySOName(dir string) map[string]*File {
	if known, ok := im.sonames[dir]; ok {
		return known
	}
	names := map[string]*File{}
	for _, f := range im.inDir[dir] {
		base := path.Base(f.Real)
		listed := strings.Contains(base, ".so") && (strings.HasPrefix(base, "lib") || strings.HasPrefix(base, "ld-"))
		if !listed || f.SOName == "" {
			continue
		}
		if other := names[f.SOName]; other == nil || CompareNames(path.Base(other.Real), base) < 0 {
			names[f.SOName] = f
		}
	}
	im.sonames[dir] = names
	return names
}

// BySOName returns the library that ldconfig links to a name in a directory, nil if none.
func (im *Image) BySOName(dir, name string, abi ABI) *File {
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
