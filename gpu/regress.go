// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// State is in what way a row is worse.
type State string

// The states. Flaky is what failed and then passed in the same circumstances: by itself it
// is no failure.
const (
	Broken State = "failed" // passed the last time
	Slower State = "slower" // a figure is beyond its limit
	Flaky  State = "flaky"
)

// Regression is one way in which a row is worse than what was seen before.
type Regression struct {
	Row    Row
	State  State
	Why    string
	Figure Compared // of what is slower
}

// Compared is a figure of a row beside its baseline.
type Compared struct {
	Row    Row
	Figure string
	Measured
	Baseline
}

// Compare compares the rows that a host has just shown with each other and with earlier
// ones. A row is compared with rows of the same cell (without one: the same digest), sample
// or test, engine and GPU model, whatever the driver and the image's digest: those are what
// changes. It is [Broken] if the newest of them passed and it did not, and [Slower] if one of
// its figures is beyond the limit that earlier starts set; figures are those that every
// passed row has, in the order of their names. Stand-ins are never compared with GPUs, nor
// clients that share a GPU with those that share it in another way, nor anything with dry rows.
func Compare(host Host, rows []Row, earlier []Observation) (worse []Regression, figures []Compared) {
	for i, row := range rows {
		if row.Dry {
			continue
		}
		before, now := alike(host, row, earlier), []Row{}
		for _, r := range rows {
			if keyOf(host, r) == keyOf(host, row) {
				now = append(now, r)
			}
		}
		if why := flaky(row, slices.Concat(before, now)); why != "" {
			if !slices.ContainsFunc(rows[i+1:], row.sameStart) {
				worse = append(worse, Regression{Row: row, State: Flaky, Why: why})
			}
		} else if why := broken(row, slices.Concat(before, now)); why != "" {
			worse = append(worse, Regression{Row: row, State: Broken, Why: why})
		}
		for _, c := range row.compare(before) {
			figures = append(figures, c)
			if c.Worse(c.Value) {
				worse = append(worse, Regression{Row: row, State: Slower, Why: c.why(), Figure: c})
			}
		}
	}
	return worse, figures
}

// alike are the rows that row is compared with, oldest first.
func alike(host Host, row Row, earlier []Observation) (rows []Row) {
	for _, o := range earlier {
		if o.Row.Started.Before(row.Started) && keyOf(o.Host, o.Row) == keyOf(host, row) {
			rows = append(rows, o.Row)
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return a.Started.Compare(b.Started) })
	return rows
}

type key struct {
	image, sample, test, engine, gpu string
	gpus                             int
	standIn, dry                     bool
	sharing                          Sharing
}

func keyOf(h Host, r Row) key {
	model := ""
	if len(h.GPUs) > 0 {
		model = h.GPUs[0].Name
	}
	if r.Under != nil {
		model = cmp.Or(r.Under.GPU, model)
	}
	return key{
		image: cmp.Or(r.Cell, r.Digest), sample: r.Sample, test: r.Test, engine: r.Engine, gpu: model,
		gpus: len(r.Devices), standIn: r.StandIn, dry: r.Dry, sharing: r.sharing(),
	}
}

// sharing is how the row's program shared its GPU, without what is another each time.
func (r Row) sharing() Sharing {
	if r.Sharing == nil {
		return Sharing{}
	}
	s := *r.Sharing
	s.Wall = 0
	return s
}

// broken says that row did not pass where the newest of those before it did.
func broken(row Row, rows []Row) string {
	var newest Row
	for _, r := range rows {
		if r.Started.Before(row.Started) && r.Started.After(newest.Started) {
			newest = r
		}
	}
	if newest.Result != Passed || row.Result == Passed {
		return ""
	}
	return fmt.Sprintf("passed on %s, now: %s (%s)", newest.Started.Format("2006-01-02"), row.Result, row.Reason)
}

// figures are the numbers of a row that can be compared, by their names.
func (r Row) figures() map[string]Measured {
	all := maps.Clone(r.Figures.Measured)
	if r.Figures.GFLOPS > 0 {
		if all == nil {
			all = map[string]Measured{}
		}
		all["gflops"] = Measured{Value: r.Figures.GFLOPS}
	}
	return all
}

// compare compares each figure of a row that passed with the same of those before it, of as
// many bodies.
func (r Row) compare(before []Row) (out []Compared) {
	if r.Result != Passed {
		return nil
	}
	figures := r.figures()
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		c := Compared{Row: r, Figure: name, Measured: figures[name]}
		var values []float64
		for _, b := range before {
			figure, ok := b.figures()[name]
			if ok && b.Result == Passed && figure.Better == c.Better && b.Figures.Bodies == r.Figures.Bodies && b.Figures.Precision == r.Figures.Precision {
				values = append(values, figure.Value)
			}
		}
		c.Baseline = baselineOf(values, c.Better)
		out = append(out, c)
	}
	return out
}

func (c Compared) why() string {
	beyond := "below"
	if c.Better == Lower {
		beyond = "above"
	}
	kind := "median of"
	if !c.Enough() {
		kind = "no baseline, median of"
	}
	return fmt.Sprintf("%s %.6g, %s the limit %.6g (%s %d starts %.6g, spread %.3g)", c.Figure, c.Value, beyond, c.Limit, kind, c.Starts, c.Median, c.Spread)
}
