// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"cmp"
	"fmt"
	"slices"
)

// slowest is how much of its own median a run of nbody must reach.
const slowest = 0.9

// Regression is one row that is worse than what was seen before.
type Regression struct {
	Row Row
	Why string
}

// Regressions compares new rows of a host with those of a baseline. A row is
// compared with rows of the same cell (without one: the same digest), sample, engine
// and GPU model, whatever the driver and the image's digest: those are what changes.
// It regressed if the newest of them passed and it did not, or if nbody reached less
// than 0.9 of their median on as many bodies and GPUs. Stand-ins are never compared
// with GPUs, nor what ran with what was only loaded, nor clients that share a GPU with those that share it in another way.
func Regressions(host Host, rows []Row, baseline []Observation) []Regression {
	var worse []Regression
	for _, row := range rows {
		var before []Row
		for _, o := range baseline {
			if keyOf(o.Host, o.Row) == keyOf(host, row) && o.Row.Started.Before(row.Started) {
				before = append(before, o.Row)
			}
		}
		if why := compare(row, before); why != "" {
			worse = append(worse, Regression{Row: row, Why: why})
		}
	}
	return worse
}

type key struct {
	image, sample, engine, gpu string
	gpus                       int
	standIn, dry               bool
	sharing                    Sharing
}

func keyOf(h Host, r Row) key {
	model := ""
	if len(h.GPUs) > 0 {
		model = h.GPUs[0].Name
	}
	k := key{image: cmp.Or(r.Cell, r.Digest), sample: r.Sample, engine: r.Engine, gpu: model, gpus: len(r.Devices), standIn: r.StandIn, dry: r.Dry}
	if s := r.Sharing; s != nil {
		k.sharing = Sharing{By: s.By, Clients: s.Clients, Threads: s.Threads}
	}
	return k
}

func compare(row Row, before []Row) string {
	if len(before) == 0 {
		return ""
	}
	newest := slices.MaxFunc(before, func(a, b Row) int { return a.Started.Compare(b.Started) })
	if newest.Result == Passed && row.Result != Passed {
		return fmt.Sprintf("passed on %s, now: %s (%s)", newest.Started.Format("2006-01-02"), row.Result, row.Reason)
	}
	var speeds []float64
	for _, b := range before {
		if b.Result == Passed && b.Figures.Bodies == row.Figures.Bodies && b.Figures.Precision == row.Figures.Precision && b.Figures.GFLOPS > 0 {
			speeds = append(speeds, b.Figures.GFLOPS)
		}
	}
	if median := median(speeds); row.Result == Passed && row.Figures.GFLOPS < slowest*median {
		return fmt.Sprintf("%.0f GFLOP/s, the median of %d earlier runs is %.0f", row.Figures.GFLOPS, len(speeds), median)
	}
	return ""
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}
