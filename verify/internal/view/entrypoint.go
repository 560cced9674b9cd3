// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

const ruleEntrypoint = "entrypoint-missing"

// halt is why the image's own program cannot start; the zero value if nothing is known
// that stops it.
type halt struct {
	why     string
	missing bool   // there is no such program
	unsure  string // why it may not get what it asks of the driver
	unbound string // which functions that it calls nobody defines
}

// argv is what the image starts, its first element never "" but for an image that
// starts nothing.
func argv(config v1.Config) []string {
	words := slices.Concat(config.Entrypoint, config.Cmd)
	if len(words) == 0 || words[0] == "" {
		return nil
	}
	return words
}

// How far a start is followed: programs that start others, and paths and links that are
// looked at.
const (
	maxStarts = 8
	maxPlaces = 100_000
)

// starter follows what the image starts.
type starter struct {
	*Image
	cudart map[string]bool // files with the CUDA runtime in them
	mounts []string        // folders that have something else in a container, with "/" but for the root
	links  int
	places int // that were looked at

	unsure, unbound string // see halt
}

// start judges what the image starts: is it there, may it be executed, and does the image
// have what it needs? Layers that were not read to their end may have either, so then it
// says nothing.
func (m *Image) start() halt {
	words := argv(m.config)
	if len(words) == 0 || slices.ContainsFunc(m.layers.facts, func(f *layer.Facts) bool { return !f.Complete() || f.Linker.Incomplete != "" }) {
		return halt{}
	}
	s := newStarter(m)
	h := s.start(words, true, 0)
	if s.im.Exceeded() != "" {
		return halt{}
	}
	h.unsure, h.unbound = s.unsure, s.unbound
	return h
}

func newStarter(m *Image) *starter {
	s := &starter{Image: m, cudart: map[string]bool{}, mounts: []string{"dev/", "proc/", "run/", "sys/"}}
	for v := range m.config.Volumes {
		s.mounts = append(s.mounts, strings.TrimPrefix(layer.Clean(v)+"/", "/"))
	}
	for _, f := range m.layers.facts {
		s.links += len(f.Linker.Links)
		for _, n := range f.Code {
			s.cudart[n.Path] = s.cudart[n.Path] || n.Cudart
		}
	}
	return s
}

// start says why words start nothing; by the kernel alone, or by a program that gives a
// text to a shell. Of several programs on PATH any may do.
func (s *starter) start(words []string, kernel bool, depth int) halt {
	var first halt
	for _, p := range s.candidates(words[0]) {
		final, ok := s.im.Real(p)
		if s.places++; s.places > maxPlaces || depth > maxStarts || s.brought(p) || s.brought(final) {
			return halt{}
		}
		if !ok || !s.exists(final) {
			continue
		}
		h := s.file(final, words, kernel, depth)
		if h == (halt{}) || s.aliased(final) {
			return halt{}
		}
		first = cmp.Or(first, h)
	}
	if first == (halt{}) {
		return s.gone(words[0])
	}
	return first
}

// gone says that there is no program of that name.
func (s *starter) gone(name string) halt {
	if strings.Contains(name, "/") {
		return halt{why: fmt.Sprintf("/%s is not in the image", visible(s.candidates(name)[0])), missing: true}
	}
	return halt{why: fmt.Sprintf("%q is in no directory of PATH", name), missing: true}
}

// visible is a path in which control characters are seen.
func visible(p string) string {
	quoted := strconv.Quote(p)
	return quoted[1 : len(quoted)-1]
}

// exists reports whether a container sees a file at p, which no link leads on from.
func (s *starter) exists(p string) bool { return s.layers.paths.has(p) || s.aliased(p) }

// aliased reports whether a layer has p under the name of a link to one of its folders: then
// it is not known which entry counts. Nor is it where there are too many links.
func (s *starter) aliased(p string) bool {
	if s.places += s.links; s.places > maxPlaces {
		return true
	}
	for alias := range s.layers.aliases(s.im, p) {
		if s.layers.paths.has(alias) {
			return true
		}
	}
	return false
}

// brought reports whether a container has at p what its image need not have: the driver's
// programs, volumes, and what is the kernel's.
func (s *starter) brought(p string) bool {
	s.places += len(s.mounts)
	return slices.ContainsFunc(s.mounts, func(dir string) bool { return strings.HasPrefix(p, dir) }) ||
		rules.Load().LinkRule(p) == rules.DriverProgram
}

// candidates are the paths at which a program of that name is looked for.
func (m *Image) candidates(name string) []string {
	switch {
	case path.IsAbs(name):
		return []string{layer.Clean(name)}
	case strings.Contains(name, "/"):
		return []string{layer.Clean(m.config.WorkingDir + "/" + name)}
	}
	var all []string
	for dir := range strings.SplitSeq(cmp.Or(envOf(m.config, "PATH"), defaultPath), ":") {
		if !path.IsAbs(dir) {
			dir = m.config.WorkingDir + "/" + dir
		}
		all = append(all, layer.Clean(dir+"/"+name))
	}
	return all
}

