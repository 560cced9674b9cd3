// SPDX-License-Identifier: Apache-2.0

package support_test

import (
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/support"
)

func TestDay(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"2026-08-31": "2026-08-31", "2026-06": "2026-06-30", "2024-02": "2024-02-29", "2026-12": "2026-12-31",
		"2026-02-30": "", "2026": "", "": "", "June 2026": "", "2026-13": "",
	} {
		if got, ok := support.Day(said); got != want || ok != (want != "") {
			t.Errorf("Day(%q) = %q, %v, want %q", said, got, ok, want)
		}
	}
}

// TestPast: the last day is a day of support, wherever the clock stands.
func TestPast(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 10*60*60)
	end := &support.End{Date: "2026-06-30"}
	for _, tt := range []struct {
		end   *support.End
		today time.Time
		want  bool
	}{
		{end, time.Date(2026, 6, 30, 23, 59, 0, 0, time.UTC), false},
		{end, time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), true},
		{end, time.Date(2026, 7, 1, 9, 0, 0, 0, east), false},
		{&support.End{}, time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), true},
		{nil, time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC), false},
	} {
		if got := tt.end.Past(tt.today); got != tt.want {
			t.Errorf("%+v.Past(%v) = %v, want %v", tt.end, tt.today, got, tt.want)
		}
	}
}

func TestFirst(t *testing.T) {
	t.Parallel()
	over, early, late := &support.End{What: "over"}, &support.End{Date: "2026-06-30"}, &support.End{Date: "2028-06-30"}
	for _, tt := range []struct {
		ends []*support.End
		want *support.End
	}{
		{nil, nil},
		{[]*support.End{nil, nil}, nil},
		{[]*support.End{late, nil, early}, early},
		{[]*support.End{early, over}, over},
	} {
		if got := support.First(tt.ends...); got != tt.want {
			t.Errorf("First(%v) = %v, want %v", tt.ends, got, tt.want)
		}
	}
	for end, want := range map[*support.End]string{nil: "no end known", over: "ended", early: "until 2026-06-30"} {
		if got := end.Until(); got != want {
			t.Errorf("%v.Until() = %q, want %q", end, got, want)
		}
	}
}
