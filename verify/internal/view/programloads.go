// SPDX-License-Identifier: Apache-2.0

package view

import (
	"slices"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
)

// scope is what the image's own program loads: itself and all that it needs by
// DT_NEEDED. It is empty where the image starts no program that can be followed.
type scope struct {
	program string
	loads   map[string]bool // by path
}

// counts reports whether a file may be loaded: any, where no program is followed.
func (s scope) counts(path string) bool { return s.program == "" || s.loads[path] }

// scope follows the program that the image starts.
func (m *Image) scope() scope {
	f := m.started()
	if f == nil {
		return scope{}
	}
	s := scope{program: f.Path, loads: map[string]bool{}}
	for _, l := range m.im.Closure(f).Loaded {
		s.loads[l.File.Path] = true
	}
	return s
}

// asking returns what asks for libcuda in the image's own program, nil if that cannot be
// followed: the first that has it among its needs, else the first with the CUDA runtime in it, else
// the program. Where libcuda is looked for depends on it.
func (m *Image) asking() *loader.Loaded {
	f := m.started()
	if f == nil {
		return nil
	}
	runtime := map[string]bool{}
	for i, facts := range m.layers.facts {
		for _, n := range facts.Code {
			if n.Cudart && m.layers.deletedIn(i, n.Path) == nil {
				runtime[n.Path] = true
			}
		}
	}
	loaded := m.im.Closure(f).Loaded
	for _, asks := range []func(*loader.Loaded) bool{
		func(l *loader.Loaded) bool { return slices.Contains(l.Needed, libcudaName) },
		func(l *loader.Loaded) bool { return runtime[l.File.Path] },
	} {
		if i := slices.IndexFunc(loaded, asks); i >= 0 {
			return loaded[i]
		}
	}
	return loaded[0]
}

// started returns the program of the entrypoint, or of the command without one; nil
// if that is a script or not there.
func (m *Image) started() *loader.File {
	words := argv(m.config)
	if len(words) == 0 {
		return nil
	}
	for _, p := range m.candidates(words[0]) {
		if f := m.im.Lookup(p); f != nil {
			return f
		}
	}
	return nil
}
