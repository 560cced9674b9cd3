// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"archive/tar"
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify/tree"
)

// rules find the cause of a change, the first that knows one; docs/diff.md has them as a table. none is -1.
var rules = []func(*pair, *change) int{
	(*pair).byPackage, (*pair).byDate, (*pair).byInside, (*pair).byRecords, (*pair).byStep, (*pair).byDatabase, (*pair).byMode,
	(*pair).bySource, (*pair).byRecipe, (*pair).byBase, (*pair).byTool, (*pair).byNothing,
}

const none = -1

func (p *pair) fileCause(c *change) int {
	for _, rule := range rules {
		if cause := rule(p, c); cause != none {
			return cause
		}
	}
	return p.of(File, fmt.Sprintf("/%s %s", valid(c.path), strings.Join(c.how, ", ")), "")
}

// byPackage: a package that owns it changed, and the step of a later layer that differs has not put its own there. A folder that
// stays is of all its packages; a file that stays is not what became of a package that is gone.
func (p *pair) byPackage(c *change) int {
	folder := c.old != nil && c.now != nil && c.now.Type == tar.TypeDir
	if folder && (c.only("time") || slices.ContainsFunc(c.owners, func(o tree.Owner) bool { return p.packages[o] == nil })) {
		return none
	}
	for _, owner := range c.owners {
		is := p.packages[owner]
		if stays := is != nil && is.New == "" && c.now != nil && !folder; is != nil && !stays && !p.later(c, is) {
			return is.Cause
		}
	}
	return none
}

// later reports whether a change comes from a step that differs, in another layer than the package.
func (p *pair) later(c *change, is *moved) bool {
	old, now := c.layers()
	for i, layer := range []int{old, now} {
		stepAt := [][]int{p.old.stepAt, p.now.stepAt}[i]
		if layer >= 0 && is.layers[i] >= 0 && layer > is.layers[i] && stepAt[layer] >= 0 {
			return true
		}
	}
	return false
}

// byDate: its time alone, or the days in etc/shadow alone, and dates have moved.
func (p *pair) byDate(c *change) int {
	days := c.old != nil && c.now != nil && c.old.Undated != 0 && c.old.Undated == c.now.Undated
	if c.only("time") || days && c.only("content", "time") {
		return p.date
	}
	return none
}

// byInside: the time alone of a folder in which something was added or removed.
func (p *pair) byInside(c *change) int {
	if cause, ok := p.inside[c.path]; ok && c.only("time") {
		return cause
	}
	return none
}

// kept is what package managers write when packages change, beside the files of these.
var kept = []string{
	"var/lib/dpkg/", "var/lib/apt/", "var/lib/rpm/", "usr/lib/sysimage/rpm/", "usr/share/rpm/", "var/lib/dnf/", "var/lib/yum/", "lib/apk/db/",
	"var/lib/pacman/", "var/db/pkg/", "etc/ld.so.cache", "etc/alternatives/", "usr/share/info/dir", "usr/share/mime/",
	"var/cache/apt/", "var/cache/debconf/", "var/cache/ldconfig/", "var/cache/man/", "var/cache/dnf/", "var/cache/yum/",
	"var/log/apt/", "var/log/dpkg.log", "var/log/alternatives.log", "var/log/dnf", "var/log/yum.log",
}

var infoFile = regexp.MustCompile(`^var/lib/dpkg/info/([^:]+?)(:[a-z0-9]+)?\.[a-z0-9]+$`)

// isKept reports whether a package manager writes a file; about is the package that it is about, "" if it is about all.
func (c *change) isKept() (about string, is bool) {
	if m := infoFile.FindStringSubmatch(c.path); m != nil {
		about = m[1]
	}
	is = slices.ContainsFunc(kept, func(k string) bool { return strings.HasPrefix(c.path+"/", k) || c.path == k })
	return about, is && !c.only("mode", "owner", "attributes")
}

// byRecords: what the package manager writes changes with the packages: with the one that it is about, or with the first that
// changed in that very layer.
func (p *pair) byRecords(c *change) int {
	about, is := c.isKept()
	if !is {
		return none
	}
	if about != "" {
		if is := p.packages[tree.Owner{Manager: "dpkg", Name: about}]; is != nil {
			return is.Cause
		}
		return none
	}
	old, now := c.layers()
	for i, layer := range []int{old, now} {
		if is := p.first[i][layer]; layer >= 0 && is != nil {
			return is.Cause
		}
	}
	return none
}

