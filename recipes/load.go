// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/compat"
)

//go:embed os cuda manager
var embedded embed.FS

// Load reads the embedded catalog and lays each directory over it: a file there
// replaces the file of the same path, or adds one. All problems are returned at
// once, joined, each with its file and line.
func Load(dirs ...string) (*Catalog, error) {
	layers := []fs.FS{embedded}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("recipes %s: not a directory with os/, cuda/ or manager/ in it", dir)
		}
		layers = append(layers, os.DirFS(dir))
	}
	c := &Catalog{os: map[string]OS{}, managers: map[string]Manager{}}
	err := errors.Join(
		readAll(layers, "manager", func(m Manager) { c.managers[m.Name] = m }),
		readAll(layers, "os", func(o OS) { c.os[o.Name] = o }),
		readAll(layers, "cuda", func(r Release) { c.releases = append(c.releases, r) }),
	)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(c.releases, compareReleases)
	return c, nil
}

// readAll decodes every *.yaml file of dir, the last layer that holds a path winning.
func readAll[T any](layers []fs.FS, dir string, add func(T)) error {
	newest := map[string]fs.FS{}
	for _, layer := range layers {
		names, err := fs.Glob(layer, dir+"/*.yaml")
		if err != nil {
			return err
		}
		for _, name := range names {
			newest[name] = layer
		}
	}
	var problems []error
	for _, name := range sortedKeys(newest) {
		data, err := fs.ReadFile(newest[name], name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		var value T
		decoder := yaml.NewDecoder(bytes.NewReader(data))
		decoder.KnownFields(true)
		if err := decoder.Decode(&value); err != nil {
			problems = append(problems, fmt.Errorf("recipes/%s: %w", name, err))
			continue
		}
		add(value)
	}
	return errors.Join(problems...)
}

// check reports recipes that do not fit together.
func (c *Catalog) check() error {
	var problems []error
	bad := func(file, format string, args ...any) {
		problems = append(problems, fmt.Errorf("recipes/%s: %s", file, fmt.Sprintf(format, args...)))
	}
	for _, name := range sortedKeys(c.managers) {
		if err := c.managers[name].check(); err != nil {
			bad(path.Join("manager", name+".yaml"), "%v", err)
		}
	}
	for _, name := range c.OSNames() {
		o, file := c.os[name], path.Join("os", name+".yaml")
		if _, ok := c.managers[o.Manager]; !ok {
			bad(file, "unknown package manager %q", o.Manager)
		}
		if o.Bootstrap.Suite == "" {
			bad(file, "no bootstrap suite")
		}
	}
	for _, r := range c.releases {
		file := path.Join("cuda", r.CUDA+" "+r.Source)
		if len(r.OS) == 0 || !compat.IsVersion(r.CUDA) {
			bad(file, "needs a cuda version and at least one os")
		}
		for _, name := range r.OS {
			if o, ok := c.os[name]; !ok || o.Source != r.Source {
				bad(file, "os %q has no recipe with source %q", name, r.Source)
			}
		}
		for _, f := range Flavors() {
			if len(r.Layers[f].Packages) == 0 {
				bad(file, "layer %q installs nothing", f)
			}
		}
		if len(r.Samples.SASS) == 0 || r.Samples.PTX == 0 {
			bad(file, "samples need sass and ptx targets")
		}
	}
	return errors.Join(problems...)
}
