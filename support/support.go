// SPDX-License-Identifier: Apache-2.0

// Package support is until when somebody maintains what images are made of: a CUDA release, an
// operating system, a driver branch.
//
// [First] is which of several ends comes first, and [End.Past] whether it is behind us. Dates are
// data with a source; what day it is comes from the caller. What has no source has no end, which
// is a nil *End: not known, and not for ever.
package support

import (
	"cmp"
	"slices"
	"time"
)

// End is when something is maintained no more.
type End struct {
	// Date is the last day of it, "2026-06-30"; "" if it is over, and no source says since when.
	Date   string `json:"date,omitempty"`
	What   string `json:"what"`   // "Debian 11", "driver branch R535"
	Source string `json:"source"` // who says so
}

// Day returns the last day of a date or a month: "2026-06-30" of "2026-06". It returns false
// for what is neither.
func Day(s string) (day string, ok bool) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.Format(time.DateOnly), true
	}
	t, err := time.Parse("2006-01", s)
	if err != nil {
		return "", false
	}
	return t.AddDate(0, 1, -1).Format(time.DateOnly), true
}

// Past reports whether the end is before today, in UTC. An end that is not known is not.
func (e *End) Past(today time.Time) bool {
	return e != nil && e.Date < today.UTC().Format(time.DateOnly)
}

// Until says in a word or two when it ends, which is true on every day: "until 2026-06-30",
// "ended" or, of nil, "no end known".
func (e *End) Until() string {
	switch {
	case e == nil:
		return "no end known"
	case e.Date == "":
		return "ended"
	}
	return "until " + e.Date
}

// First returns the earliest end of those that are known, nil if none is. What is over since
// nobody says when comes before all dates.
func First(ends ...*End) *End {
	known := slices.DeleteFunc(slices.Clone(ends), func(e *End) bool { return e == nil })
	if len(known) == 0 {
		return nil
	}
	return slices.MinFunc(known, func(a, b *End) int { return cmp.Compare(a.Date, b.Date) })
}
