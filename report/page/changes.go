// SPDX-License-Identifier: Apache-2.0

package page

import (
	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/report"
)

// mostLines bounds the lines of details of a page of a difference, and mostOfImage those of one list of one image.
const (
	mostLines   = 20_000
	mostOfImage = 500
)

// changes is a difference as the page shows it.
type changes struct {
	*diff.Result
	Counts  []report.Count // of images, by what became of them
	Of      []int          // how many images each cause holds for
	All     []changedImage // in the order of the result, without those that are the same
	Details bool           // what changed in each image is shown here too
	Left    int            // images whose details are left out, because the page would be too long
	Linked  bool           // images stand on this page
}

// changedImage is one image with its causes in words, and its lists as far as they are shown.
type changedImage struct {
	diff.Image
	By     []diff.Cause // what explains that the digest changed
	All    []diff.Cause // of the whole difference, to which lists refer
	Link   bool
	Shown  bool // its details are
	Hidden int  // lines of its lists that are not
}

func changesOf(r *diff.Result, details bool) *changes {
	c := &changes{Result: r, Details: details, Of: make([]int, len(r.Causes))}
	for _, image := range r.Images {
		for _, cause := range image.Causes {
			c.Of[cause]++
		}
	}
	lines := 0
	for _, image := range r.Images {
		if image.Same() {
			continue
		}
		view := changedImage{Image: image, All: r.Causes}
		for _, cause := range image.Causes {
			view.By = append(view.By, r.Causes[cause])
		}
		view.Hidden = cut(&view.Packages) + cut(&view.Files) + cut(&view.Config) + cut(&view.Predictions) + cut(&view.Rows)
		n := len(view.TagsAdded) + len(view.TagsRemoved) + len(view.Packages) + len(view.Files) + len(view.Config) + len(view.Predictions) + len(view.Rows)
		switch {
		case !details || n == 0:
		case lines+n > mostLines:
			c.Left++
		default:
			view.Shown = true
			lines += n
		}
		c.All = append(c.All, view)
	}
	for _, count := range r.Counts() {
		c.Counts = append(c.Counts, report.Count{What: count.What, N: count.N})
	}
	return c
}

// link says which images stand on the page of a report.
func (c *changes) link(d *report.Document) {
	there := map[string]bool{}
	for _, image := range d.Images {
		there[image.ID] = true
	}
	for i := range c.All {
		c.All[i].Link = there[c.All[i].Cell]
	}
}

// Cause is the one that a line of a list names, in words.
func (i changedImage) Cause(at int) string {
	if at < 0 || at >= len(i.All) {
		return "nothing that is known explains it"
	}
	return i.All[at].What
}

// cut shortens a list to what is shown, and says by how much.
func cut[T any](s *[]T) int {
	n := max(0, len(*s)-mostOfImage)
	*s = (*s)[:len(*s)-n]
	return n
}
