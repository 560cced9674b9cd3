// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"context"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify/tree"
)

// Reference is what one side names: an image, or those of an index, one a platform.
type Reference struct {
	Name   string        // as the user wrote it
	Index  v1.ImageIndex // that it names, nil of an image that stands alone
	Images []Version     // never empty
}

// Version is one image of a side.
type Version struct {
	Image v1.Image // nil if it cannot be opened
	Err   error    // why
	// Digest and Platform are what its index says of it, "" of an image that stands alone.
	Digest, Platform string
	// Made is what it was made of, as a run record notes it; nil if nobody has, or, with MadeErr, if that record cannot be read.
	// With it more causes are known.
	Made    *record.Made
	MadeErr error
	// Where says where recipes ask for the steps of a cell, by what a history says of them; nil if nobody knows.
	Where func(cell string) map[string]string
}

// Images compares what two references name, each platform with its own; two images that stand alone are compared whatever theirs
// are. The list of the images is an image of its own in the result where it differs and they do not say why. The only error
// is that of ctx: images that cannot be read say so.
func Images(ctx context.Context, old, now Reference) (*Result, error) {
	return images(ctx, old, now, maxPaths)
}

// maxPaths bounds what is said of the paths that changed in all images together, in bytes: a layer of some kilobytes may change
// millions of them, and an index may name a thousand images.
const maxPaths = 1 << 30

// comparison is what several images are compared with.
type comparison struct {
	*causes

	reader *tree.Reader
	left   int // of maxPaths
}

func images(ctx context.Context, old, now Reference, left int) (*Result, error) {
	c := &comparison{&causes{}, tree.NewReader(), left}
	r := &Result{Version: 1, Old: old.side(), New: now.side(), Images: []Image{}}
	for _, pair := range pairs(old.Images, now.Images) {
		is := blank()
		if o := pair[0]; o != nil {
			is.Platform, is.State = o.platform(), Removed
			is.OldDigest, is.OldSize = o.alone()
		}
		if n := pair[1]; n != nil {
			is.Platform, is.State = n.platform(), Added
			is.NewDigest, is.NewSize = n.alone()
		}
		if o, n := pair[0], pair[1]; o != nil && n != nil {
			if err := c.compare(ctx, &is, *o, *n, compareMade(o.Made, n.Made)); err != nil {
				return nil, err
			}
		}
		r.Images = append(r.Images, is)
	}
	if list := c.index(old, now, r.Images); list != nil {
		r.Images = append(r.Images, *list)
	}
	r.finish(c.all)
	return r, nil
}

// pairs puts images of the same platform beside each other, in the order of the new side and then of the old one. One that
// says a variant is of the platform of another that says none.
func pairs(old, now []Version) (all [][2]*Version) {
	if len(old) == 1 && len(now) == 1 {
		return [][2]*Version{{&old[0], &now[0]}}
	}
	of, taken := make([]*Version, len(now)), make([]bool, len(old))
	was, is := platforms(old), platforms(now)
	for _, same := range []func(a, b string) bool{
		func(a, b string) bool { return a == b },
		func(a, b string) bool { return strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/") },
	} {
		for i := range now {
			for k := range old {
				if of[i] == nil && !taken[k] && same(was[k], is[i]) {
					of[i], taken[k] = &old[k], true
				}
			}
		}
	}
	for i := range now {
		all = append(all, [2]*Version{of[i], &now[i]})
	}
	for k := range old {
		if !taken[k] {
			all = append(all, [2]*Version{&old[k], nil})
		}
	}
	return all
}

func platforms(of []Version) (all []string) {
	for _, v := range of {
		all = append(all, v.platform())
	}
	return all
}

// platform is "" of an image whose index and configuration say none.
func (v Version) platform() string {
	if v.Platform != "" {
		return v.Platform
	}
	s, _ := readSide(v)
	return s.platform()
}

// alone is what is known of an image that is not compared.
func (v Version) alone() (digest string, size int64) {
	s, _ := readSide(v)
	return s.digest, s.size()
}

// side has the date of the newest image.
func (r Reference) side() Side {
	s := Side{Name: r.Name}
	for _, v := range r.Images {
		if is, _ := readSide(v); is.config != nil && is.config.Created.After(s.Date) {
			s.Date = is.config.Created.UTC()
		}
	}
	return s
}

// blank is an image without changes, no list nil.
func blank() Image {
	return Image{
		State: Same, TagsAdded: []string{}, TagsRemoved: []string{}, Causes: []int{}, Packages: []PackageChange{}, Files: []FileChange{}, Config: []ValueChange{},
		Predictions: []Prediction{}, Rows: []RowChange{},
	}
}

// Same reports that nothing differs.
func (r *Result) Same() bool { return !r.any(func(i Image) bool { return !i.Same() }) }

// Same reports that nothing of the image differs: its digest, its tags, what was judged of it, what is predicted, what GPUs
// showed.
func (i Image) Same() bool {
	return i.State == Same && !i.Retagged() && !i.Rejudged()
}

// Retagged reports that it has other tags.
func (i Image) Retagged() bool { return len(i.TagsAdded)+len(i.TagsRemoved) > 0 }

// Rejudged reports that another thing is said of it, or was seen of it on GPUs.
func (i Image) Rejudged() bool {
	return i.OldVerdict != i.NewVerdict || len(i.Predictions)+len(i.Rows) > 0
}

// Count is a number of images.
type Count struct {
	What string // what became of them, in words
	N    int
}

// Counts says what became of how many images; never one of none.
func (r *Result) Counts() (all []Count) {
	for _, count := range []struct {
		what  string
		holds func(Image) bool
	}{
		{"changed", func(i Image) bool { return i.State == Changed }},
		{"added", func(i Image) bool { return i.State == Added }},
		{"removed", func(i Image) bool { return i.State == Removed }},
		{"built now", func(i Image) bool { return i.State == Built }},
		{"not built now", func(i Image) bool { return i.State == NotBuilt }},
		{"not compared", func(i Image) bool { return i.State == Unread }},
		{"with the same digest and another verdict, tag, prediction or row", func(i Image) bool { return i.State == Same && !i.Same() }},
		{"the same", Image.Same},
	} {
		n := 0
		for _, i := range r.Images {
			if count.holds(i) {
				n++
			}
		}
		if n > 0 {
			all = append(all, Count{count.what, n})
		}
	}
	return all
}

// Unread reports that something could not be compared.
func (r *Result) Unread() bool { return r.any(func(i Image) bool { return i.State == Unread }) }

func (r *Result) any(holds func(Image) bool) bool {
	for _, i := range r.Images {
		if holds(i) {
			return true
		}
	}
	return false
}
