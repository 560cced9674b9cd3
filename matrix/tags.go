// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// alias is one line of tags: the pattern of a tag, and the cells that have it.
type alias struct {
	pattern spec.Word
	globs   []spec.Word // on cell IDs
}

// placeholders is what a pattern may hold; the last two are those of a release.
var placeholders = []string{"{cuda}", "{version}", "{kind}", "{os}", "{yy}", "{mm}"}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// tagForm is the grammar of a tag.
// Source: OCI distribution specification 1.1, "Pulling manifests", <reference>.
var tagForm = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// maxGlobs bounds what all cells are compared with.
const maxGlobs = 2000

// tagPattern is tagForm with placeholders.
var tagPattern = regexp.MustCompile(strings.ReplaceAll(`^([a-zA-Z0-9_]|\{(WORD)\})([a-zA-Z0-9._-]|\{(WORD)\})*$`, "WORD",
	strings.NewReplacer("{", "", "}", "").Replace(strings.Join(placeholders, "|"))))

// aliases returns the lines of tags as they stand in the file.
func aliases(f *spec.File, tags map[spec.Word][]spec.Word) []alias {
	var all []alias
	globs := 0
	for _, pattern := range ordered(tags) {
		all = append(all, alias{pattern, tags[pattern]})
		globs += len(tags[pattern])
	}
	if globs > maxGlobs {
		f.At(f.Find("tags"), "a glob such as '*-debian13' names many cells at once", "tags: %d globs, more than %d", globs, maxGlobs)
		return nil
	}
	return all
}

func (a alias) what() string { return fmt.Sprintf("tag %q", a.pattern.Text) }

func checkPattern(text, _ string) (message, hint string) {
	for _, p := range placeholder.FindAllString(text, -1) {
		if !slices.Contains(placeholders, p) {
			return fmt.Sprintf("unknown placeholder %s in tag %q", p, text), suggest.Hint(p, placeholders)
		}
	}
	return checkTag(text, placeholder.ReplaceAllString(text, "0"))
}

// reserved are tags that mean something else in a registry: images on their way to their
// tags (package publish), and the lists of what refers to an image, where a registry has no
// API for them.
// Source: OCI distribution specification 1.1, "Referrers Tag Schema".
var reserved = regexp.MustCompile(`^(staging-.*|sha(256|512)-[0-9a-f]{64}.*)$`)

// checkTag says that no registry takes the tag that a pattern made, or that it is reserved.
func checkTag(pattern, tag string) (message, hint string) {
	switch {
	case reserved.MatchString(tag):
		return fmt.Sprintf("%q is reserved", pattern), "staging-... is for images that are being published, sha256-... for what is attached to an image: choose another name"
	case tagForm.MatchString(tag):
		return "", ""
	}
	return fmt.Sprintf("%q is not a tag", pattern), "letters, digits and . _ -, not . or - first, 128 at most; and " + strings.Join(placeholders, " ")
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
	tag := a.pattern.Text
	for i, p := range placeholders {
		tag = strings.ReplaceAll(tag, p, values[i])
	}
	return tag
}

// ofRelease tells whether a tag waits for the stamp of a release.
func ofRelease(tag string) bool { return strings.Contains(tag, "{") }