// byDatabase: what the package manager writes of all packages, in a layer in which none changed, has those of layers below.
func (p *pair) byDatabase(c *change) int {
	if about, is := c.isKept(); !is || about != "" || p.firstOfAll == nil {
		return none
	}
	return p.firstOfAll.Cause
}

// byStep: the step of its layer differs.
func (p *pair) byStep(c *change) int {
	old, now := c.layers()
	for _, at := range []struct {
		layer int
		steps []int
	}{{now, p.now.stepAt}, {old, p.old.stepAt}} {
		if at.layer >= 0 && at.steps[at.layer] >= 0 {
			return p.stepCause(at.steps[at.layer])
		}
	}
	return none
}

// stepCause is the recipe that asks for a step that differs: the line if that is known, else its file.
func (p *pair) stepCause(i int) int {
	s := &p.steps[i]
	if s.cause == none {
		place := p.now.where[s.now]
		if s.now == "" { // it is gone; of one that is otherwise now, the line of the old words would not say what asks for the new ones
			place = p.old.where[s.old]
		}
		s.cause = p.of(Recipe, s.String(), cmp.Or(place, p.asked()))
	}
	return s.cause
}

// byMode: permissions, owner or attributes alone.
func (p *pair) byMode(c *change) int {
	if c.only("mode", "owner", "attributes", "time") && !c.only("time") {
		return p.of(Mode, fmt.Sprintf("/%s %s -> %s", valid(c.path), words(c.how[0], c.old), words(c.how[0], c.now)), "")
	}
	return none
}

// bySource: the program of a sample whose source changed.
func (p *pair) bySource(c *change) int {
	files := p.parts[record.SourcePart]
	if len(files) > 0 && path.Base(c.path) == p.made.now.Sample {
		return p.of(Source, strings.Join(files, ", "), "samples/"+p.made.now.Sample)
	}
	return none
}

// byRecipe: a recipe, or the matrix, has another text, and the plan is another one.
func (p *pair) byRecipe(c *change) int {
	if asked := p.asked(); asked != "" && p.ours(c) {
		return p.of(Recipe, "it asks for something else", asked)
	}
	return none
}

// ours reports whether a change comes from a layer that cudabuild's steps made.
func (p *pair) ours(c *change) bool {
	old, now := c.layers()
	return old >= 0 && p.old.steps[old].ours || now >= 0 && p.now.steps[now].ours
}

// byBase: it lies in the root, and that is another one.
func (p *pair) byBase(c *change) int {
	if p.ours(c) {
		return none
	}
	return p.base()
}

// base is the cause that the root is another one, as the notes or the label say.
func (p *pair) base() int {
	old, now := p.old.config.Config.Labels[baseLabel], p.now.config.Config.Labels[baseLabel]
	if old == now && !p.changed(record.RootPart) {
		return none
	}
	if tools := p.tools(ofRoot); tools != "" && !p.changed(record.ListsPart) {
		return p.of(Tool, tools, "")
	}
	if old == now {
		old, now = p.roots()
	}
	return p.of(Base, strings.TrimSpace("another root "+shortDigest(old)+" -> "+shortDigest(now)), "")
}

// byTool: the same was asked for, and another program made the layer.
func (p *pair) byTool(c *change) int {
	made := ofRoot
	old, now := c.layers()
	switch {
	case p.ours(c):
		made = ofSteps
	case old >= 0 && p.old.steps[old].command == "" || now >= 0 && p.now.steps[now].command == "": // not known
		made = ofAll
	}
	if tools := p.tools(made); tools != "" {
		return p.of(Tool, tools, "")
	}
	return none
}

// byNothing: both are made of the same by the same, or nothing but a time differs.
func (p *pair) byNothing(c *change) int {
	switch {
	case p.same():
		return p.of(Unexplained, "made of the same parts by the same tools", "")
	case c.only("time"):
		return p.of(Unexplained, "times of files alone", "")
	}
	return none
}

// Labels that follow from what an image is made of.
const (
	baseLabel    = "org.opencontainers.image.base.digest"
	titleLabel   = "org.opencontainers.image.title" // the cell
	createdLabel = "org.opencontainers.image.created"
)

func shortDigest(d string) string {
	_, hex, _ := strings.Cut(d, ":")
	return hex[:min(12, len(hex))]
}
