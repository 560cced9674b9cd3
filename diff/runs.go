// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"cmp"
	"context"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
	"github.com/cudabuild/cudabuild/verify/tree"
)

// Run is the run of one side.
type Run struct {
	Name   string // as the user wrote it
	Record *record.Run
	// Open returns an image of it by the digest of its manifest. Of one that it cannot open only what the record says is compared.
	Open func(ctx context.Context, digest string) (v1.Image, error)
	// Where is as for a Version.
	Where func(cell string) map[string]string
}

// Runs compares what two runs made. Its only error is that of ctx: images that cannot be read say so.
func Runs(ctx context.Context, old, now Run) (*Result, error) {
	c := runs{&comparison{&causes{}, tree.NewReader(), maxPaths}, old, now}
	r := &Result{Version: 1, Old: old.side(), New: now.side(), Images: []Image{}}
	was, is := cellsOf(old.Record), cellsOf(now.Record)
	for at, n := range is {
		i := slices.IndexFunc(was, n.same)
		o := unbuilt(old.Record, n)
		if i >= 0 {
			o = was[i]
			was = slices.Delete(was, i, i+1)
		}
		r.Images = append(r.Images, c.image(ctx, o, n))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if at+1 == len(is) || is[at+1].cell != n.cell {
			r.Images = c.appendList(r.Images, n.cell)
		}
	}
	for _, o := range was {
		r.Images = append(r.Images, c.image(ctx, o, unbuilt(now.Record, o)))
	}
	r.finish(c.all)
	return r, nil
}

func (r Run) side() Side {
	s := Side{Name: r.Name}
	for _, in := range r.Record.Inputs {
		if in.Date.After(s.Date) {
			s.Date = in.Date
		}
	}
	return s
}

// built is one image of a cell: that of a platform, or none where none was built.
type built struct {
	cell     *record.Cell
	platform string
	report   *verify.Report
}

// same reports whether two are the same cell and platform; where none was built, no platform is known.
func (m built) same(o built) bool {
	return m.cell.ID == o.cell.ID && (m.platform == o.platform || m.report == nil || o.report == nil)
}

func cellsOf(run *record.Run) (all []built) {
	for i := range run.Cells {
		c := &run.Cells[i]
		if len(c.Images) == 0 {
			all = append(all, built{c, "", nil})
		}
		for k := range c.Images {
			all = append(all, built{c, c.Images[k].Platform, &c.Images[k]})
		}
	}
	return all
}

// unbuilt is the cell of an image in another record where that has none of its images; without such a cell it is empty.
func unbuilt(run *record.Run, m built) built {
	for i := range run.Cells {
		if c := &run.Cells[i]; c.ID == m.cell.ID && len(c.Images) == 0 {
			return built{cell: c}
		}
	}
	return built{}
}

func (m built) digest() string {
	if m.report == nil {
		return ""
	}
	return m.report.Digest
}

func (m built) notes() *record.Made {
	for _, made := range m.cell.MadeOf(m.digest()) {
		return &made
	}
	return nil
}

// verdict is how far the cell came, and the verifier's word where that says more.
func (m built) verdict() string {
	switch {
	case m.cell == nil:
		return ""
	case m.cell.Status == record.Failed:
		return strings.TrimSuffix("failed at "+m.cell.Stage, " at ")
	case m.cell.Status == record.Passed && m.report != nil && m.report.Verdict != verify.Pass:
		return string(m.cell.Status) + ", " + string(m.report.Verdict)
	}
	return string(m.cell.Status)
}

// size is 0 where there is no image, or nobody noted the sizes of those of several platforms.
func (m built) size() int64 {
	if m.cell == nil || m.digest() == "" || len(m.cell.Images) > 1 {
		return 0
	}
	return m.cell.SizeBytes
}

// runs are two runs that are compared.
type runs struct {
	*comparison

	old, now Run
}

// image compares what two runs made of one cell; a side that has no such cell is empty.
func (c runs) image(ctx context.Context, o, n built) Image {
	is := blank()
	is.Platform = cmp.Or(n.platform, o.platform)
	is.OldDigest, is.NewDigest, is.OldVerdict, is.NewVerdict = o.digest(), n.digest(), o.verdict(), n.verdict()
	is.OldSize, is.NewSize = o.size(), n.size()
	switch {
	case o.cell == nil:
		is.Cell, is.State = n.cell.ID, Added
		return is
	case n.cell == nil:
		is.Cell, is.State = o.cell.ID, Removed
		return is
	}
	is.Cell = n.cell.ID
	is.Predictions, is.Rows = predictions(o.report, n.report), rows(o, n)
	is.TagsAdded, is.TagsRemoved = without(n.cell.Tags, o.cell.Tags), without(o.cell.Tags, n.cell.Tags)
	switch {
	case o.report != nil && is.OldDigest == "", n.report != nil && is.NewDigest == "":
		is.State, is.Why = Unread, "a record does not have its digest"
		return is
	case is.OldDigest == is.NewDigest: // or none was built
		return is
	case is.OldDigest == "":
		is.State = Built
		return is
	case is.NewDigest == "":
		is.State, is.Why = NotBuilt, n.cell.Reason
		return is
	}
	platform := is.Platform
	_ = c.compare(ctx, &is, c.old.version(ctx, is.OldDigest), c.now.version(ctx, is.NewDigest), compareMade(o.notes(), n.notes()))
	is.Platform = platform
	return is
}

