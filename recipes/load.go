// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"gopkg.in/yaml.v3"
)

//go:embed os cuda manager
var embedded embed.FS

// Load reads the embedded catalog and lays each directory over it: a file there
// replaces the file of the same path, or adds one. All problems are returned at
// once, joined, each with its file, and its line where YAML knows it.
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
		readAll(layers, "manager", func(file string, m Manager) error {
			c.managers[m.Name] = m
			return named(file, m.Name)
		}),
		readAll(layers, "os", func(file string, o OS) error {
			c.os[o.Name] = o
			return named(file, o.Name)
		}),
		readAll(layers, "cuda", func(file string, r Release) error {
			r.file = file
			c.releases = append(c.releases, r)
			return nil
		}),
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
func readAll[T any](layers []fs.FS, dir string, add func(file string, value T) error) error {
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
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			problems = append(problems, fmt.Errorf("recipes/%s: the file is empty", name))
			continue
		} else if err != nil {
			problems = append(problems, fmt.Errorf("recipes/%s: %w", name, err))
			continue
		}
		if err := add(name, value); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// named reports a file that is not called after what is in it: two files for one
// name would otherwise compete.
func named(file, name string) error {
	if base := path.Base(file); base != name+".yaml" {
		return fmt.Errorf("recipes/%s: is about %q, so its name must be %s.yaml", file, name, name)
	}
	return nil
}
