// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
)

// Rules about the merged view (rules/search.yaml).
const (
	ruleStubLoaded      = "stub-loaded"
	ruleStubPath        = "stub-search-path"
	ruleCompatPath      = "compat-search-path"
	ruleUnresolved      = "unresolved"
	ruleVersionMissing  = "version-missing"
	ruleUnresolvedAside = "unresolved-aside"
	ruleIncomplete      = "search-incomplete"
)

// Libcuda says which libcuda.so.1 a program in a container loads that the runtime
// hook has given the host's driver.
type Libcuda struct {
	// Winner is HostLibcuda, or the path of the image's file that is found first.
	Winner string `json:"winner"`
	Why    string `json:"why"`
	// File says what the winner is; its zero value means nothing for the host's.
	File compat.Libcuda `json:"-"`
}

// HostLibcuda is the Libcuda.Winner of an image that leaves the driver to the host.
const HostLibcuda = "host"

// merged judges what the layers are together. Its hits lie with the layer that
// has the path.
type merged struct {
	im     *loader.Image
	config v1.Config
	abi    loader.ABI
	hits   [][]hit
	lacks  int // and files that lack something, see maxLacks
}

// all returns the findings, and that there may be more if the view is not whole.
func (m *merged) all() [][]hit {
	why := m.im.Exceeded()
	if m.lacks > maxLacks {
		why = "the files of the image lack too many libraries"
	}
	if top := len(m.hits) - 1; why != "" && top >= 0 {
		m.hits[top] = append(m.hits[top], hit{ruleUnreadable, "", why})
	}
	return m.hits
}

// mergedView judges the merged view.
func mergedView(in inspected, layers *view) *merged {
	config := in.config.Config
	env := loader.Env{LibraryPath: envOf(config, "LD_LIBRARY_PATH"), WorkingDir: config.WorkingDir}
	m := &merged{im: layers.image(env), config: config, abi: loader.AMD64, hits: make([][]hit, len(layers.facts))}
	if in.config.Architecture == "arm64" {
		m.abi = loader.ARM64
	}
	m.commonPath()
	m.ownPaths()
	m.needs()
	if why, layer := m.im.Incomplete(); why != "" {
		m.hits[layer] = append(m.hits[layer], hit{ruleIncomplete, "", why})
	}
	return m
}

// image is what the dynamic linker sees of the layers.
func (v *view) image(env loader.Env) *loader.Image {
	var layers []loader.Layer
	for i, f := range v.facts {
		l := loader.Layer{Facts: &f.Search, Hidden: func(p string) bool { return v.paths.hider(p, i+1) < len(v.facts) }}
		for _, h := range f.Hard {
			l.Hard = append(l.Hard, loader.Link{Path: h.Path, Target: h.Target})
		}
		layers = append(layers, l)
	}
	return loader.New(layers, v.paths.has, env)
}

