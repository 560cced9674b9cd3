// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
)

// trends are the figures of all images over time, earlier ones of the same cell included: these are what a figure is compared
// with. One without a second point is no trend yet, but it is shown.
func trends(images []Image, rows [][]seen) []Trend {
	all := []Trend{}
	for i, img := range images {
		current := map[string]bool{img.Digest: true}
		for _, p := range img.Platforms {
			current[p.Digest] = true
		}
		var of []gpu.Observation
		for _, s := range rows[i] {
			if d := s.row.Discount; d == "" || d == earlierImage {
				o := s.Observation
				o.Row.Cell = img.ID // rows without one are of the same image
				of = append(of, o)
			}
		}
		for _, h := range gpu.Histories(of) {
			t := trend(img.ID, h, func(digest string) bool { return digest != "" && current[digest] })
			if len(t.Points) > 1 || h.Starts[0].Row.Sharing == nil { // every client that shared a GPU once is no trend
				all = append(all, t)
			}
		}
	}
	return all
}

func trend(id string, h gpu.History, current func(digest string) bool) Trend {
	first := h.Starts[0].Row
	t := Trend{Image: id, Test: first.Sample, Engine: first.Engine, GPU: h.GPU, Figure: h.Figure, Better: "higher"}
	if h.Better == gpu.Lower {
		t.Better = gpu.Lower
	}
	if h.GPUs > 1 {
		t.GPU = fmt.Sprintf("%d x %s", h.GPUs, h.GPU)
	}
	if h.Figure == "gflops" {
		t.Figure = "GFLOP/s"
	}
	if s := sharing(first.Sharing); s != "" {
		t.GPU += ", " + s
	}
	var earlier, now []float64 // starts before the last point, and of it
	for _, s := range h.Starts {
		day, driver := s.Row.Started.UTC(), s.Driver()
		n := len(t.Points)
		if n == 0 || t.Points[n-1].Digest != s.Row.Digest || t.Points[n-1].Driver != driver ||
			t.Points[n-1].When.Format(time.DateOnly) != day.Format(time.DateOnly) {
			earlier, now = append(earlier, now...), nil
			t.Points = append(t.Points, Point{Digest: s.Row.Digest, Driver: driver, Now: current(s.Row.Digest), Low: s.Value, High: s.Value})
			n++
		}
		now = append(now, s.Value)
		p := &t.Points[n-1]
		p.When, p.Starts, p.Median = day, len(now), gpu.Median(now)
		p.Low, p.High = min(p.Low, s.Value), max(p.High, s.Value)
	}
	b := gpu.BaselineOf(earlier, h.Better)
	t.Starts, t.Median, t.Spread, t.Limit = b.Starts, b.Median, b.Spread, b.Limit
	t.Worse = b.Worse(gpu.Median(now))
	return t
}

// label names a trend in a sentence.
func (t Trend) label() string {
	return fmt.Sprintf("%s of %s by %s on %s", t.Figure, t.Test, t.Engine, cmp.Or(t.GPU, "a GPU"))
}

// slower reports whether the figures of the very image are beyond the limit.
func (t Trend) slower() bool { return t.Worse && t.Points[len(t.Points)-1].Now }

// fault is what a trend that is slower says against its image.
func (t Trend) fault() fault {
	beyond := "below"
	if t.Better == gpu.Lower {
		beyond = "above"
	}
	return fault{
		state: Warned, hint: "Run it again with --repeat 10, and look what changed.",
		why: fmt.Sprintf("is slower than before: %s is %.6g, %s the limit %.6g (median of %s %.6g)",
			t.label(), t.Points[len(t.Points)-1].Median, beyond, t.Limit, count(t.Starts, "start"), t.Median),
	}
}

// slow warns of images that are slower than before, if nothing worse is known of them.
func (m *maker) slow() {
	for _, t := range m.doc.Trends {
		i := slices.IndexFunc(m.doc.Images, func(img Image) bool { return img.ID == t.Image })
		if img := &m.doc.Images[i]; t.slower() && Warned.Worse(img.State) {
			f := t.fault()
			img.State, img.Why, img.Hint = f.state, f.why, sentence(f.hint)
		}
	}
}
