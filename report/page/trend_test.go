// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/report"
)

// TestTrend: a plot has its figures as a table too, whatever they are.
func TestTrend(t *testing.T) {
	t.Parallel()
	d := one()
	when := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	point := report.Point{When: when, Driver: "550", Digest: "sha256:0", Starts: 3, Median: 100, Low: 90, High: 110}
	now := point
	now.When, now.Now, now.Driver = when.AddDate(0, 0, 7), true, "580"
	for name, points := range map[string][]report.Point{"none": nil, "one": {point}, "two": {point, now}, "nothing but zero": {{}, {}}} {
		d.Trends = []report.Trend{{Image: d.Images[0].ID, Test: "nbody", Figure: "GFLOP/s", Better: "higher", Points: points, Starts: 3, Median: 100, Limit: 95}}
		html, _, _ := strings.Cut(written(t, d), `<script type="application/octet-stream"`)
		for _, m := range regexp.MustCompile(`text-anchor="end">([^<]*)</text>`).FindAllStringSubmatch(html, -1) {
			if !regexp.MustCompile(`^-?[0-9.,]*[125][0,]*$|^-?[0-9.,]*0$|^2026-11-08$`).MatchString(m[1]) {
				t.Errorf("%s: %s on the axis is no round number", name, m[1])
			}
		}
		if strings.Contains(html, "NaN") || strings.Contains(html, "Inf") {
			t.Errorf("%s: a place that is no number", name)
		}
		if strings.Count(html, `<th scope="row">2026-11`) != len(points) && name != "nothing but zero" {
			t.Errorf("%s: want a line of the table for each point", name)
		}
		if strings.Contains(html, `class="driver" d=`) != (name == "two") {
			t.Errorf("%s: another driver is to be marked, and only that", name)
		}
	}
}

// TestLongTrend: hosts with two drivers for a year mark each of them once, and the newest points are drawn.
func TestLongTrend(t *testing.T) {
	t.Parallel()
	d := one()
	var points []report.Point
	for i := range 365 {
		points = append(points, report.Point{When: time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC), Driver: []string{"550", "580"}[i%2], Starts: 1, Median: 100, Low: 100, High: 100})
	}
	d.Trends = []report.Trend{{Image: d.Images[0].ID, Test: "nbody", Figure: "GFLOP/s", Better: "higher", Points: points}}
	html, _, _ := strings.Cut(written(t, d), `<script type="application/octet-stream"`)
	if marks, drivers := strings.Count(html, `<circle class="earlier"`), strings.Count(html, `class="driver" d=`); marks != 100 || drivers != 1 {
		t.Errorf("%d points and %d drivers that came in, want 100 and 1", marks, drivers)
	}
	if !strings.Contains(html, "The newest 100 points: 265 earlier ones left out.") {
		t.Error("does not say how many points are left out")
	}
}
