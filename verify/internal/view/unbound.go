// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// older says which library of a process is older than what a file of it was built with, as the
// file's note says; "" if none is known to be. A library's version is that in the name of the file to
// which its SONAME leads.
func older(c loader.Closure) string {
	found := map[string]*loader.File{}
	for _, l := range c.Loaded {
		if stem, _, ok := strings.Cut(l.SOName, ".so"); ok {
			found[stem+".so"] = l.File
		}
	}
	for _, l := range c.Loaded {
		for _, b := range l.Built {
			f := found[b.Lib]
			if f == nil {
				continue
			}
			version, _ := strings.CutPrefix(path.Base(f.Real), b.Lib+".")
			if has, wants := alike(version, b.Version); compat.IsVersion(version) && compat.Compare(has, wants) < 0 {
				return fmt.Sprintf("%s is older than %s, which %s was built with", f.Path, b.Version, l.File.Path)
			}
		}
	}
	return ""
}

// alike cuts two versions to the numbers that both have.
func alike(a, b string) (string, string) {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	n := min(len(as), len(bs))
	return strings.Join(as[:n], "."), strings.Join(bs[:n], ".")
}

// lacksSymbols says which symbol no file of a program's process defines and without which it does
// not start, "" if none is known. Functions that are looked up when they are called first it only
// notes. It knows glibc's dynamic linker, and nothing of the symbols that the host's driver has.
func (s *starter) lacksSymbols(f *loader.File, c loader.Closure) string {
	files, open, ok := s.process(f, c)
	if !ok {
		return ""
	}
	lacking, _ := s.im.Unbound(files)
	if open {
		lacking = ofVersions(lacking, files)
	}
	var now, later []loader.Unbound
	for _, u := range lacking {
		if u.Lazy && envOf(s.config, "LD_BIND_NOW") == "" {
			later = append(later, u)
		} else {
			now = append(now, u)
		}
	}
	if len(later) > 0 && s.unbound == "" {
		s.unbound = undefined(f, later) + ": the first call ends the program, which does not start where all symbols are bound at once (LD_BIND_NOW)"
	}
	return undefined(f, now)
}

// undefined says it as the dynamic linker does, "" of nothing.
func undefined(f *loader.File, lacking []loader.Unbound) string {
	if len(lacking) == 0 {
		return ""
	}
	first := lacking[0]
	if first.Version != "" {
		first.Name += ", version " + first.Version
	}
	return fmt.Sprintf("%s: undefined symbol: %s%s, which nothing that %s loads defines", first.By.Path, first.Name, andMore(len(lacking)-1), f.Path)
}

// ofVersions keeps the symbols of versions that one of the files has: others may be the driver's.
func ofVersions(lacking []loader.Unbound, files []*loader.File) []loader.Unbound {
	has := map[string]bool{}
	for _, f := range files {
		for _, version := range f.Defines {
			has[version] = true
		}
	}
	return slices.DeleteFunc(lacking, func(u loader.Unbound) bool { return !has[u.Version] })
}

// process returns what is loaded with a program but for libraries of the driver: open says that
// there are such. ok is false where not all of it is known.
func (s *starter) process(f *loader.File, c loader.Closure) (files []*loader.File, open, ok bool) {
	if !f.Program() || len(c.Loaded) < 2 || !strings.HasPrefix(c.Loaded[1].SOName, "ld-linux") { // Alpine's gcompat has one of that path
		return nil, false, false
	}
	closures := []loader.Closure{c}
	for _, p := range s.preloaded() {
		if !path.IsAbs(p.name) || strings.Contains(p.name, "$") || s.brought(layer.Clean(p.name)) {
			return nil, false, false
		}
		if lib := s.im.Lookup(layer.Clean(p.name)); lib != nil && lib.ABI == f.ABI && p.by != "LD_AUDIT" {
			closures = append(closures, s.im.Closure(lib))
		}
	}
	seen := map[*loader.File]bool{}
	for _, c := range closures {
		open = open || len(c.Missing) > 0
		for _, l := range c.Loaded {
			switch {
			case isDrivers(l.SOName), isDrivers(path.Base(l.Real)):
				open = true
			case !seen[l.File]:
				seen[l.File] = true
				files = append(files, l.File)
			}
		}
	}
	return files, open, s.preloadsLeft == ""
}

// isDrivers reports whether a library of that name is the driver's.
func isDrivers(name string) bool {
	lib, _ := rules.Load().LibraryNamed(name)
	return lib != nil
}
