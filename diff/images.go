// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify/tree"
)

// Version is the image of one side.
type Version struct {
	Name  string // as the user wrote it
	Image v1.Image
	// Made is what it was made of, as a run record notes it; nil if nobody has. With it more causes are known.
	Made *record.Made
	// Where says where recipes ask for the steps of a cell, by what a history says of them; nil if nobody knows.
	Where func(cell string) map[string]string
}

// Images compares two images. An error means that one could not be read.
func Images(ctx context.Context, old, now Version) (*Result, error) {
	var c causes
	is := blank()
	if err := compare(ctx, &c, tree.NewReader(), &is, old, now, compareMade(old.Made, now.Made)); err != nil {
		return nil, err
	}
	r := &Result{Version: 1, Old: Side{Name: old.Name}, New: Side{Name: now.Name}, Images: []Image{is}}
	for side, img := range map[*Side]v1.Image{&r.Old: old.Image, &r.New: now.Image} {
		if config, err := img.ConfigFile(); err == nil {
			side.Date = config.Created.UTC()
		}
	}
	r.finish(c.all)
	return r, nil
}

// blank is an image without changes, no list nil.
func blank() Image {
	return Image{
		State: Same, Causes: []int{}, Packages: []PackageChange{}, Files: []FileChange{}, Config: []ValueChange{},
		Predictions: []Prediction{}, Rows: []RowChange{},
	}
}

// Same reports that nothing differs.
func (r *Result) Same() bool { return !r.any(func(i Image) bool { return !i.Same() }) }

// Same reports that nothing of the image differs: its digest, what was judged of it, what is predicted, what GPUs showed.
func (i Image) Same() bool {
	return i.State == Same && i.OldVerdict == i.NewVerdict && len(i.Predictions)+len(i.Rows) == 0
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
		{"not compared", func(i Image) bool { return i.State == Unread }},
		{"with the same digest and another verdict, prediction or row", func(i Image) bool { return i.State == Same && !i.Same() }},
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
