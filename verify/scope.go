// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"path"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
)

// scope is what the image's own program loads: itself and all that it needs by
// DT_NEEDED. It is empty where the image starts no program that can be followed.
type scope struct {
	program string
	loads   map[string]bool // by path
}

// scope follows the program that the image starts.
func (m *merged) scope() scope {
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

// started returns the program of the entrypoint, or of the command without one; nil
// if that is a script or not there.
func (m *merged) started() *loader.File {
	argv := m.config.Entrypoint
	if len(argv) == 0 {
		argv = m.config.Cmd
	}
	if len(argv) == 0 {
		return nil
	}
	name := argv[0]
	switch {
	case path.IsAbs(name):
		return m.im.Lookup(clean(name))
	case strings.Contains(name, "/"):
		return m.im.Lookup(clean(m.config.WorkingDir + "/" + name))
	}
	for dir := range strings.SplitSeq(cmp.Or(envOf(m.config, "PATH"), defaultPath), ":") {
		if f := m.im.Lookup(clean(dir + "/" + name)); f != nil {
			return f
		}
	}
	return nil
}
