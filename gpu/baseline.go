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
	// tenth is the rule below enough starts: from 0.9 of the median to the median over 0.9.
	tenth = 0.1
)

// Baseline is what earlier starts say of a figure.
type Baseline struct {
	Starts int     `json:"starts"` // it is a baseline from 10 on
	Median float64 `json:"median"` // 0, like the others, without starts
	Spread float64 `json:"spread"` // from the tenth percentile to the ninetieth
	Limit  float64 `json:"limit"`  // what is beyond is worse
	mirror float64 // the limit on the other side
	better string
}

// Enough says whether there are starts enough for a baseline.
func (b Baseline) Enough() bool { return b.Starts >= enough }

// Worse says whether v is beyond the limit.
func (b Baseline) Worse(v float64) bool { return b.Starts > 0 && beyond(v, b.Limit, b.better == Lower) }

// improved says whether v is as far off on the other side.
func (b Baseline) improved(v float64) bool {
	return b.Starts > 0 && beyond(v, b.mirror, b.better != Lower)
}

func beyond(v, limit float64, above bool) bool {
	if above {
		return v > limit
	}
	return v < limit
}

// baselineOf is the baseline of values, oldest first. A start that is far from those before
// it does not count, or a slowdown would hide itself by being seen, and an improvement would
// widen the spread until no slowdown is found; ten of them one after another, all worse or
// all better, are how things are now, and begin a new baseline.
func baselineOf(values []float64, better string) Baseline {
	var kept, aside []float64
	worse := false // whether those aside are
	for _, v := range values {
		b := measure(kept, better)
		switch is := b.Worse(v); {
		case !is && !b.improved(v):
			kept, aside = append(kept, v), nil
		case is != worse:
			aside, worse = []float64{v}, is
		default:
			aside = append(aside, v)
		}
		if len(aside) == enough {
			kept, aside = aside, nil
		}
	}
	return measure(kept, better)
}

// measure is the baseline of the newest of values.
func measure(values []float64, better string) Baseline {
	sorted := slices.Clone(values[max(0, len(values)-recent):])
	slices.Sort(sorted)
	n := len(sorted)
	if n == 0 {
		return Baseline{better: better}
	}
	b := Baseline{Starts: n, Median: middle(sorted), Spread: sorted[n-1-n/10] - sorted[n/10], better: better}
	size := math.Abs(b.Median)
	below, above := tenth*size, tenth*size/(1-tenth)
	if b.Enough() {
		below = max(floor*size, widths*b.Spread)
		above = below
	}
	b.Limit, b.mirror = b.Median-below, b.Median+above
	if better == Lower {
		b.Limit, b.mirror = b.mirror, b.Limit
	}
	return b
}

// median is that of one value or more.
func median(values []float64) float64 { return middle(slices.Sorted(slices.Values(values))) }

// middle is the median of what is sorted; the sum of two may be too large for a number.
func middle(sorted []float64) float64 {
	n := len(sorted)
	return sorted[(n-1)/2]/2 + sorted[n/2]/2
}