// file says why the kernel does not start the file at p, or the program that it starts in turn.
func (s *starter) file(p string, words []string, kernel bool, depth int) halt {
	k, executable := s.layers.executable(p)
	f := s.im.Lookup(p)
	user, _, _ := strings.Cut(s.config.User, ":")
	switch {
	case !executable:
		return halt{why: fmt.Sprintf("/%s is not executable", p), missing: true}
	case k.Only != "" && k.Only != user && strings.Trim(user, "0123456789") == "" && strings.Trim(user, "0") != "":
		return halt{why: fmt.Sprintf("/%s may be executed by user %s only, and the image runs as user %s", p, k.Only, user), missing: true}
	case k.Line != "":
		return s.script(p, k.Line, words, kernel, depth)
	case k.Text && kernel:
		return halt{why: fmt.Sprintf("/%s is neither a program nor a script", p), missing: true}
	case f == nil && k.ABI == 0:
		return halt{}
	case f == nil && !s.runs(k.ABI):
		return halt{why: fmt.Sprintf("%s is a program for another machine than the image", p)}
	case f != nil:
		if why := s.stops(f); why != "" {
			return halt{why: why}
		}
	}
	next, reads := s.behind(p, words)
	switch {
	case len(next) > 0:
		return s.start(next, false, depth+1)
	case reads != "":
		return s.reads(reads)
	}
	return halt{}
}

// script says why the interpreter of a script does not start: the words behind "#!", of
// which all but the first are one, then the script's path.
func (s *starter) script(p, line string, words []string, kernel bool, depth int) halt {
	interpreter, arg, _ := strings.Cut(strings.Trim(strings.ReplaceAll(line[2:], "\t", " "), " "), " ")
	if interpreter == "" {
		return halt{}
	}
	if !strings.Contains(interpreter, "/") { // nobody looks on PATH
		interpreter = "./" + interpreter
	}
	next := []string{interpreter}
	if arg = strings.TrimLeft(arg, " "); arg != "" {
		next = append(next, arg)
	}
	h := s.start(slices.Concat(next, []string{"/" + p}, words[1:]), kernel, depth+1)
	if h != (halt{}) {
		h = halt{why: fmt.Sprintf("%s, and /%s is a script for it", h.why, p)}
	}
	return h
}

// reads says why a program does not find the file that it is to read.
func (s *starter) reads(name string) halt {
	for _, p := range s.candidates(name) {
		if final, ok := s.im.Real(p); s.brought(p) || s.brought(final) || ok && s.exists(final) {
			return halt{}
		}
	}
	return s.gone(name)
}

// stops says why the dynamic linker does not start a program, "" if it does.
func (s *starter) stops(f *loader.File) string {
	if !s.runs(f.ABI) {
		return fmt.Sprintf("%s is a program for another machine than the image", f.Path)
	}
	c := s.im.Closure(f)
	for _, missing := range c.Missing {
		if lib, _ := rules.Load().LibraryNamed(path.Base(missing.Name)); lib == nil {
			_, detail := s.explain(&lack{Missing: missing})
			return missing.By.Path + " " + detail
		}
	}
	if why := older(c); why != "" {
		return why
	}
	if strings.HasPrefix(path.Base(f.Interp), "ld-musl-") {
		return s.muslStops(f, c)
	}
	return s.lacksSymbols(f, c)
}

// muslStops says what a program that is linked with musl needs of the host's driver.
func (s *starter) muslStops(f *loader.File, c loader.Closure) string {
	const musl = "is linked with musl: the host's is made for glibc, and cannot be loaded there"
	for _, missing := range c.Missing {
		if lib, _ := rules.Load().LibraryNamed(path.Base(missing.Name)); lib.CUDA {
			return fmt.Sprintf("%s needs %s and %s %s", missing.By.Path, missing.Name, f.Path, musl)
		}
	}
	for _, l := range c.Loaded {
		if s.cudart[l.File.Path] {
			return fmt.Sprintf("%s has the CUDA runtime in it, which opens libcuda.so.1, and %s %s", l.File.Path, f.Path, musl)
		}
		if l.Opens { // it may do without
			s.unsure = fmt.Sprintf("%s may open libcuda.so.1 by its name, and %s %s", l.File.Path, f.Path, musl)
		}
	}
	return ""
}

// runs reports whether the image's machine runs programs of an ABI: also those of its
// 32-bit mode. Of an architecture that is not known here, all.
func (m *Image) runs(abi loader.ABI) bool {
	machines := map[string][]uint16{"amd64": {62, 3}, "386": {3}, "arm64": {183, 40}, "arm": {40}, "ppc64le": {21}, "s390x": {22}, "riscv64": {243}}[m.arch]
	return machines == nil || slices.Contains(machines, abi.Machine())
}

// finding is what there is to say about an image whose program is not there.
func (h halt) finding() []Found {
	if !h.missing {
		return nil
	}
	return []Found{ofImage(ruleEntrypoint, "%s", h.why)}
}
