// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// Bounds of what is listed: findings about missing libraries in one image, and
// names in the finding that sums up the rest.
const (
	maxMissing = 1000
	maxAside   = 12
	maxLacks   = 100_000 // names, and files that lack them
)

// defaultPath is what container engines set where an image has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lack is one library, or one version of it, that the image does not have.
type lack struct {
	loader.Missing
	by        map[*loader.File]bool
	prominent bool
}

// unresolved follows the needs of every file. Of programs that a shell finds and of
// libraries that every program finds, each lack is a finding; of other files, which
// may be plugins that are never loaded, all lacks are one.
func (m *Image) unresolved() {
	lacks := map[string]*lack{}
	stubs := map[*loader.File]bool{}
	prominent := m.prominent()
	for _, f := range m.im.Files {
		if !f.Program() && !m.im.Runs(f.ABI) {
			continue
		}
		c := m.im.Closure(f)
		for _, missing := range c.Missing {
			m.lack(lacks, missing, prominent[f] && !m.astray(f, missing))
		}
		for _, l := range c.Loaded[1:] {
			if isStubInPlace(l.File) && !stubs[l.File] && !l.Stub { // of the driver's, commonPath and ownPaths tell
				stubs[l.File] = true
				m.hit(ruleStubLoaded, l.File, "stub is what %s leads to, for %s", l.From, f.Path)
			}
		}
	}
	m.report(lacks)
}

// prominent returns the files that must work: programs on PATH, what the image
// starts, and the libraries in directories that every program searches.
func (m *Image) prominent() map[*loader.File]bool {
	files := m.im.Programs(strings.Split(cmp.Or(envOf(m.config, "PATH"), defaultPath), ":"))
	for _, argv := range [][]string{m.config.Entrypoint, m.config.Cmd} {
		if len(argv) == 0 || !strings.Contains(argv[0], "/") {
			continue
		}
		at := argv[0]
		if !path.IsAbs(at) {
			at = path.Join(m.config.WorkingDir, at)
		}
		if f := m.im.Lookup(layer.Clean(at)); f != nil {
			files = append(files, f)
		}
	}
	for _, d := range m.im.Dirs(m.abi) {
		for _, f := range m.im.In(d.Path) {
			if !f.Program() {
				files = append(files, f)
			}
		}
	}
	set := map[*loader.File]bool{}
	for _, f := range files {
		set[f] = true
	}
	return set
}

// astray reports whether a library's need is somewhere in the image, where a
// program that uses both may find it.
func (m *Image) astray(root *loader.File, missing loader.Missing) bool {
	return missing.Version == "" && !root.Program() && m.im.Named(root.ABI, missing.Name) != nil
}

// lack notes one missing library, unless it is the host's to bring.
func (m *Image) lack(lacks map[string]*lack, missing loader.Missing, prominent bool) {
	if lib, _ := rules.Load().LibraryNamed(path.Base(missing.Name)); lib != nil {
		return
	}
	key := missing.Name + "\x00" + missing.Version
	l := lacks[key]
	if l == nil || !l.by[missing.By] {
		if m.lacks++; m.lacks > maxLacks {
			return
		}
	}
	switch {
	case l == nil:
		l = &lack{Missing: missing, by: map[*loader.File]bool{}, prominent: prominent}
		lacks[key] = l
	case prominent && !l.prominent:
		l.Missing, l.prominent = missing, true
	}
	l.by[missing.By] = true
}

// report turns lacks into findings.
func (m *Image) report(lacks map[string]*lack) {
	var aside []*lack
	count := 0
	for _, key := range slices.Sorted(maps.Keys(lacks)) {
		l := lacks[key]
		if !l.prominent {
			aside = append(aside, l)
			continue
		}
		if count++; count > maxMissing {
			continue
		}
		rule, detail := m.explain(l)
		m.hit(rule, l.By, "%s%s", detail, andMore(len(l.by)-1))
	}
	if count > maxMissing {
		top := len(m.hits) - 1
		m.hits[top] = append(m.hits[top], layer.Hit{Rule: ruleUnresolved, Detail: fmt.Sprintf("%d more libraries are missing", count-maxMissing)})
	}
	if len(aside) > 0 {
		m.aside(aside)
	}
}

// explain says which rule a lack breaks, and how.
func (m *Image) explain(l *lack) (rule, detail string) {
	switch {
	case l.Version != "":
		return ruleVersionMissing, fmt.Sprintf("needs %s of %s; %s has %s", l.Version, l.Name, l.In.Path, upTo(l.In.Defines, l.Version))
	case strings.HasPrefix(l.Name, "/"):
		return ruleUnresolved, fmt.Sprintf("asks for the dynamic linker %s, which the image does not have", l.Name)
	}
	detail = fmt.Sprintf("needs %s, to which no search path leads", l.Name)
	if f := m.im.Cached(l.By.ABI, l.Name); f != nil {
		detail += "; ld.so.cache still has " + f.Path + ", until the runtime hook has ldconfig write it anew"
	} else if f := m.im.Named(l.By.ABI, l.Name); f != nil {
		detail += "; there is one at " + f.Path
	}
	return ruleUnresolved, detail
}

// upTo names the highest of the versions that begin like wanted.
func upTo(versions []string, wanted string) string {
	family, _, _ := strings.Cut(wanted, "_")
	var best string
	for _, v := range versions {
		rest, ok := strings.CutPrefix(v, family+"_")
		if ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' && (best == "" || loader.CompareNames(best, v) < 0) {
			best = v
		}
	}
	if best == "" {
		return "none of that kind"
	}
	return "versions up to " + best
}

// aside sums up what files off the search paths lack.
func (m *Image) aside(lacks []*lack) {
	files := map[*loader.File]bool{}
	var names []string
	for i, l := range lacks {
		maps.Copy(files, l.by)
		if i < maxAside {
			names = append(names, strings.TrimSpace(l.Version+" "+l.Name))
		}
	}
	if more := len(lacks) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	m.hit(ruleUnresolvedAside, lacks[0].By, "the image lacks %s%s", strings.Join(names, ", "), andMore(len(files)-1))
}
