// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

//go:embed os cuda manager era toolkit repository
var embedded embed.FS

// layer is a tree of recipe files; dir is what problems call it.
type layer struct {
	fs.FS

	dir string
}

// read reads one byte more of a file than is accepted, and nothing but plain files: of a pipe or
// a device nobody knows when it answers.
func (l layer) read(name string) ([]byte, error) {
	if l.FS == fs.FS(embedded) {
		return embedded.ReadFile(name)
	}
	return readPlain(filepath.Join(l.dir, name))
}

func readPlain(path string) ([]byte, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, spec.MaxBytes+1))
}

// unreadable is a recipe that cannot be read.
func unreadable(path string, err error) spec.Problem {
	p := spec.Problem{File: path, Message: err.Error()}
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		p.Message = cause.Err.Error() // without the path
	}
	if _, ok := errors.AsType[*files.NotRegularError](err); ok {
		p.Message, p.Hint = "is no plain file", "a recipe is one: move this away"
	}
	return p
}

// loader reads layers into a catalog. A file of a later layer changes the file of the same
// path, key by key.
type loader struct {
	spec.Report

	layers []layer
	files  map[string]*spec.File // read ones, by path inside their layer
	parts  map[string][]part     // of them, one from each layer that has it
	full   map[string]releaseFile
}

// part is what one layer has of a file.
type part struct{ path, digest string }

// bad adds a problem with a key of a file, at the top of the file if it lacks it.
func (l *loader) bad(name, key, hint, format string, args ...any) {
	f := l.files[name]
	f.At(f.Find(key), hint, format, args...)
}

// Load reads the embedded catalog and lays each directory over it: a file there changes the
// keys that it names of the file of the same path (see [spec.File.Merge]), or adds one. The error is a [spec.Problems] with
// everything that is wrong, each with its file and, where there is one, its place.
func Load(dirs ...string) (*Catalog, error) {
	l := &loader{layers: []layer{{embedded, "recipes"}}, files: map[string]*spec.File{}}
	for _, dir := range dirs {
		over := layer{os.DirFS(dir), dir}
		if problem := unfit(dir); problem != "" {
			return nil, spec.Problems{{File: cmp.Or(dir, `""`), Message: problem, Hint: "name a folder of recipes with --recipes"}}
		}
		before := l.Count()
		over.strays(&l.Report)
		if l.Count() == before && !over.hasRecipes() {
			l.Add(spec.Problem{File: dir, Message: "has no recipes", Hint: "a recipe is a file FOLDER/NAME.yaml in it; folders: " + strings.Join(Kinds(), ", ")})
		}
		l.layers = append(l.layers, over)
	}
	return l.load()
}

// unfit says why a name is none of a folder, "" if it is.
func unfit(dir string) string {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such folder"
	case err != nil:
		return unreadable(dir, err).Message
	case !info.IsDir():
		return "is a file, not a folder"
	}
	return ""
}

// hasRecipes reports whether any file of the layer would be read. A misspelt folder must
// not look like one that changes nothing.
func (l layer) hasRecipes() bool {
	return slices.ContainsFunc(Kinds(), func(folder string) bool {
		names, _ := fs.Glob(l.FS, folder+"/*.yaml")
		return len(names) > 0
	})
}

