// SPDX-License-Identifier: Apache-2.0

package page

import (
	"slices"

	"github.com/cudabuild/cudabuild/report"
)

// mostShared bounds the images that a layer names as its others, mostRows the newest rows that an image shows.
const (
	mostShared = 12
	mostRows   = 100
)

// imageView is everything of one image.
type imageView struct {
	report.Image
	Shown   []int // indexes into Rows
	Parts   []platformView
	Plots   []plot
	Changes []changedImage // one for each platform that an earlier run had too
}

// platformView is the image of one platform.
type platformView struct {
	report.Platform
	Layers []layerView
}

// layerView is a layer in an image.
type layerView struct {
	report.Layer
	Share  int64 // of the image's size in percent, 1 at least, so that the smallest can be seen
	Others []string
	More   int // others that are not named
}

// documentView is a report with what images look up in it.
type documentView struct {
	*report.Document
	plots   map[string][]plot
	changes map[string][]changedImage
}

func viewer(d *report.Document) documentView {
	v := documentView{d, map[string][]plot{}, map[string][]changedImage{}}
	for _, t := range d.Trends {
		v.plots[t.Image] = append(v.plots[t.Image], newPlot(t))
	}
	if d.Changes != nil {
		for _, i := range changesOf(d.Changes, true).All {
			v.changes[i.Cell] = append(v.changes[i.Cell], i)
		}
	}
	return v
}

func (v documentView) image(i int) imageView {
	image := imageView{Image: v.Images[i], Shown: v.rows(v.Images[i]), Plots: v.plots[v.Images[i].ID], Changes: v.changes[v.Images[i].ID]}
	for _, p := range image.Platforms {
		part := platformView{Platform: p}
		var total int64
		for _, l := range p.Layers {
			total += v.Layers[l].SizeBytes
		}
		for _, l := range p.Layers {
			layer := layerView{Layer: v.Layers[l]}
			layer.Share = max(1, layer.SizeBytes*100/max(1, total))
			for _, other := range layer.Images {
				switch {
				case other == i:
				case len(layer.Others) == mostShared:
					layer.More++
				default:
					layer.Others = append(layer.Others, v.Images[other].ID)
				}
			}
			part.Layers = append(part.Layers, layer)
		}
		image.Parts = append(image.Parts, part)
	}
	return image
}

// rows are those of an image that are shown: the newest, and of each answer of its grids one, a failure if there is any.
func (v documentView) rows(image report.Image) []int {
	var shown []int
	for i := range min(mostRows, len(image.Rows)) {
		shown = append(shown, i)
	}
	for _, p := range image.Platforms {
		for _, at := range p.Grid {
			if at < 0 || at >= len(v.Answers) || len(v.Answers[at].Rows) == 0 {
				continue
			}
			of := v.Answers[at].Rows
			one := max(0, slices.IndexFunc(of, func(r int) bool { return r < len(image.Rows) && image.Rows[r].Result == "fail" }))
			if of[one] < len(image.Rows) {
				shown = append(shown, of[one])
			}
		}
	}
	slices.Sort(shown)
	return slices.Compact(shown)
}
