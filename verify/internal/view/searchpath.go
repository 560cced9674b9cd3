// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

func isCompat(f *loader.File) bool { return rules.InCompat(f.Real) }

// isStubInPlace reports whether f is a stub that is harmless as long as no search path leads to it.
func isStubInPlace(f *loader.File) bool { return rules.InStubs(f.Path) || rules.InStubs(f.Real) }

// commonPath judges the directories that every program searches: does one that
// holds stubs or the forward-compat package come before the host's libraries?
func (m *Image) commonPath() {
	loaded := map[*loader.File]bool{}
	ways := m.beforeHost()
	for _, name := range m.stubNames() {
		for _, dirs := range ways {
			found, ok := m.first(dirs, name)
			if !ok || found.File == nil || loaded[found.File] {
				continue
			}
			f := found.File
			loaded[f] = true
			switch {
			case f.Stub:
				m.hit(ruleStubLoaded, f, "stub is what %s leads to for %s", found.Dir.From, name)
			case isCompat(f):
				m.hit(ruleCompatPath, f, "%s leads here before it leads to the host's %s", found.Dir.From, name)
			}
		}
	}
	for _, d := range m.im.Dirs(m.abi) {
		if f := m.stubIn(d.Path); f != nil && !loaded[f] {
			m.hit(ruleStubPath, f, "%s names this directory of stubs", d.From)
		}
	}
}

// beforeHost returns the directories that every program searches before it comes to the
// host's, for each directory of a host. Where the hook has cuda-compat is not the image's doing.
func (m *Image) beforeHost() (ways [][]loader.Dir) {
	for _, folder := range m.hostFolders() {
		dirs := m.im.HookedDirs(m.abi, loader.Hook{Folder: folder}, nil)
		final, _ := m.im.Real(folder)
		if i := slices.IndexFunc(dirs, func(d loader.Dir) bool { return d.Path == final }); i >= 0 {
			dirs = dirs[:i]
		}
		ways = append(ways, dirs)
	}
	return ways
}

// first returns what is found for a name in directories.
func (m *Image) first(dirs []loader.Dir, name string) (loader.Found, bool) {
	for _, d := range dirs {
		if f, ok := m.im.FindIn(d, name, m.abi); ok {
			return f, true
		}
	}
	return loader.Found{}, false
}

// stubNames returns libcuda's name and those of the driver's other libraries that have
// stubs in the image. What a library that opens the driver calls itself is none.
func (m *Image) stubNames() []string {
	names, seen := []string{"libcuda.so.1"}, map[string]bool{"libcuda.so.1": true}
	for _, f := range m.im.Files {
		if lib, _ := rules.Load().LibraryNamed(f.SOName); lib != nil && f.Stub && !seen[f.SOName] {
			seen[f.SOName] = true
			names = append(names, f.SOName)
		}
	}
	return names
}

// stubIn returns a driver library's stub that lies in a directory, nil if there is none.
func (m *Image) stubIn(dir string) *loader.File {
	for _, f := range m.im.In(dir) {
		if f.Stub && isStubInPlace(f) {
			return f
		}
	}
	return nil
}

// namedDir is a directory that files name themselves.
type namedDir struct {
	loader.Dir
	rule, what string // what naming it breaks, see ownDir
	first      *loader.File
	count      int
}

// ownPaths judges the directories that programs and libraries name themselves:
// one finding a directory, with the first file that names it. Stubs and forward-compat
// libraries may name their own. Of directories with nothing in them, of which a few
// names make millions, none is kept.
func (m *Image) ownPaths() {
	known := map[string]*namedDir{}
	var broken []*namedDir
	for _, f := range m.im.Files {
		if isCompat(f) || isStubInPlace(f) {
			continue
		}
		for _, d := range m.im.OwnDirs(f) {
			n := known[d.Path]
			if n == nil {
				n = &namedDir{Dir: d, first: f}
				n.rule, n.what = m.ownDir(d)
				if n.rule != "" {
					broken = append(broken, n)
				}
				if n.rule != "" || len(m.im.In(d.Path)) > 0 {
					known[d.Path] = n
				}
			}
			n.count++
		}
	}
	for _, n := range broken {
		m.hit(n.rule, n.first, "its %s names %s, which holds %s%s", n.From, n.Path, n.what, andMore(n.count-1))
	}
}

// ownDir returns the rule that naming a directory breaks, "" if none, and what is there.
func (m *Image) ownDir(d loader.Dir) (rule, what string) {
	f, ok := m.im.FindOwn(d, "libcuda.so.1", m.abi)
	switch {
	case ok && f.File.Stub:
		return ruleStubLoaded, "a stub under the name that programs load"
	case ok && isCompat(f.File):
		return ruleCompatPath, "the forward-compat library"
	case m.stubIn(d.Path) != nil:
		return ruleStubPath, "stubs"
	}
	return "", ""
}

// andMore counts the files that a finding is about and does not name.
func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more like it)", n)
}
