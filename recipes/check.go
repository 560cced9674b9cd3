// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// osForm is what tags and repository names both allow (distribution-spec, "Pulling
// manifests"): an OS's name is part of either. With CUDA version and flavor it
// stays below a tag's 128 characters.
var osForm = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)

const osMax = 64

// checkParts reports what releases cannot stand on, and returns whether nothing is wrong.
func (l *loader) checkParts(c *Catalog) bool {
	before := l.Count()
	for _, name := range sortedKeys(c.sources) {
		c.sources[name].check(l.files["repository/"+name+".yaml"])
	}
	for _, name := range sortedKeys(c.managers) {
		c.managers[name].check(l.files["manager/"+name+".yaml"])
	}
	for _, name := range c.OSNames() {
		c.checkOS(l.files["os/"+name+".yaml"], c.os[name])
	}
	return l.Count() == before
}

// checkReleases reports releases that do not fit together with the rest.
func (l *loader) checkReleases(c *Catalog) {
	for _, name := range sortedKeys(l.full) {
		l.full[name].check(l.files[name])
	}
	first := map[pair]string{} // where each is said
	guards := map[string]bool{}
	for _, r := range c.releases {
		f, p := l.files[r.file], pair{r.OS, r.CUDA}
		c.checkRelease(f, r, guards)
		if other, twice := first[p]; twice {
			f.At(f.Find("cuda"), "", "CUDA %s for %s is in %s already", r.CUDA, r.OS, other)
		}
		first[p] = r.path
	}
}

func (c *Catalog) checkOS(f *spec.File, o OS) {
	if !osForm.MatchString(o.Name) || len(o.Name) > osMax {
		f.At(f.Find("os"), "", "os %q cannot be part of a tag (lower case, digits, single '.', '_' and '-' inside, %d characters at most)", o.Name, osMax)
	}
	if _, ok := c.managers[o.Manager]; !ok {
		f.At(f.Find("manager"), suggest.Hint(o.Manager, sortedKeys(c.managers)), "unknown package manager %q", o.Manager)
	}
	o.Ends.check(f, c.sources[o.Source])
	switch {
	case o.Image == "" && o.Bootstrap.Suite == "":
		f.At(f.Find("bootstrap", "suite"), "", "no bootstrap suite, and no image")
	case o.Image != "" && o.Bootstrap.Suite != "":
		f.At(f.Find("image"), "take one out; what a file before this one has, with bootstrap: null", "bootstrap and image: want one of the two")
	case o.Image != "":
		c.checkRepository(f, o)
	}
}

// checkRepository reports an OS whose packages cannot be found.
func (c *Catalog) checkRepository(f *spec.File, o OS) {
	r := o.Repository
	switch {
	case r.Packages != "" && r.Packages != "deb" && r.Packages != "rpm":
		f.At(f.Find("repository", "packages"), suggest.Hint(r.Packages, []string{"deb", "rpm"}), "unknown kind of packages %q (want deb or rpm)", r.Packages)
	case r.Dir == "" || len(r.Arch) == 0 || r.Packages == "":
		f.At(f.Find("repository"), "", "want dir, arch, and packages: deb or rpm")
	}
	for _, platform := range sortedKeys(r.Arch) {
		checkPlatform(f, platform, "repository", "arch", platform)
	}
	source, ok := c.sources[o.Source]
	if !ok {
		f.At(f.Find("source"), suggest.Hint(o.Source, sortedKeys(c.sources)), "source %q has no recipe", o.Source)
		return
	}
	for _, root := range append([]string{source.Name}, r.Also...) {
		if source.Roots[root] == "" {
			f.At(f.Find("repository", "also", root), suggest.Hint(root, sortedKeys(source.Roots)), "source %q has no root %q", source.Name, root)
		} else if _, ok := source.key(root, r); !ok {
			f.At(f.Find("repository"), "", "no key of source %q serves %s", source.Name, r.Dir)
		}
	}
	for i, change := range o.Overrides {
		if !isDate(change.Since) || change.Why == "" || i > 0 && change.Since < o.Overrides[i-1].Since {
			f.At(f.Find("overrides", strconv.Itoa(i), "since"), "", "override of %q: want since, a date not before the last one's, and why", change.Since)
		}
	}
}

// platforms are those that images are made for: CUDA was packaged for the first three
// only, but an OS may be for others.
var platforms = []string{"linux/amd64", "linux/arm64", "linux/ppc64le", "linux/386", "linux/arm", "linux/riscv64", "linux/s390x"}

// checkPlatform reports a platform that there is not, at that path of the file.
func checkPlatform(f *spec.File, platform string, path ...string) {
	if !slices.Contains(platforms, platform) {
		f.At(f.Find(path...), suggest.Hint(platform, platforms), "unknown platform %q", platform)
	}
}

// checkRelease reports a release that its operating system cannot have. Guards are those that
// have been rendered, by their manager and what they provide: other than that they differ in
// a number.
func (c *Catalog) checkRelease(f *spec.File, r Release, guards map[string]bool) {
	o, ok := c.os[r.OS]
	if !ok {
		f.At(f.Find("os", r.OS), suggest.Hint(r.OS, c.OSNames()), "os %q has no recipe", r.OS)
	} else if o.Source != r.Source {
		f.At(f.Find("source"), "", "os %q has source %q, not %q", r.OS, o.Source, r.Source)
	} else if guard := o.Manager + " " + strings.Join(r.Guard.Provides, ", "); !guards[guard] {
		guards[guard] = true
		if _, err := c.Manager(o).Guard(r); err != nil {
			f.At(f.Find("guard"), "", "%v", err)
		}
	}
	for _, flavor := range []Flavor{Runtime, Devel} { // a base there is from CUDA 9.0 on
		if len(r.Layers[flavor].Packages) == 0 {
			f.At(f.Find("layers"), "", "layer %q installs nothing", flavor)
		}
	}
}
