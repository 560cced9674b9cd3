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

// Find returns what a program that names no directories itself could get for a
// library's name, in the order of the search: the first one is what it gets.
func (im *Image) Find(abi ABI, name string) []Found {
	var all []Found
	for _, d := range im.Dirs(abi) {
		if !im.work(1 + len(d.Path)/32) {
			break
		}
		if f, ok := im.at(d, name, abi); ok {
			all = append(all, f)
		} else if final, ok := im.Real(join(d.Path, name)); ok && im.byReal[final] == nil && im.has(final) {
			all = append(all, Found{Path: join(d.Path, name), Dir: d})
		}
	}
	return all
}

// FindOwn returns what an object gets for a name from the directory d that it
// names itself; ok is false if there is nothing.
func (im *Image) FindOwn(d Dir, name string, abi ABI) (f Found, ok bool) { return im.at(d, name, abi) }

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
	if f := im.Lookup(p); f != nil && f.ABI == abi {
		return Found{f, p, d}, true
	}
	if !d.indexed {
		return Found{}, false
	}
	f := im.bySOName(d.Path)[name]
	if f == nil || f.ABI != abi {
		return Found{}, false
	}
	return Found{f, f.Real, d}, true
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
