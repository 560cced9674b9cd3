// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/samples"
	"github.com/cudabuild/cudabuild/spec"
)

// flavorFile is recipes/flavor/NAME.yaml: what a team adds to flavors. With name jupyter, on
// runtime, every release that has runtime gets the variant jupyter-runtime.
type flavorFile struct {
	Name string   `yaml:"flavor" form:"flavor"`
	On   []Flavor `yaml:"on"`
	// Packages are names, perhaps with a version, by the kind of packages, "deb" or "rpm", or by
	// the OS; the OS's own count alone. Where there are none for an OS the flavor is not there.
	Packages map[string][]string `yaml:"packages" form:"named"`
	// Files are by path. Their directories are made.
	Files  map[string]contentFile `yaml:"files" keys:"place"`
	SizeMB int                    `yaml:"size_mb"` // of the packages, unpacked
}

// contentFile is a text, or the name of a file in the folder of recipes that has it.
type contentFile struct {
	Content string `yaml:"content"`
	Source  string `yaml:"source" form:"beside"`
	Mode    string `yaml:"mode" form:"mode"` // "0644" if it is not said
}

// Bounds of what a step's script writes; for more one builds on our image.
const (
	maxFlavor = 32       // characters of a name, which is part of tags
	maxFile   = 64 << 10 // bytes
	maxFiles  = 256 << 10
)

// Words that names of flavors do not begin with: stages of exported Dockerfiles do.
var taken = []string{string(Base), string(Runtime), string(Devel), string(compatLayer), "image", "build"}

// check reports what is wrong with the file by itself.
func (o flavorFile) check(f *spec.File, c *Catalog) {
	first, _, _ := strings.Cut(o.Name, "-")
	switch {
	case o.Name == "" || len(o.Name) > maxFlavor:
		f.At(f.Find("flavor"), "", "flavor %q: want a name of %d characters at most", o.Name, maxFlavor)
	case slices.Contains(taken, first) || slices.ContainsFunc(samples.Names(), func(s string) bool { return strings.EqualFold(s, o.Name) }):
		f.At(f.Find("flavor"), "choose another, such as acme", "flavor %q: %s is a word of cudabuild's own", o.Name, first)
	}
	if len(o.On) == 0 {
		f.At(f.Find("on"), "write on: [runtime]", "needs a flavor that it is put on")
	}
	for i, on := range o.On {
		if !slices.Contains(Flavors(), on) {
			f.At(f.Find("on", string(on)), suggest.Hint(string(on), words(Flavors())), "on %q: want base, runtime or devel", on)
		} else if slices.Contains(o.On[:i], on) {
			f.At(f.Find("on"), "remove one of the two", "on: %q is listed twice", on)
		}
	}
	if len(o.Packages)+len(o.Files) == 0 {
		f.At(f.Find("flavor"), "give it packages: {deb: [...], rpm: [...]}, or files", "adds nothing")
	}
	for _, key := range sortedKeys(o.Packages) {
		o.checkPackages(f, c, key)
	}
	for _, name := range sortedKeys(o.Files) {
		o.checkFile(f, c, name)
	}
}

// checkPackages reports a key that is no kind of packages and no OS, and what would bring in
// the driver: the guard of an image refuses it too, but late.
func (o flavorFile) checkPackages(f *spec.File, c *Catalog, key string) {
	known := append([]string{"deb", "rpm"}, c.OSNames()...)
	if !slices.Contains(known, key) {
		f.At(f.Find("packages", key), suggest.Hint(key, known), "packages: %q is neither deb nor rpm, nor an OS", key)
	}
	for _, arg := range o.Packages[key] {
		name, _, _ := strings.Cut(arg, "=")
		var on []string
		for _, os := range c.OSNames() {
			if at := c.os[os]; (os == key || at.packages() == key) && c.Manager(at).isDriver(name) {
				on = append(on, os)
			}
		}
		if len(on) > 0 {
			f.At(f.Find("packages", key, arg), "take it out: the runtime hook brings the driver of the host", "package %s is one of the driver on %s", name, suggest.List(on))
		}
	}
}

// isDriver reports whether the manager's guard names the package.
func (m Manager) isDriver(name string) bool {
	return slices.ContainsFunc(m.DriverPackages, func(pattern string) bool {
		is, err := path.Match(pattern, name)
		return is && err == nil
	})
}

func (o flavorFile) checkFile(f *spec.File, c *Catalog, name string) {
	file, at := o.Files[name], f.Find("files", name)
	below := slices.IndexFunc(sortedKeys(o.Files), func(other string) bool { return strings.HasPrefix(other, name+"/") })
	switch away, whose := c.away(name), keeper(name); {
	case path.Clean(name) != name:
		f.At(at, fmt.Sprintf("did you mean %s?", path.Clean(name)), "file %s: the path has parts that lead elsewhere", name)
	case away != "":
		f.At(at, "choose another place", "file %s: nothing in %s is part of an image", name, away)
	case whose != "":
		f.At(at, "choose another place, or build an image on ours: docs/flavors.md", "file %s: the place is %s", name, whose)
	case below >= 0:
		f.At(at, "choose another place for one of the two", "file %s: it is the folder of %s", name, sortedKeys(o.Files)[below])
	case (file.Content == "") == (file.Source == ""):
		f.At(at, "write {content: TEXT} or {source: FILE}", "file %s: want either content or source", name)
	case file.Source != "" && !fs.ValidPath(file.Source):
		f.At(f.Find("files", name, "source"), "name a file inside the folder of recipes, by its path from there", "file %s: source %q leads elsewhere", name, file.Source)
	}
}

// away returns the directory with the path, or at it, whose files are no part of images, "" if there is none.
func (c *Catalog) away(name string) string {
	places := []string{"/dev", "/proc", "/run", "/sys", "/tmp"}
	for _, m := range c.managers {
		for _, mount := range m.Mounts {
			places = append(places, mount.Path)
		}
	}
	slices.Sort(places)
	for _, place := range places {
		if name == place || strings.HasPrefix(name, place+"/") {
			return place
		}
	}
	return ""
}

// packages is the kind of packages that the OS has, "deb" or "rpm". What is bootstrapped is of deb.
func (o OS) packages() string {
	if o.Bootstrap.Suite != "" {
		return "deb"
	}
	return o.Repository.Packages
}

func words(flavors []Flavor) (all []string) {
	for _, f := range flavors {
		all = append(all, string(f))
	}
	return all
}
