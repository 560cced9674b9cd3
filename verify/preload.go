// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
)

// Rules about what the dynamic linker loads into every program (rules/search.yaml).
const (
	rulePreload        = "preload-path"
	rulePreloadMissing = "preload-missing"
)

// preloadFile is glibc's list of libraries for every program.
const preloadFile = "etc/ld.so.preload"

// writable are folders to which all may write in every container, and perProcess those in
// which a name means another file for each program.
var (
	writable   = []string{"tmp", "var/tmp", "dev/shm", "dev/mqueue", "run/lock", "var/lock"}
	perProcess = []string{"proc", "dev/fd"}
)

// preload is one library that every program is to load.
type preload struct {
	by   string // "LD_PRELOAD", "/etc/ld.so.preload"
	name string
}

// preloaded lists them in order. musl reads no file.
func (m *merged) preloaded() (all []preload) {
	for _, by := range []string{"LD_PRELOAD", "LD_AUDIT"} {
		for _, name := range names(envOf(m.config, by)) {
			all = append(all, preload{by, name})
		}
	}
	text, _ := m.im.Config(preloadFile)
	if m.im.Musl(m.abi) {
		text = ""
	}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, name := range names(line) {
			all = append(all, preload{"/" + preloadFile, name})
		}
	}
	return all
}

// names splits a list of libraries.
func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(": \t\n", r) })
}

// preloads judges them: what others than root may change, and what is not there.
func (m *merged) preloads(in inspected, layers *view) (findings []Finding) {
	about := func(by, rule, format string, args ...any) {
		f := aboutImage(rule, format, args...)
		if at := layers.paths.last(pathHash(pathFile, preloadFile), len(layers.facts)); by == "/"+preloadFile && at >= 0 {
			f.Path, f.Layer = preloadFile, in.layers[at].name(at)
		}
		findings = append(findings, f)
	}
	for _, p := range m.preloaded() {
		if why := m.astrayPath(p.name, layers); why != "" {
			about(p.by, rulePreload, "%s names %s: %s", p.by, p.name, why)
		} else if m.nowhere(p.name) {
			about(p.by, rulePreloadMissing, "%s names %s, which is not in the image", p.by, p.name)
		}
	}
	list := "/" + preloadFile
	final, _ := m.im.Real(preloadFile)
	switch _, read := m.im.Config(preloadFile); {
	case !m.im.Has(preloadFile) || m.im.Musl(m.abi):
	case m.whoWrites(preloadFile, layers) != "":
		about(list, rulePreload, "%s: %s", list, m.whoWrites(preloadFile, layers))
	case !read:
		about(list, rulePreload, "%s leads to /%s, and what that names is not known", list, final)
	}
	return findings
}

// astrayPath says why a library's name may lead to what others than root have put there,
// "" if it does not.
func (m *merged) astrayPath(name string, layers *view) string {
	known, _, token := strings.Cut(name, "$")
	switch {
	case strings.HasPrefix(name, "$ORIGIN") || strings.HasPrefix(name, "${ORIGIN}"):
		return "" // beside the program
	case path.IsAbs(name):
		return m.whoWrites(clean(known), layers)
	case strings.Contains(name, "/"):
		return "it is taken from the folder in which a program starts"
	case token:
		return ""
	}
	for _, dir := range strings.FieldsFunc(envOf(m.config, "LD_LIBRARY_PATH"), func(r rune) bool { return r == ':' || r == ';' }) {
		if why := m.astrayPath(strings.TrimSuffix(dir, "/")+"/"+name, layers); why != "" {
			return fmt.Sprintf("it is looked for in %s, which LD_LIBRARY_PATH names: %s", dir, why)
		}
	}
	return ""
}

// whoWrites says who may put another file at a path, "" if only root may.
func (m *merged) whoWrites(p string, layers *view) string {
	final, _ := m.im.Real(p)
	for _, at := range []string{p, final} {
		for _, parent := range lineage(at) {
			switch {
			case parent == "":
			case slices.Contains(perProcess, parent):
				return fmt.Sprintf("what /%s leads to depends on the program", at)
			case slices.Contains(writable, parent):
				return fmt.Sprintf("everybody may write to /%s", parent)
			case layers.paths.shared(parent):
				return fmt.Sprintf("others than root may write to /%s", parent)
			}
		}
	}
	return ""
}

// lineage is a path with all directories above it but the root, the topmost first.
func lineage(p string) (all []string) {
	for i := range len(p) {
		if p[i] == '/' {
			all = append(all, p[:i])
		}
	}
	return append(all, p)
}

// nowhere reports that the image lacks a library that is named by its path, and that no
// host brings it.
func (m *merged) nowhere(name string) bool {
	lib, _ := loadRules().libraryNamed(path.Base(name))
	return path.IsAbs(name) && !strings.Contains(name, "$") && lib == nil && !m.im.Has(clean(name))
}

// preloadedLibcuda is a libcuda of the image's that programs have before they look for one.
func (m *merged) preloadedLibcuda() (loader.Found, bool) {
	for _, p := range m.preloaded() {
		if !path.IsAbs(p.name) || p.by == "LD_AUDIT" { // whose names only the auditor sees
			continue
		}
		if f := m.im.Lookup(clean(p.name)); f != nil && f.ABI == m.abi && f.SOName == libcudaName {
			return loader.Found{File: f, Path: clean(p.name), Dir: loader.Dir{From: p.by}}, true
		}
	}
	return loader.Found{}, false
}

// preloadedPath judges such a libcuda.
func (m *merged) preloadedPath() {
	found, ok := m.preloadedLibcuda()
	switch {
	case !ok:
	case found.File.Stub:
		m.hit(ruleStubLoaded, found.File, "stub is what %s has every program load", found.Dir.From)
	case isCompat(found.File):
		m.hit(ruleCompatPath, found.File, "%s has every program load it in place of the host's", found.Dir.From)
	}
}
