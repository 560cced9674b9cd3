// SPDX-License-Identifier: Apache-2.0

package reporttest

import (
	"fmt"
	"time"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/report"
)

// summary makes what a document says of all of its images.
func (b *big) summary() {
	states := map[report.State][]string{}
	for _, i := range b.Images {
		states[i.State] = append(states[i.State], i.ID)
	}
	b.Verdict = report.Verdict{State: report.Bad, Sentence: fmt.Sprintf("%d of %d images are built, verified and tagged; %d failed.",
		len(states[report.Good])+len(states[report.Warned]), len(b.Images), len(states[report.Bad]))}
	b.Todo = append(b.Todo, report.Item{
		State: report.Bad, Kind: "cell", Text: fmt.Sprintf("%d images hold a file of driver 550.54.14", len(states[report.Bad])),
		Do: "install cuda-cudart in place of cuda-drivers", Images: states[report.Bad],
	})
	b.runs()
	b.ending()
	b.trends()
	b.changes()
}

// runs adds what each driver branch cannot run.
func (b *big) runs() {
	for d, driver := range b.Drivers {
		if driver.Ended {
			continue
		}
		var fails []string
		for _, i := range b.Images {
			if len(i.Platforms) > 0 && len(i.Platforms[0].Grid) > 0 && b.Answers[i.Platforms[0].Grid[d*len(b.GPUs)]].Runs == "no" {
				fails = append(fails, i.ID)
			}
		}
		if len(fails) > 0 {
			b.Todo = append(b.Todo, report.Item{
				State: report.Warned, Kind: "fails-on", Text: fmt.Sprintf("%d images do not run on R%s", len(fails), driver.Branch), Images: fails,
			})
		}
	}
}

// ending groups images by what ends.
func (b *big) ending() {
	b.Ends = []report.Ending{}
	for _, i := range b.Images {
		if i.Ends == nil {
			continue
		}
		at, ok := b.ends[*i.Ends]
		if !ok {
			at = len(b.Ends)
			b.ends[*i.Ends] = at
			e := report.Ending{End: *i.Ends, Ended: i.Ended, Images: []string{}}
			if day, err := time.Parse(time.DateOnly, i.Ends.Date); err == nil {
				e.Days = int(day.Sub(b.Made).Hours() / 24)
			}
			b.Ends = append(b.Ends, e)
		}
		b.Ends[at].Images = append(b.Ends[at].Images, i.ID)
	}
}

// trends adds a year of figures for the images that have rows that count, twelve at most.
func (b *big) trends() {
	for _, i := range b.Images {
		if len(i.Rows) == 0 || i.Kind != "nbody" || len(b.Trends) == 12 {
			continue
		}
		t := report.Trend{
			Image: i.ID, Test: "nbody", Engine: "direct", GPU: "Stand-in H100", Figure: "GFLOP/s", Better: "higher",
			Starts: 60, Median: 37_800, Spread: 240, Limit: 37_080, Points: []report.Point{},
		}
		for month := range 12 {
			n := number(fmt.Sprint(i.ID, month))
			median := 37_800 + float64(n%600) - 300
			p := report.Point{When: today.AddDate(0, month-11, 0), Digest: digest(fmt.Sprint(i.ID, month/4)), Driver: "580.159.04", Starts: 5, Median: median, Low: median - 150, High: median + 150}
			if month < 5 {
				p.Driver = "535.159.04"
			}
			if p.Now = month == 11; p.Now {
				p.Digest = i.Digest
			}
			t.Points = append(t.Points, p)
		}
		b.Trends = append(b.Trends, t)
	}
}

// changes says that the packages of every tenth image are newer than they were.
func (b *big) changes() {
	r := diff.Result{
		Version: 1, Old: diff.Side{Name: "stand-in/before.json", Date: today.AddDate(0, 0, -7)}, New: diff.Side{Name: "stand-in/run.json", Date: today},
		Causes: []diff.Cause{{Kind: diff.Package, What: "bash 5.2.15-2+b9 -> 5.2.15-2+b10"}, {Kind: diff.Date, What: "the mirror's lists are of 2026-11-28, were of 2026-11-21"}},
	}
	for at, i := range b.Images {
		for _, p := range i.Platforms {
			c := diff.Image{
				Cell: i.ID, Platform: p.Platform, State: diff.Same, OldDigest: p.Digest, NewDigest: p.Digest, OldSize: i.Before.SizeBytes, NewSize: i.SizeBytes,
				OldVerdict: "passed", NewVerdict: i.Status, TagsAdded: []string{}, TagsRemoved: []string{}, Causes: []int{}, Packages: []diff.PackageChange{}, Files: []diff.FileChange{},
				Config: []diff.ValueChange{}, Predictions: []diff.Prediction{}, Rows: []diff.RowChange{},
			}
			if at%10 == 0 {
				c.State, c.OldDigest, c.Causes = diff.Changed, digest("before "+i.ID+p.Platform), []int{0, 1}
				c.Packages = append(c.Packages, diff.PackageChange{Manager: "dpkg", Name: "bash", Arch: "amd64", Old: "5.2.15-2+b9", New: "5.2.15-2+b10", Cause: 0})
				c.Files = append(c.Files, diff.FileChange{Path: "usr/bin/bash", How: "content", Cause: 0}, diff.FileChange{Path: "etc/apt/sources.list", How: "time", Cause: 1})
				r.Causes[0].Changes += 2
				r.Causes[1].Changes++
			}
			r.Images = append(r.Images, c)
		}
	}
	b.Changes = &r
}