// appendList adds that a cell lists its images otherwise, where all of them are the same and its digest is another one.
func (c runs) appendList(all []Image, cell *record.Cell) []Image {
	old := slices.IndexFunc(c.old.Record.Cells, func(o record.Cell) bool { return o.ID == cell.ID })
	differs := func(i Image) bool { return i.Cell == cell.ID && i.State != Same }
	if old < 0 || slices.ContainsFunc(all, differs) {
		return all
	}
	was := c.old.Record.Cells[old]
	if was.Digest == cell.Digest || was.Digest == "" || cell.Digest == "" || len(was.Images) != len(cell.Images) {
		return all
	}
	is := listImage(was.Digest, cell.Digest)
	is.Cell, is.Config = cell.ID, append(is.Config, c.otherwise("", ""))
	return append(all, is)
}

func (r Run) version(ctx context.Context, digest string) Version {
	img, err := r.Open(ctx, digest)
	return Version{Image: img, Err: err, Digest: digest, Where: r.Where}
}

// without are the words of one list that another lacks, sorted.
func without(these, others []string) []string {
	return append([]string{}, slices.Compact(slices.Sorted(slices.Values(only(these, others))))...)
}

// predictions are those that changed.
func predictions(old, now *verify.Report) []Prediction {
	all := []Prediction{}
	if old == nil || now == nil {
		return all
	}
	was := map[[2]string]verify.DriverGPU{}
	for _, p := range old.Portability.Predictions {
		was[[2]string{p.Driver, p.GPU}] = p
	}
	for _, p := range now.Portability.Predictions {
		key := [2]string{p.Driver, p.GPU}
		if o := was[key]; o.Verdict != p.Verdict {
			all = append(all, Prediction{p.Driver, p.GPU, string(o.Verdict), string(p.Verdict), p.Why})
		}
		delete(was, key)
	}
	for _, p := range old.Portability.Predictions {
		if o, gone := was[[2]string{p.Driver, p.GPU}]; gone {
			all = append(all, Prediction{p.Driver, p.GPU, string(o.Verdict), "", ""})
		}
	}
	return all
}

// rows are the tests whose newest result on a GPU changed. What was not seen on a GPU says nothing.
func rows(old, now built) []RowChange {
	was, is := newest(old), newest(now)
	all := []RowChange{}
	for key, o := range was {
		if n := is[key]; n != o {
			all = append(all, RowChange{key.Test, key.Engine, key.Driver, key.GPU, o, n})
		}
	}
	for key, n := range is {
		if _, ok := was[key]; !ok {
			all = append(all, RowChange{key.Test, key.Engine, key.Driver, key.GPU, "", n})
		}
	}
	slices.SortFunc(all, func(a, b RowChange) int {
		return cmp.Or(cmp.Compare(a.Test, b.Test), cmp.Compare(a.Engine, b.Engine), cmp.Compare(a.Driver, b.Driver), cmp.Compare(a.GPU, b.GPU))
	})
	return all
}

// newest are the newest results of the tests of an image.
func newest(m built) map[RowChange]string {
	all := map[RowChange]string{}
	for _, r := range m.cell.Rows { // oldest first
		o := gpu.Observation{Host: r.Host, Row: r.Row}
		if o.Discount() != "" || !m.has(r.Row) {
			continue
		}
		key := RowChange{Test: r.Sample, Engine: r.Engine, Driver: o.Driver()}
		key.GPU, _ = o.Device()
		all[key] = string(r.Result)
	}
	return all
}

// has reports whether a row is of the image, not of an earlier one of the cell or one of another platform. Of a row that names
// but the index, as old ones do, nobody knows the platform: it is of all.
func (m built) has(r gpu.Row) bool {
	if m.report == nil {
		return false
	}
	if r.Config != "" && m.report.Config != "" {
		return r.Config == m.report.Config
	}
	return r.Digest == m.report.Digest || r.Digest == m.cell.Digest
}
