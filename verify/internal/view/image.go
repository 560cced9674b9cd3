// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/layer"
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

// New puts the layers of an image together, whose facts come bottom first, for containers
// with a runtime hook or, if unhooked, without one.
func New(file *v1.ConfigFile, facts []*layer.Facts, unhooked bool) *Image {
	config, all := file.Config, newLayers(facts)
	env := loader.Env{LibraryPath: envOf(config, "LD_LIBRARY_PATH"), WorkingDir: config.WorkingDir, Unhooked: unhooked}
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
	m.unresolved()
	if why, at := m.im.Incomplete(); why != "" {
		m.hits[at] = append(m.hits[at], layer.Hit{Rule: ruleIncomplete, Detail: why})
	}
	return m
}

// image is what the dynamic linker sees of the layers.
func (v *layers) image(env loader.Env) *loader.Image {
	var layers []loader.Layer
	for i, f := range v.facts {
		l := loader.Layer{Facts: &f.Linker, Hidden: func(p string) bool { return v.paths.hider(p, i+1) < len(v.facts) }}
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
