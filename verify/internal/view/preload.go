// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// Rules about what the dynamic linker loads into every program (rules/search.yaml).
const (
	rulePreload        = "preload-path"
	rulePreloadMissing = "preload-missing"
)

// writable are folders to which all may write in every container, and perProcess those in
// which a name means another file for each program.
var (
	writable   = []string{"tmp", "var/tmp", "dev/shm", "dev/mqueue", "run/lock", "var/lock"}
	perProcess = []string{"proc", "dev/fd"}
)

// comment is one in glibc's list.
var comment = regexp.MustCompile(`#.*`)

// preload is one library that every program is to load.
type preload struct {
	by   string // "LD_PRELOAD", "/etc/ld.so.preload"
	name string
}

// preloaded lists them in order. musl reads no file.
func (m *Image) preloaded() (all []preload) {
	add := func(by, list string) {
		for i, name := range names(list) {
			if i == maxPreloads {
				m.preloadsLeft = by
				return
			}
			if len(name) <= archive.MaxName { // else it is no path
				all = append(all, preload{by, name})
			}
		}
	}
	add("LD_PRELOAD", envOf(m.config, "LD_PRELOAD"))
	add("LD_AUDIT", envOf(m.config, "LD_AUDIT"))
	if text, _ := m.im.Config(layer.PreloadFile); !m.im.Musl(m.abi) {
		add("/"+layer.PreloadFile, comment.ReplaceAllString(text, ""))
	}
	return all
}

// names splits a list of libraries.
func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(": \t\n", r) })
}

// maxPreloads is how many names of one list are looked at.
const maxPreloads = 1000

// preloads judges them: what others than root may change, and what is not there. Of each
// list the first is named.
func (m *Image) preloads() (findings []Found) {
	type kind struct{ by, rule string }
	first, count := map[kind]string{}, map[kind]int{}
	var kinds []kind
	note := func(by, rule, format string, args ...any) {
		k := kind{by, rule}
		if count[k]++; count[k] == 1 {
			kinds, first[k] = append(kinds, k), by+fmt.Sprintf(format, args...)
		}
	}
	for _, p := range m.preloaded() {
		if why := m.astrayPath(p.name); why != "" {
			note(p.by, rulePreload, " names %s: %s", p.name, why)
		} else if m.nowhere(p.name) {
			note(p.by, rulePreloadMissing, " names %s, which is not in the image", p.name)
		}
	}
	if m.preloadsLeft != "" {
		note(m.preloadsLeft, rulePreload, " names more than %d libraries, and only these are looked at", maxPreloads)
	}
	m.preloadList(note)
	for _, k := range kinds {
		f := ofImage(k.rule, "%s%s", first[k], andMore(count[k]-1))
		if at := m.layers.paths.last(layer.Hash(layer.KindFile, layer.PreloadFile), len(m.layers.facts)); k.by == "/"+layer.PreloadFile && at >= 0 {
			f.Path, f.Layer = layer.PreloadFile, at
		}
		findings = append(findings, f)
	}
	return findings
}

// preloadList judges glibc's list itself.
func (m *Image) preloadList(note func(by, rule, format string, args ...any)) {
	if !m.im.Has(layer.PreloadFile) || m.im.Musl(m.abi) {
		return
	}
	final, _ := m.im.Real(layer.PreloadFile)
	_, read := m.im.Config(layer.PreloadFile)
	if why := m.whoWrites(layer.PreloadFile); why != "" {
		note("/"+layer.PreloadFile, rulePreload, ": %s", why)
	} else if !read {
		note("/"+layer.PreloadFile, rulePreload, " leads to /%s, and what that names is not known", final)
	}
}

// astrayPath says why a library's name may lead to what others than root have put there,
// "" if it does not.
func (m *Image) astrayPath(name string) string {
	known, _, token := strings.Cut(name, "$")
	switch {
	case len(name) > archive.MaxName, strings.HasPrefix(name, "$ORIGIN"), strings.HasPrefix(name, "${ORIGIN}"):
		return "" // no path at all, or beside the program
	case path.IsAbs(name):
		return m.whoWrites(layer.Clean(known))
	case strings.Contains(name, "/"):
		return "it is taken from the folder in which a program starts"
	case token:
		return ""
	}
	return m.astrayFolder()
}

// astrayFolder is astrayPath for a name without a folder, which is looked for in those of
// LD_LIBRARY_PATH first. Its empty elements, which many images have by mistake, do not count.
func (m *Image) astrayFolder() string {
	if m.folders == nil {
		m.folders = new(string)
		dirs := strings.FieldsFunc(envOf(m.config, "LD_LIBRARY_PATH"), func(r rune) bool { return r == ':' || r == ';' })
		for _, dir := range dirs[:min(len(dirs), maxPreloads)] {
			if why := m.astrayPath(dir + "/"); why != "" {
				*m.folders = fmt.Sprintf("it is looked for in %s, which LD_LIBRARY_PATH names: %s", dir, why)
				break
			}
		}
	}
	return *m.folders
}

// whoWrites says who may put another file at a path, "" if only root may.
func (m *Image) whoWrites(p string) string {
	final, _ := m.im.Real(p)
	for _, at := range []string{p, final} {
		if dir := below(at, perProcess); dir != "" {
			return fmt.Sprintf("what /%s leads to depends on the program", at)
		}
		if dir := below(at, writable); dir != "" {
			return fmt.Sprintf("everybody may write to /%s", dir)
		}
		if dir := m.layers.paths.sharedOn(at); dir != "" {
			return fmt.Sprintf("others than root may write to /%s", dir)
		}
	}
	return ""
}

// below returns the folder of a list that a path is in or that it is, "" if there is none.
func below(p string, folders []string) string {
	i := slices.IndexFunc(folders, func(f string) bool { return p == f || strings.HasPrefix(p, f+"/") })
	if i < 0 {
		return ""
	}
	return folders[i]
}

// nowhere reports that the image lacks a library that is named by its path, and that no
// host brings it.
func (m *Image) nowhere(name string) bool {
	lib, _ := rules.Load().LibraryNamed(path.Base(name))
	return path.IsAbs(name) && !strings.Contains(name, "$") && lib == nil && !m.im.Has(layer.Clean(name))
}

// preloadedLibcuda is a libcuda of the image's that programs have before they look for one.
func (m *Image) preloadedLibcuda() (loader.Found, bool) {
	for _, p := range m.preloaded() {
		if !path.IsAbs(p.name) || p.by == "LD_AUDIT" { // whose names only the auditor sees
			continue
		}
		if f := m.im.Lookup(layer.Clean(p.name)); f != nil && f.ABI == m.abi && f.SOName == libcudaName {
			return loader.Found{File: f, Path: layer.Clean(p.name), Dir: loader.Dir{From: p.by}}, true
		}
	}
	return loader.Found{}, false
}

// preloadedPath judges such a libcuda.
func (m *Image) preloadedPath() {
	found, ok := m.preloadedLibcuda()
	switch {
	case !ok:
	case found.File.Stub:
		m.hit(ruleStubLoaded, found.File, "stub is what %s has every program load", found.Dir.From)
	case isCompat(found.File):
		m.hit(ruleCompatPath, found.File, "%s has every program load it in place of the host's", found.Dir.From)
	}
}
