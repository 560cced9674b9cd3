// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/suggest"
)

// alias is one line of tags: the pattern of a tag, and the cells that have it.
type alias struct {
	pattern word
	globs   []word // on cell IDs, never empty
}

// placeholders is what a pattern may hold; the last two are those of a release.
var placeholders = []string{"{cuda}", "{version}", "{kind}", "{os}", "{yy}", "{mm}"}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// tagForm is the grammar of a tag.
// Source: OCI distribution specification 1.1, "Pulling manifests", <reference>.
var tagForm = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// maxGlobs bounds what all cells are compared with.
const maxGlobs = 2000

func (d *decoder) tags(n *yaml.Node) []alias {
	var aliases []alias
	globs := 0
	d.pairs(n, "tags", func(key, value *yaml.Node) {
		a := alias{pattern: word{text: key.Value, at: key}}
		d.checkPattern(a.pattern)
		a.globs = d.globs(value, a.what())
		globs += len(a.globs)
		aliases = append(aliases, a)
	})
	if globs > maxGlobs {
		d.node(n, "a glob such as '*-debian13' names many cells at once", "tags: %d globs, more than %d", globs, maxGlobs)
		return nil
	}
	return aliases
}

func (a alias) what() string { return fmt.Sprintf("tag %q", a.pattern.text) }

func (d *decoder) checkPattern(w word) {
	for _, p := range placeholder.FindAllString(w.text, -1) {
		if !slices.Contains(placeholders, p) {
			d.node(w.at, suggest.Hint(p, placeholders), "unknown placeholder %s in tag %q", p, w.text)
			return
		}
	}
	d.checkTag(w, placeholder.ReplaceAllString(w.text, "0"))
}

// checkTag reports a tag that no registry takes; w is the pattern that made it.
func (r *report) checkTag(w word, tag string) bool {
	if tagForm.MatchString(tag) {
		return true
	}
	r.node(w.at, "letters, digits and . _ -, not . or - first, 128 at most; and "+strings.Join(placeholders, " "), "%q is not a tag", w.text)
	return false
}

// globs reads one glob, or a list of some.
func (d *decoder) globs(n *yaml.Node, what string) []word {
	if n.Kind == yaml.ScalarNode {
		if w, ok := d.glob(n, what); ok {
			return []word{w}
		}
		return nil
	}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		d.node(n, "", "%s: the list is empty", what)
	}
	return d.words(n, what, d.glob)
}

func (d *decoder) glob(n *yaml.Node, what string) (word, bool) {
	w, ok := d.str(n, what)
	if _, err := path.Match(w.text, ""); ok && err != nil {
		d.node(n, globForm, "%s: glob %q: %v", what, w.text, err)
		return w, false
	}
	return w, ok
}

// fill returns the tag of a cell. Without a stamp, {yy} and {mm} stay in it.
func (a alias) fill(c Cell, version, stamp string) string {
	kind := c.Sample
	if kind == "" {
		kind = string(c.Flavor)
	}
	yy, mm, ok := strings.Cut(stamp, ".")
	if !ok {
		yy, mm = "{yy}", "{mm}"
	}
	values := []string{c.CUDA, version, kind, c.OS, yy, mm} // as placeholders has them
	tag := a.pattern.text
	for i, p := range placeholders {
		tag = strings.ReplaceAll(tag, p, values[i])
	}
	return tag
}

// ofRelease tells whether a tag waits for the stamp of a release.
func ofRelease(tag string) bool { return strings.Contains(tag, "{") }
