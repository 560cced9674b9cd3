// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"embed"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/suggest"
)

//go:embed os cuda manager era toolkit repository
var embedded embed.FS

// layer is a tree of recipe files; dir is what problems call it.
type layer struct {
	fs.FS

	dir string
}

// loader reads layers into a catalog. A file of a later layer replaces the file of
// the same path.
type loader struct {
	layers   []layer
	files    map[string]*file // read ones, by path inside their layer
	problems Problems
}

// Load reads the embedded catalog and lays each directory over it: a file there
// replaces the file of the same path, or adds one. The error is a [Problems] with
// everything that is wrong, each with its file and, where there is one, its place.
func Load(dirs ...string) (*Catalog, error) {
	l := &loader{layers: []layer{{embedded, "recipes"}}, files: map[string]*file{}}
	for _, dir := range dirs {
		over := layer{os.DirFS(dir), dir}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() || !over.hasRecipes() {
			return nil, Problems{{File: cmp.Or(dir, `""`), Message: "not a directory with os/, cuda/, toolkit/ or another folder of recipes in it", Hint: "name one with --recipes; a recipe is a file NAME.yaml in one of these folders"}}
		}
		l.problems = append(l.problems, over.strays()...)
		l.layers = append(l.layers, over)
	}
	return l.load()
}

// hasRecipes reports whether any file of the layer would be read. A misspelt folder must
// not look like one that changes nothing.
func (l layer) hasRecipes() bool {
	folders, _ := embedded.ReadDir(".") // it is in memory
	return slices.ContainsFunc(folders, func(folder fs.DirEntry) bool {
		names, _ := fs.Glob(l, folder.Name()+"/*.yaml")
		return len(names) > 0
	})
}

// load reads every layer and puts together what is in them.
func (l *loader) load() (*Catalog, error) {
	c := &Catalog{os: map[string]OS{}, managers: map[string]Manager{}, sources: map[string]Source{}}
	strays := len(l.problems)
	l.readParts(c)
	eras, toolkits := l.readToolkits()
	if len(l.problems) == strays { // all that is read can be read
		if l.checkParts(c) {
			l.render(c, eras, toolkits)
		}
		l.checkReleases(c)
	}
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, slices.Compact(l.problems)
	}
	c.index()
	return c, nil
}

// readParts reads everything but eras and toolkits.
func (l *loader) readParts(c *Catalog) {
	readAll(l, "manager", func(name string, m Manager) {
		m.path = l.files[name].path
		c.managers[m.Name] = m.prepared()
		l.named(name, "manager", m.Name)
	})
	l.alike(c.managers)
	readAll(l, "os", func(name string, o OS) {
		o.path = l.files[name].path
		c.os[o.Name] = o.current()
		l.named(name, "os", o.Name)
	})
	readAll(l, "repository", func(name string, s Source) {
		s.path = l.files[name].path
		c.sources[s.Name] = s
		l.named(name, "source", s.Name)
	})
	readAll(l, "cuda", func(name string, r Release) {
		r.file, r.path, r.lines = name, l.files[name].path, partLines(l.files[name].root)
		c.releases = append(c.releases, r)
	})
}

// readAll decodes every *.yaml file of dir, the last layer that holds a path winning.
func readAll[T any](l *loader, dir string, add func(name string, value T)) {
	newest := map[string]layer{}
	for _, layer := range l.layers {
		names, _ := fs.Glob(layer, dir+"/*.yaml") // its only error is a bad pattern
		for _, name := range names {
			newest[name] = layer
		}
	}
	for _, name := range sortedKeys(newest) {
		f := &file{path: filepath.Join(newest[name].dir, name), problems: &l.problems}
		l.files[name] = f
		data, err := fs.ReadFile(newest[name], name)
		if err != nil {
			f.at(nil, "", "%v", err)
			continue
		}
		var value T
		if f.decode(data, &value) {
			add(name, value)
		}
	}
}

// alike fills in managers that are another name for one.
func (l *loader) alike(managers map[string]Manager) {
	for _, name := range sortedKeys(managers) {
		m := managers[name]
		if m.Like == "" {
			continue
		}
		other, ok := managers[m.Like]
		if !ok || other.Like != "" {
			l.files["manager/"+name+".yaml"].bad("like", suggest.Hint(m.Like, sortedKeys(managers)), "manager %q is like %q, which is none of its own", name, m.Like)
			continue
		}
		other.Name, other.Like = m.Name, m.Like
		managers[name] = other
	}
}

// partLines returns the line of each part of a release that becomes a build step: a
// flavor's packages, and samples.
func partLines(root *yaml.Node) map[string]int {
	lines := map[string]int{}
	_, lines["samples"] = find(root, "samples")
	layers, _ := find(root, "layers")
	for _, flavor := range Flavors() {
		layer, _ := find(layers, string(flavor))
		_, lines[string(flavor)] = find(layer, "packages")
	}
	return lines
}

// find returns the value of a key in a mapping and the key's line, or nil and 0.
func find(n *yaml.Node, key string) (*yaml.Node, int) {
	if n != nil && n.Kind == yaml.MappingNode {
		if at, value := child(n, key); at != nil {
			return value, at.Line
		}
	}
	return nil, 0
}

// named reports a file that is not called after what is in it: two files for one
// name would otherwise compete.
func (l *loader) named(file, key, name string) {
	if base := path.Base(file); base != name+".yaml" {
		l.files[file].bad(key, "", "is about %q, so its name must be %s.yaml", name, name)
	}
}
