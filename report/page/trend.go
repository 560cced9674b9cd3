// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/cudabuild/cudabuild/report"
)

// mostPlots bounds the plots that stand on the page itself; each has some 3 kB.
const mostPlots = 12

// mostPoints bounds what a plot has room for, and the page for plots: hosts of a fleet make a point a day, and for each driver.
const mostPoints = 100

// The field of a plot, in units of its view box.
const (
	plotLeft, plotRight  = 56.0, 348.0
	plotTop, plotBottom  = 12.0, 128.0
	plotWidth, plotTotal = 360, 152
)

// plot is a trend with the places of everything on it.
type plot struct {
	report.Trend
	Width, Height int
	Left, Right   float64
	Top, Bottom   float64
	Marks         []plotPoint
	Ticks         []tick
	First, Last   string // days
	Older         int    // points before the first that is shown
	Based         bool   // there is a baseline
	Base, Edge    float64
}

type plotPoint struct {
	report.Point
	X, Y, Low, High float64 // Low and High are places too
	Other           bool    // the first with its driver, the first point of all apart
}

type tick struct {
	Y    float64
	Text string
}

// plots are those of the page, what is worse first, and how many there are beside these.
func plots(d *report.Document) (shown []plot, more int) {
	trends := slices.Clone(d.Trends)
	last := map[bool]int{true: 0, false: 1}
	slices.SortStableFunc(trends, func(a, b report.Trend) int {
		return cmp.Or(last[a.Worse]-last[b.Worse], len(b.Points)-len(a.Points))
	})
	for _, t := range trends[:min(mostPlots, len(trends))] {
		shown = append(shown, newPlot(t))
	}
	return shown, len(trends) - len(shown)
}

// round are two to five round numbers between two others: 1, 2 or 5 with noughts apart.
func round(low, high float64) (all []float64) {
	step := math.Pow(10, math.Floor(math.Log10(high-low)))
	switch n := (high - low) / step; { // 1 to 10
	case n < 2:
		step /= 2
	case n < 5:
	default:
		step *= 2
	}
	first := math.Ceil(low / step)
	for i := range 6 { // where numbers are too large to tell such steps apart, too
		if v := (first + float64(i)) * step; v <= high {
			all = append(all, v)
		}
	}
	return all
}

func newPlot(t report.Trend) plot {
	p := plot{
		Trend: t, Width: plotWidth, Height: plotTotal,
		Left: plotLeft, Right: plotRight, Top: plotTop, Bottom: plotBottom,
		Based: t.Starts > 0,
	}
	if len(t.Points) == 0 {
		return p
	}
	if p.Older = len(t.Points) - mostPoints; p.Older > 0 {
		t.Points = t.Points[p.Older:]
	}
	low, high := t.Points[0].Low, t.Points[0].High
	for _, point := range t.Points {
		low, high = min(low, point.Low), max(high, point.High)
	}
	if p.Based {
		low, high = min(low, t.Median, t.Limit), max(high, t.Median, t.Limit)
	}
	if low == high { // one figure: in the middle
		low, high = low-max(1, low/10), high+max(1, high/10)
	}
	room := (high - low) / 12
	low, high = low-room, high+room
	y := func(v float64) float64 { return plotBottom - (v-low)/(high-low)*(plotBottom-plotTop) }

	first, last := t.Points[0].When, t.Points[len(t.Points)-1].When
	x := func(when time.Time) float64 {
		if first.Equal(last) {
			return (plotLeft + plotRight) / 2
		}
		return plotLeft + 8 + float64(when.Sub(first))/float64(last.Sub(first))*(plotRight-plotLeft-16)
	}
	had := map[string]bool{}
	for i, point := range t.Points {
		other := i > 0 && !had[point.Driver]
		had[point.Driver] = true
		p.Marks = append(p.Marks, plotPoint{Point: point, X: x(point.When), Y: y(point.Median), Low: y(point.Low), High: y(point.High), Other: other})
	}
	for _, v := range round(low, high) {
		p.Ticks = append(p.Ticks, tick{y(v), number(v)})
	}
	p.First, p.Last = day(first), day(last)
	p.Base, p.Edge = y(t.Median), y(t.Limit)
	return p
}
