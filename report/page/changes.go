// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"strings"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/report"
)

// mostLines bounds the lines of details of a page of a difference, mostOfImage those of one list of one image.
const (
	mostLines   = 20_000
	mostOfImage = 500
	mostOfFirst = 80 // characters of the cause that stands beside the verdict
	mostCauses  = 8  // that stand there before a reader asks for more
	mostImages  = 20 // the same
)

// changes is a difference as the page shows it.
type changes struct {
	*diff.Result
	Why     []cause
	All     []changedImage // in the order of the result, without those that are the same
	Details bool           // what changed in each image is shown here too
	Left    int            // images whose details are left out, because the page would be too long
}

// cause is one with the number of images that it holds for.
type cause struct {
	diff.Cause
	Of int
}

// changedImage is one image with its causes in words, and its lists as far as they are shown.
type changedImage struct {
	diff.Image
	By     []diff.Cause  // what explains that the digest changed
	Says   string        // what became of it, before its lists were cut
	All    []diff.Cause  // of the whole difference, to which lists refer
	Now    *report.State // of the image on this page; nil if it does not stand there
	Shown  bool          // its details are
	Hidden int           // lines of its lists that are not
}

func changesOf(r *diff.Result, details bool) *changes {
	c := &changes{Result: r, Details: details}
	for _, known := range r.Causes {
		c.Why = append(c.Why, cause{Cause: known})
	}
	for _, image := range r.Images {
		for _, cause := range image.Causes {
			c.Why[cause].Of++
		}
	}
	lines := 0
	for _, image := range r.Images {
		if image.Same() {
			continue
		}
		view := changedImage{Image: image, Says: says(image), All: r.Causes}
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
	return c
}

// link says which images stand on the page of a report.
func (c *changes) link(d *report.Document) {
	there := map[string]*report.State{}
	for i := range d.Images {
		there[d.Images[i].ID] = &d.Images[i].State
	}
	for i := range c.All {
		c.All[i].Now = there[c.All[i].Cell]
	}
}

// First is the cause of most changes in few words, "" if there is none.
func (c *changes) First() string {
	if len(c.Why) == 0 {
		return ""
	}
	words := []rune(fmt.Sprintf("%s %s", c.Why[0].Kind, c.Why[0].What))
	if len(words) > mostOfFirst {
		words = append(words[:mostOfFirst], '…')
	}
	return string(words)
}

// AtOnce and Further are causes, and the same of images: those that stand there, and those for which a reader has to ask.
func (c *changes) AtOnce() []cause  { return c.Why[:min(mostCauses, len(c.Why))] }
func (c *changes) Further() []cause { return c.Why[len(c.AtOnce()):] }

func (c *changes) ImagesAtOnce() []changedImage  { return c.All[:min(mostImages, len(c.All))] }
func (c *changes) ImagesFurther() []changedImage { return c.All[len(c.ImagesAtOnce()):] }

// says is what became of an image: "changed; size 26 MB, +1.2 MB; 1 package, 2 files; build and verification: passed → failed at verify".
func says(i diff.Image) string {
	is := string(i.State)
	if i.Why != "" {
		is += ": " + i.Why
	}
	all := []string{is}
	switch {
	case i.NewSize == 0 || i.State == diff.Removed:
	case i.OldSize != 0:
		all = append(all, "size "+size(i.NewSize)+", "+delta(i.OldSize, i.NewSize))
	default:
		all = append(all, "size "+size(i.NewSize))
	}
	var lists []string
	for _, l := range []struct {
		n    int
		what string
	}{
		{len(i.Packages), "package"},
		{len(i.Files), "file"},
		{len(i.Config), "setting"},
		{len(i.Predictions), "prediction"},
		{len(i.Rows), "GPU result"},
	} {
		if l.n > 0 {
			lists = append(lists, many(l.n, l.what))
		}
	}
	if lists != nil {
		all = append(all, list(lists))
	}
	if i.Retagged() {
		all = append(all, fmt.Sprintf("tags: %d came, %d went", len(i.TagsAdded), len(i.TagsRemoved)))
	}
	none := func(s string) string {
		if s == "" {
			return "none"
		}
		return s
	}
	switch {
	case i.OldVerdict != i.NewVerdict:
		all = append(all, "build and verification: "+none(i.OldVerdict)+" → "+none(i.NewVerdict))
	case i.NewVerdict != "":
		all = append(all, "build and verification: "+i.NewVerdict)
	}
	return strings.Join(all, "; ")
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
