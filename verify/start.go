// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
)

const ruleEntrypoint = "entrypoint-missing"

// halt is why the image's own program cannot start; the zero value if nothing is known
// that stops it.
type halt struct {
	why     string
	missing bool // there is no such file
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

// start judges what the image starts: is it there, and does the image have what it
// needs? Layers that were not read to their end may have either, so then it says nothing.
func (m *merged) start(layers *view) halt {
	words := argv(m.config)
	if len(words) == 0 || slices.ContainsFunc(layers.facts, func(f *layerFacts) bool { return !f.complete() || f.Search.Incomplete != "" }) {
		return halt{}
	}
	name := words[0]
	if !slices.ContainsFunc(m.candidates(name), func(p string) bool { final, ok := m.im.Real(p); return ok && layers.paths.has(final) }) {
		if strings.Contains(name, "/") {
			return halt{fmt.Sprintf("/%s is not in the image", m.candidates(name)[0]), true}
		}
		return halt{fmt.Sprintf("%q is in no directory of PATH", name), true}
	}
	if f := m.started(); f != nil {
		return halt{why: m.stops(f)}
	}
	return halt{}
}

// candidates are the paths at which a program of that name is looked for.
func (m *merged) candidates(name string) []string {
	switch {
	case path.IsAbs(name):
		return []string{clean(name)}
	case strings.Contains(name, "/"):
		return []string{clean(m.config.WorkingDir + "/" + name)}
	}
	var all []string
	for dir := range strings.SplitSeq(cmp.Or(envOf(m.config, "PATH"), defaultPath), ":") {
		if !path.IsAbs(dir) {
			dir = m.config.WorkingDir + "/" + dir
		}
		all = append(all, clean(dir+"/"+name))
	}
	return all
}

// stops says why the dynamic linker does not start a program, "" if it does.
func (m *merged) stops(f *loader.File) string {
	if !m.runs(f.ABI) {
		return fmt.Sprintf("%s is a program for another machine than the image", f.Path)
	}
	c := m.im.Closure(f)
	musl := strings.HasPrefix(path.Base(f.Interp), "ld-musl-")
	for _, missing := range c.Missing {
		lib, _ := loadRules().libraryNamed(path.Base(missing.Name))
		switch {
		case lib == nil:
			_, detail := m.explain(&lack{Missing: missing})
			return missing.By.Path + " " + detail
		case musl && lib.CUDA:
			return fmt.Sprintf("%s needs %s and %s is linked with musl: the host's is made for glibc, and cannot be loaded there", missing.By.Path, missing.Name, f.Path)
		}
	}
	return ""
}

// runs reports whether the image's machine runs programs of an ABI: also those of its
// 32-bit mode. Of an architecture that is not known here, all.
func (m *merged) runs(abi loader.ABI) bool {
	machines := map[string][]uint16{"amd64": {62, 3}, "386": {3}, "arm64": {183, 40}, "arm": {40}, "ppc64le": {21}, "s390x": {22}, "riscv64": {243}}[m.arch]
	return machines == nil || slices.Contains(machines, abi.Machine())
}

// finding is what there is to say about an image whose program is not there.
func (h halt) finding() []Finding {
	if !h.missing {
		return nil
	}
	return []Finding{aboutImage(ruleEntrypoint, "%s", h.why)}
}
