// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
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
	Winner string
	Why    string
	// File says what the winner is; its zero value means nothing for the host's.
	File compat.Libcuda
}

// HostLibcuda is the Libcuda.Winner of an image that leaves the driver to the host.
const HostLibcuda = "host"

// Image judges what the layers are together. Its hits lie with the layer that
// has the path.
type Image struct {
	layers *layers
	im     *loader.Image
	config v1.Config
	abi    loader.ABI
	arch   string // of the image's configuration
	hits   [][]layer.Hit
	seen   []compat.Compat // those that the runtime hook sees
	beside string          // where another one is
	ways   []compat.Search // to libcuda.so.1
	asks   *loader.Loaded  // what asks for it, nil if no program can be followed
	lacks  int             // and files that lack something, see maxLacks

	folders      *string // see astrayFolder
	preloadsLeft string  // the list of which not all is looked at, see maxPreloads
}

// New puts the layers of an image together, whose facts come bottom first.
func New(file *v1.ConfigFile, facts []*layer.Facts) *Image {
	config, all := file.Config, newLayers(facts)
	env := loader.Env{LibraryPath: envOf(config, "LD_LIBRARY_PATH"), WorkingDir: config.WorkingDir}
	m := &Image{layers: all, im: all.image(env), config: config, arch: file.Architecture, abi: loader.AMD64, hits: make([][]layer.Hit, len(facts))}
	if file.Architecture == "arm64" {
		m.abi = loader.ARM64
	}
	m.seen, m.beside = m.forward()
	m.asks = m.asking()
	m.ways = m.searches()
	m.preloadedPath()
	m.commonPath()
	m.ownPaths()
	m.needs()
	if why, at := m.im.Incomplete(); why != "" {
		m.hits[at] = append(m.hits[at], layer.Hit{Rule: ruleIncomplete, Detail: why})
	}
	return m
}

// image is what the dynamic linker sees of the layers.
func (v *layers) image(env loader.Env) *loader.Image {
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
func envOf(config v1.Config, name string) string {
	value, _ := lookup(config.Env, name)
	return value
}

// lookup returns the value of a variable and whether it is set.
func lookup(env []string, name string) (value string, set bool) {
	for _, e := range env {
		if key, v, _ := strings.Cut(e, "="); key == name {
			value, set = v, true
		}
	}
	return value, set
}

func (m *Image) hit(rule string, f *loader.File, format string, args ...any) {
	m.hits[f.Layer] = append(m.hits[f.Layer], layer.Hit{Rule: rule, Path: f.Path, Detail: fmt.Sprintf(format, args...)})
}

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