// envOf returns the value of a variable; of two settings the last counts.
func envOf(config v1.Config, name string) (value string) {
	for _, e := range config.Env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

func (m *merged) hit(rule string, f *loader.File, format string, args ...any) {
	m.hits[f.Layer] = append(m.hits[f.Layer], hit{rule, f.Path, fmt.Sprintf(format, args...)})
}

// isHostDir reports whether the runtime hook puts the host's libraries into a
// directory: the default ones, or those of nvidia-docker's volumes. Where it uses
// another, it puts that in front of all that ld.so.conf names.
func (m *merged) isHostDir(dir string) bool {
	for _, d := range append(m.abi.Defaults(), "usr/local/nvidia/lib", "usr/local/nvidia/lib64") {
		if final, ok := m.im.Real(d); ok && final == dir {
			return true
		}
	}
	return false
}

// libcuda decides between the image's libraries and the host's. In a directory of
// the host's the hook puts the name right, unless the image's version is higher.
func (m *merged) libcuda() Libcuda {
	const name = "libcuda.so.1"
	found := m.im.Find(m.abi, name)
	if len(found) == 0 {
		return Libcuda{Winner: HostLibcuda, Why: "no search path of the image leads to a " + name + m.compatAside()}
	}
	f := found[0]
	what := m.describe(f)
	if m.isHostDir(f.Dir.Path) {
		return Libcuda{Winner: HostLibcuda, Why: fmt.Sprintf("%s, %s, lies where the runtime hook puts the host's and links the higher version", f.Path, what)}
	}
	return Libcuda{Winner: f.Path, Why: fmt.Sprintf("%s, found through %s before the host's", what, f.Dir.From), File: ofCompat(f)}
}

// ofCompat is the file in the words of package compat.
func ofCompat(f loader.Found) compat.Libcuda {
	if f.File == nil {
		return compat.Libcuda{Broken: true}
	}
	l := compat.Libcuda{Stub: f.File.Stub, Forward: isCompat(f.File)}
	if v := libraryVersion(f.File.Real); driverVersion.MatchString(v) {
		l.Driver = v
	}
	return l
}

// describe says what a file at libcuda's name is.
func (m *merged) describe(f loader.Found) string {
	switch {
	case f.File == nil:
		return "no library at all (error 35)"
	case f.File.Stub:
		return "a link-time stub (error 34)"
	case isCompat(f.File):
		return "the forward-compat library (error 803 on hosts with a newer driver)"
	}
	return "a driver library" + ofDriver(libraryVersion(f.File.Real))
}

// compatAside mentions the forward-compat package, which the hook may prefer.
func (m *merged) compatAside() string {
	for _, f := range m.im.Files {
		if compatDir.MatchString(f.Real) && f.SOName == "libcuda.so.1" {
			return "; the hook prefers the one in " + path.Dir(f.Path) + " on hosts with an older driver"
		}
	}
	return ""
}

func isCompat(f *loader.File) bool { return inCompat(f.Real) }

// inCompat reports whether p is a place of the forward-compatibility package.
func inCompat(p string) bool { return forHook(p) || condaCompat.MatchString(p) }

// forHook reports whether p is one of the places where the runtime hook may look for it.
func forHook(p string) bool { return compatDir.MatchString(p) || orinCompat.MatchString(p) }

// isStubInPlace reports whether f is a stub that is harmless as long as no search path leads to it.
func isStubInPlace(f *loader.File) bool { return inStubs(f.Path) || inStubs(f.Real) }

// commonPath judges the directories that every program searches: does one that
// holds stubs or the forward-compat package come before the host's libraries?
func (m *merged) commonPath() {
	loaded := map[*loader.File]bool{}
	for _, name := range m.stubNames() {
		found := m.im.Find(m.abi, name)
		if len(found) == 0 || found[0].File == nil || m.isHostDir(found[0].Dir.Path) {
			continue
		}
		f := found[0].File
		switch {
		case loaded[f]:
		case f.Stub:
			m.hit(ruleStubLoaded, f, "stub is what %s leads to for %s", found[0].Dir.From, name)
		case isCompat(f):
			m.hit(ruleCompatPath, f, "%s leads here before it leads to the host's %s", found[0].Dir.From, name)
		}
		loaded[f] = true
	}
	for _, d := range m.im.Dirs(m.abi) {
		if f := m.stubIn(d.Path); f != nil && !loaded[f] {
			m.hit(ruleStubPath, f, "%s names this directory of stubs", d.From)
		}
	}
}

// stubNames returns libcuda's name and those of the driver's other libraries that have
// stubs in the image. What a library that opens the driver calls itself is none.
func (m *merged) stubNames() []string {
	names, seen := []string{"libcuda.so.1"}, map[string]bool{"libcuda.so.1": true}
	for _, f := range m.im.Files {
		if lib, _ := loadRules().libraryNamed(f.SOName); lib != nil && f.Stub && !seen[f.SOName] {
			seen[f.SOName] = true
			names = append(names, f.SOName)
		}
	}
	return names
}

// stubIn returns a driver library's stub that lies in a directory, nil if there is none.
func (m *merged) stubIn(dir string) *loader.File {
	for _, f := range m.im.In(dir) {
		if f.Stub && isStubInPlace(f) {
			return f
		}
	}
	return nil
}

// ownPaths judges the directories that programs and libraries name themselves:
// one finding a directory, with the first file that names it. Stubs and forward-compat
// libraries may name their own.
func (m *merged) ownPaths() {
	first, count := map[string]*loader.File{}, map[string]int{}
	var dirs []loader.Dir
	for _, f := range m.im.Files {
		if isCompat(f) || isStubInPlace(f) {
			continue
		}
		for _, d := range m.im.OwnDirs(f) {
			if first[d.Path] == nil {
				first[d.Path] = f
				dirs = append(dirs, d)
			}
			count[d.Path]++
		}
	}
	for _, d := range dirs {
		if rule, what := m.ownDir(d); rule != "" {
			m.hit(rule, first[d.Path], "its %s names %s, which holds %s%s", d.From, d.Path, what, andMore(count[d.Path]-1))
		}
	}
}

// ownDir returns the rule that naming a directory breaks, "" if none, and what is there.
func (m *merged) ownDir(d loader.Dir) (rule, what string) {
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
