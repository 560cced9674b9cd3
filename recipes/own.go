// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/spec"
)

// own is a flavor of the user's and where it is said.
type own struct {
	flavorFile

	name  string            // "flavor/jupyter.yaml"
	path  string            // the same with the folder that it was read from
	at    spec.Place        // of its packages
	texts map[string]string // of Files, by path
	files []File            // that say all this
}

// addFlavors gives releases the variants that flavor files make of their flavors.
func (l *loader) addFlavors(c *Catalog) {
	readAll(l, "flavor", func(name string, file flavorFile) {
		f, before := l.files[name], l.Count()
		l.named(name, "flavor", file.Name)
		file.check(f, c)
		o := own{flavorFile: file, name: name, path: f.Path, at: f.Find("packages"), texts: map[string]string{}}
		for _, p := range l.parts[name] {
			o.files = append(o.files, File{name, p.digest})
		}
		if l.Count() == before {
			l.readTexts(&o)
		}
		for i := range c.releases {
			if l.Count() == before {
				l.addFlavor(&c.releases[i], c.os[c.releases[i].OS], o)
			}
		}
	})
}

func (l *loader) addFlavor(r *Release, os OS, o own) {
	packages, named := o.Packages[os.Name]
	if !named {
		packages = o.Packages[os.packages()]
	}
	if len(packages) == 0 && len(o.Packages) > 0 {
		return
	}
	layer := Layer{Packages: packages, Files: o.texts, Modes: map[string]string{}, SizeMB: o.SizeMB}
	for name, file := range o.Files {
		layer.Modes[name] = cmp.Or(file.Mode, "0644")
	}
	for _, on := range o.On {
		flavor := Flavor(o.Name) + "-" + on
		if _, there := r.Layers[flavor]; there {
			l.bad(o.name, "flavor", "choose another name", "CUDA %s for %s has %s already, from %s", r.CUDA, r.OS, flavor, r.path)
			return
		}
		r.addOwn(flavor, on, layer, o)
	}
}

// addOwn adds the flavor on another one, on each platform, if the release has that.
func (r *Release) addOwn(flavor, on Flavor, layer Layer, o own) {
	if _, ok := r.Layers[on]; !ok {
		return
	}
	r.Layers, r.own, r.on = maps.Clone(r.Layers), maps.Clone(r.own), maps.Clone(r.on)
	if r.own == nil {
		r.own = map[Flavor]own{}
	}
	r.Layers[flavor], r.own[flavor] = layer, o
	for platform, other := range r.on {
		other.addOwn(flavor, on, layer, o)
		r.on[platform] = other
	}
}

// FlavorFiles are those of a flavor of the user's, beside [Recipe.Files]: its recipe, and the
// sources of what it places, by name. Other flavors have none.
func (r *Recipe) FlavorFiles(f Flavor) []File { return slices.Clone(r.Release.own[f].files) }

// readTexts reads what the flavor's files hold.
func (l *loader) readTexts(o *own) {
	total := 0
	f := l.files[o.name]
	for _, name := range sortedKeys(o.Files) {
		text := o.Files[name].Content
		if source := o.Files[name].Source; source != "" {
			var err error
			if text, err = l.text(source); err != nil {
				f.At(f.Find("files", name, "source"), "", "file %s: %v", name, err)
				return
			}
		}
		o.texts[name] = text
		if at := (File{o.Files[name].Source, digest.FromString(text).String()}); at.Name != "" && !slices.Contains(o.files, at) {
			o.files = append(o.files, at)
		}
		if total += len(text); len(text) > maxFile || total > maxFiles {
			f.At(f.Find("files", name), "build an image on ours for more: docs/flavors.md", "file %s: a file has %d bytes at most, all of a flavor %d", name, maxFile, maxFiles)
			return
		}
	}
}

// text reads a file by its path in a folder of recipes, the last that has it. Nothing on the
// way to it is a link: what is built is what stands in the folder.
func (l *loader) text(name string) (string, error) {
	for _, layer := range slices.Backward(l.layers) {
		if text, err := readText(layer, name); !errors.Is(err, fs.ErrNotExist) {
			return text, err
		}
	}
	return "", fmt.Errorf("source %s is in no folder of recipes", name)
}

func readText(in layer, name string) (string, error) {
	for at := name; at != "."; at = path.Dir(at) {
		info, err := fs.Lstat(in.FS, at)
		switch {
		case err != nil:
			return "", err
		case at == name && !info.Mode().IsRegular() || at != name && !info.IsDir():
			return "", fmt.Errorf("source %s: %s is no plain file, or leads through a link", name, at)
		case at == name && info.Size() > maxFile:
			return "", fmt.Errorf("source %s has %d bytes, more than %d", name, info.Size(), maxFile)
		}
	}
	data, err := in.read(name)
	if text := string(data); err != nil || utf8.ValidString(text) && !strings.ContainsFunc(text, hidden) {
		return text, err
	}
	return "", fmt.Errorf("source %s is no text in UTF-8, or has control characters", name)
}

// hidden is what a text has no place for: an exported Dockerfile shows it to a terminal.
func hidden(r rune) bool { return r != '\n' && r != '\t' && r != ' ' && !unicode.IsPrint(r) }
