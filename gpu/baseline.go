// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"math"
	"slices"
)

// The rule of a baseline; docs/baseline.md has what it finds and how often it is wrong.
const (
	enough = 10   // starts that make a baseline
	recent = 30   // starts that it is of, the newest
	floor  = 0.03 // of the median: ten starts on one machine can be alike where another machine's are not
	widths = 3    // spreads from the median to the limit
	// tenth is the rule below enough starts: 0.9 of the median, or the median over 0.9.
	tenth = 0.1
)

// Baseline is what earlier starts say of a figure.
type Baseline struct {
	Starts int     `json:"starts"` // it is a baseline from 10 on
	Median float64 `json:"median"` // 0, like the others, without starts
	Spread float64 `json:"spread"` // from the tenth percentile to the ninetieth
	Limit  float64 `json:"limit"`  // what is beyond is worse
	better string
}

// Enough says whether there are starts enough for a baseline.
func (b Baseline) Enough() bool { return b.Starts >= enough }

// Worse says whether v is beyond the limit.
func (b Baseline) Worse(v float64) bool {
	if b.better == Lower {
		return b.Starts > 0 && v > b.Limit
	}
	return b.Starts > 0 && v < b.Limit
}

// baselineOf is the baseline of values, oldest first. A start beyond the limit of those
// before it does not count, or a slowdown would hide itself by being seen; ten of them one
// after another are how things are now, and begin a new baseline.
func baselineOf(values []float64, better string) Baseline {
	var kept, beyond []float64
	for _, v := range values {
		if len(kept) >= enough && measure(kept, better).Worse(v) {
			if beyond = append(beyond, v); len(beyond) < enough {
				continue
			}
			kept = beyond
		} else {
			kept = append(kept, v)
		}
		beyond = nil
	}
	return measure(kept, better)
}

// measure is the baseline of the newest of values.
func measure(values []float64, better string) Baseline {
	sorted := slices.Sorted(slices.Values(values[max(0, len(values)-recent):]))
	n := len(sorted)
	if n == 0 {
		return Baseline{better: better}
	}
	b := Baseline{Starts: n, Median: median(sorted), Spread: sorted[n-1-n/10] - sorted[n/10], better: better}
	far := math.Max(floor*math.Abs(b.Median), widths*b.Spread)
	switch {
	case !b.Enough() && better == Lower:
		far = math.Abs(b.Median) * tenth / (1 - tenth)
	case !b.Enough():
		far = math.Abs(b.Median) * tenth
	}
	if better == Lower {
		far = -far
	}
	b.Limit = b.Median - far
	return b
}

// median is that of one value or more.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