// load reads every layer and puts together what is in them.
func (l *loader) load() (*Catalog, error) {
	l.parts = map[string][]part{}
	c := &Catalog{os: map[string]OS{}, managers: map[string]Manager{}, sources: map[string]Source{}, parts: l.parts}
	l.full = map[string]releaseFile{}
	strays := l.Count()
	l.readParts(c)
	eras, toolkits := l.readToolkits()
	if l.Count() == strays { // all that is read can be read
		if l.checkParts(c) {
			l.render(c, eras, toolkits)
		}
		l.checkReleases(c)
	}
	if l.Count() == strays {
		l.addFlavors(c)
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	c.index()
	return c, nil
}

// readParts reads everything but eras and toolkits.
func (l *loader) readParts(c *Catalog) {
	readAll(l, "manager", func(name string, m Manager) {
		m.path = l.paths(name)
		c.managers[m.Name] = m.prepared()
		l.named(name, "manager", m.Name)
	})
	l.alike(c.managers)
	readAll(l, "os", func(name string, o OS) {
		o.path = l.paths(name)
		c.os[o.Name] = o.current()
		l.named(name, "os", o.Name)
	})
	readAll(l, "repository", func(name string, s Source) {
		s.path = l.paths(name)
		s.keys = cmp.Or(l.files[name].Find("keys").File, l.foreign(name))
		c.sources[s.Name] = s
		l.named(name, "source", s.Name)
	})
	readAll(l, "cuda", func(name string, r releaseFile) {
		f := l.files[name]
		l.full[name] = r
		c.releases = append(c.releases, r.releases(origin{name, f.Path, partLines(f), nil})...)
	})
}

// foreign is the file as the first layer that has it calls it, "" if that is the embedded one.
func (l *loader) foreign(name string) string {
	if _, err := fs.Stat(l.layers[0].FS, name); err == nil {
		return ""
	}
	return l.files[name].Path
}

// paths names the file in every layer that has it, first to last.
func (l *loader) paths(name string) string {
	var all []string
	for _, p := range l.parts[name] {
		all = append(all, p.path)
	}
	return strings.Join(all, ", ")
}

// readAll decodes every *.yaml file of dir, those of one path together.
func readAll[T any](l *loader, dir string, add func(name string, value T)) {
	having := map[string][]layer{}
	for _, layer := range l.layers {
		names, _ := fs.Glob(layer.FS, dir+"/*.yaml") // its only error is a bad pattern
		for _, name := range names {
			having[name] = append(having[name], layer)
		}
	}
	for _, name := range sortedKeys(having) {
		versions, ok := l.versions(name, having[name])
		f := l.File(versions[0].Path)
		l.files[name] = f
		var value T
		if ok && f.Merge(versions, format, &value) {
			add(name, value)
		}
	}
}

// versions reads a file of every layer that has it.
func (l *loader) versions(name string, layers []layer) (versions []spec.Version, ok bool) {
	ok = true
	for _, layer := range layers {
		path := filepath.Join(layer.dir, name)
		data, err := layer.read(name)
		if err != nil {
			l.Add(unreadable(path, err))
			ok = false
		}
		if last := len(versions) - 1; err == nil && last >= 0 && bytes.Equal(versions[last].Data, data) {
			continue // a copy of the file below, as in a folder with all of them, is that file
		}
		versions = append(versions, spec.Version{Path: path, Data: data})
		l.parts[name] = append(l.parts[name], part{path, digest.FromBytes(data).String()})
	}
	return versions, ok
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
			l.bad("manager/"+name+".yaml", "like", suggest.Hint(m.Like, sortedKeys(managers)), "manager %q is like %q, which is none of its own", name, m.Like)
			continue
		}
		other.Name, other.Like = m.Name, m.Like
		managers[name] = other
	}
}

// named reports a file that is not called after what is in it: two files for one name would
// otherwise compete. One that does not say what it is changes another one, and there is none.
func (l *loader) named(file, key, name string) {
	base := path.Base(file)
	switch {
	case base == name+".yaml":
	case name != "":
		l.bad(file, key, "", "is about %q, so its name must be %s.yaml", name, name)
	default:
		folder, must := path.Dir(file), key
		if folder == "toolkit" {
			must += " and os"
		}
		hint := ""
		if near := suggest.Nearest(stem(file), l.others(file), 2); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "?"
		}
		l.bad(file, key, hint, "no other folder of recipes has a %s %s, so this file must say %s", folder, stem(file), must)
	}
}

// others are the names of what is in the folder of a file beside it.
func (l *loader) others(file string) (names []string) {
	for _, layer := range l.layers {
		found, _ := fs.Glob(layer.FS, path.Dir(file)+"/*.yaml")
		for _, name := range found {
			if name != file {
				names = append(names, stem(name))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func stem(file string) string { return strings.TrimSuffix(path.Base(file), ".yaml") }
