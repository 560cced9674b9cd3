// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/cudabuild/cudabuild/usertest"
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

// Compared is a figure beside its baseline: the median of the starts that were made now.
type Compared struct {
	Row    Row // the last of them
	Figure string
	Now    int // how many there were
	Measured
	Baseline
}

// Compare compares the rows that a host has just shown with each other and with earlier
// ones. A row is compared with rows of the same cell (without one: the same digest), sample
// or test, engine and GPU model, whatever the driver and the image's digest: those are what
// changes. It is [Broken] if the newest of them passed and it did not, and [Slower] if one of
// its figures is beyond the limit that earlier starts set. Figures are those of the rows that
// passed, in the order of their names; of repetitions the median counts, so that one start of
// many is not taken for all. Stand-ins are never compared with GPUs, nor
// clients that share a GPU with those that share it in another way, nor anything with dry rows.
func Compare(host Host, rows []Row, earlier []Observation) (worse []Regression, figures []Compared) {
	for i, row := range rows {
		if row.Dry {
			continue
		}
		other := func(r Row) bool { return r.Digest != row.Digest || keyOf(host, r) != keyOf(host, row) }
		same := func(r Row) bool { return !other(r) }
		before, now := alike(host, row, earlier), slices.DeleteFunc(slices.Clone(rows), other)
		last := !slices.ContainsFunc(rows[i+1:], same)
		if why := flaky(row, slices.Concat(before, now)); why == "" {
			if why := broken(row, slices.Concat(before, now)); why != "" {
				worse = append(worse, Regression{Row: row, State: Broken, Why: why})
			}
		} else if last {
			worse = append(worse, Regression{Row: row, State: Flaky, Why: why})
		}
		if !last {
			continue
		}
		for _, c := range compare(now, before) {
			figures = append(figures, c)
			if c.Worse(c.Value) {
				worse = append(worse, Regression{Row: c.Row, State: Slower, Why: c.why(), Figure: c})
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
	maps.DeleteFunc(all, func(_ string, m Measured) bool { return !usertest.Comparable(m.Value) })
	return all
}

// compare compares the figures of those of now that passed with those of before.
func compare(now, before []Row) (out []Compared) {
	now = slices.DeleteFunc(now, func(r Row) bool { return r.Result != Passed })
	if len(now) == 0 {
		return nil
	}
	row := now[len(now)-1]
	figures := row.figures()
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		c := Compared{Row: row, Figure: name, Measured: figures[name]}
		values := row.same(name, now)
		c.Now, c.Value = len(values), median(values)
		c.Baseline = baselineOf(row.same(name, before), c.Better)
		out = append(out, c)
	}
	return out
}

// same are the values of a figure of r in those rows that passed, of as many bodies.
func (r Row) same(name string, rows []Row) (values []float64) {
	for _, o := range rows {
		figure, ok := o.figures()[name]
		if ok && o.Result == Passed && figure.Better == r.figures()[name].Better && o.Figures.Bodies == r.Figures.Bodies && o.Figures.Precision == r.Figures.Precision {
			values = append(values, figure.Value)
		}
	}
	return values
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
	now := ""
	if c.Now > 1 {
		now = fmt.Sprintf(" (median of %d)", c.Now)
	}
	return fmt.Sprintf("%s %.6g%s, %s the limit %.6g (%s %d starts %.6g, spread %.3g)", c.Figure, c.Value, now, beyond, c.Limit, kind, c.Starts, c.Median, c.Spread)
}
