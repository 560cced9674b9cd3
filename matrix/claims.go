// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"cmp"
	"fmt"
	"regexp"

	"github.com/cudabuild/cudabuild/spec"
)

// claims is which cell has which tag, and where the file says so.
type claims struct {
	*spec.File
	index
	image   string
	stamp   string           // "26.11", or "" for no release
	by      map[string]claim // by tag, without the image's name
	aliases map[string][]string
}

type claim struct {
	cell string
	at   spec.Place
}

// tagging is what it takes to name the cells of a file.
type tagging struct {
	image   string
	aliases []alias
	places  map[string]place // of cells, by ID
}

// place is the pair that makes a cell, and its CUDA version in full.
type place struct {
	at      spec.Place
	version string
}

// tag gives every cell the tags that its image has besides the canonical one, and
// reports tags that two images claim, globs that match nothing, and names that are no tags.
func (m *Matrix) tag(f *spec.File, stamp string) {
	c := &claims{File: f, index: m.index(), image: m.tagging.image, stamp: stamp, by: map[string]claim{}, aliases: map[string][]string{}}
	for id := range c.byID {
		c.by[id] = claim{id, m.tagging.places[id].at}
	}
	for _, a := range m.tagging.aliases {
		c.alias(a, m.tagging.places)
	}
	for _, cells := range m.cells {
		for i, cell := range cells {
			cells[i].Tags = append(cell.Tags[:1:1], c.aliases[cell.ID]...)
		}
	}
}

// alias lets one line of tags claim what it names.
func (c *claims) alias(a alias, places map[string]place) {
	var lost []string
	var at spec.Place // of the first glob that lost
	named := map[string]bool{}
	for _, glob := range a.globs {
		cells := c.matching(glob)
		if len(cells) == 0 {
			c.nothing(c.File, a.what(), glob)
		}
		for _, cell := range cells {
			if named[cell.ID] { // by an earlier glob
				continue
			}
			named[cell.ID] = true
			tag := a.fill(cell, places[cell.ID].version, c.stamp)
			if message, hint := checkTag(a.pattern.Text, tag); message != "" && !ofRelease(tag) {
				c.At(a.pattern.Place, hint, "%s", message)
				return
			}
			if clash := c.claim(tag, cell.ID, glob); clash != "" {
				lost, at = append(lost, clash), cmp.Or(at, glob.Place)
			}
		}
	}
	if len(lost) > 1 {
		lost[0] += fmt.Sprintf(" (and %d more)", len(lost)-1)
	}
	if len(lost) > 0 {
		c.At(at, "name one cell for it, or tell them apart with {cuda}, {kind} or {os}", "%s", lost[0])
	}
}

// claim gives a tag to a cell, or says who has it.
func (c *claims) claim(tag, cell string, glob spec.Word) (clash string) {
	other, taken := c.by[tag]
	switch {
	case !taken:
		c.by[tag] = claim{cell, glob.Place}
		if !ofRelease(tag) {
			c.aliases[cell] = append(c.aliases[cell], c.image+":"+tag)
		}
	case other.cell == cell: // its canonical tag, or said by another line too
	case other.at == glob.Place:
		return fmt.Sprintf("duplicate tag %s:%s: %q gives it to %s and to %s", c.image, tag, glob.Text, other.cell, cell)
	default:
		return fmt.Sprintf("duplicate tag %s:%s for %s: %s has it by %s:%d:%d", c.image, tag, cell, other.cell, c.Path, other.at.Line, other.at.Column)
	}
	return ""
}

// releaseForm is a year and a month, as in 17.01.
var releaseForm = regexp.MustCompile(`^[0-9]{2}\.(0[1-9]|1[0-2])$`)

// Stamped returns the matrix of a release, "26.11" for November 2026: its images have
// the tags with {yy} and {mm} too, which no image of m has. The error is a [spec.Problems]:
// no release in that form, no such tag in the file, or one that another image has.
func (m *Matrix) Stamped(release string) (*Matrix, error) {
	f := new(spec.Report).File(m.file)
	if !releaseForm.MatchString(release) {
		f.At(spec.Place{}, "write YY.MM, such as 26.11", "release %q is not a year and a month", release)
		return nil, f.Err()
	}
	stamped := *m
	stamped.cells = map[string][]Cell{}
	for group, cells := range m.cells {
		for _, cell := range cells {
			stamped.cells[group] = append(stamped.cells[group], cell.clone())
		}
	}
	if !m.tagging.hasRelease() {
		f.At(spec.Place{}, `add one: tags: {"{cuda}-{kind}-{os}-{yy}.{mm}": "*"}`, "release %s: no tag has {yy} or {mm}", release)
	} else {
		stamped.tag(f, release)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &stamped, nil
}

func (t tagging) hasRelease() bool {
	for _, a := range t.aliases {
		if ofRelease(a.fill(Cell{}, "", "")) {
			return true
		}
	}
	return false
}
