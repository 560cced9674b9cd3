// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestRetryAfterHeader(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"30", "", 30 * time.Second},
		{"0", "", 0},
		{"-1", "", 0},
		{"soon", "", 0},
		{"1.5", "", 0},
		{"99999999999999999999", "", 0},
		{"Sun, 29 Nov 2026 12:01:00 GMT", "", time.Minute},
		{"Sun, 29 Nov 2026 11:59:00 GMT", "", 0},
		{"Sun, 29 Nov 2026 13:01:00 GMT", "Sun, 29 Nov 2026 13:00:30 GMT", 30 * time.Second}, // its clock is an hour ahead
	} {
		resp := &http.Response{Header: http.Header{"Retry-After": {tc.value}, "Date": {tc.date}}}
		if got := retryAfter(resp, now); got != tc.want {
			t.Errorf("Retry-After %q, Date %q: %v, want %v", tc.value, tc.date, got, tc.want)
		}
	}
}

// TestHold: one wait is bounded, and so are all of them until something succeeds.
func TestHold(t *testing.T) {
	t.Parallel()
	var lines []string
	p := newPace(firstPause, func(line string) { lines = append(lines, line) })
	hour := failure{host: "ghcr.io", verdict: busy, status: 429, named: time.Hour}
	for range 4 {
		if !p.hold(hour) || time.Until(p.until) > maxWait {
			t.Fatalf("until %v, waited %v", p.until, p.waited)
		}
		p.hold(hour) // another request is told the same
		p.until = time.Time{}
	}
	if p.waited += time.Minute; p.hold(hour) {
		t.Errorf("waits again after %v", p.waited)
	}
	if len(lines) != 4 || lines[0] != "ghcr.io asks to wait 1h0m0s (429); trying again in 2m0s" {
		t.Errorf("said %q", lines)
	}
	p.answered(&http.Request{Method: http.MethodGet, URL: &url.URL{}}, http.StatusOK)
	if !p.hold(failure{host: "ghcr.io", verdict: busy, status: 403, named: 30 * time.Second}) || !strings.HasSuffix(lines[4], "ghcr.io asks to wait 30s (403)") {
		t.Errorf("said %q", lines)
	}
}

// TestPause: pauses grow up to a bound, and those that people notice are said.
func TestPause(t *testing.T) {
	t.Parallel()
	var lines []string
	p := newPace(firstPause, func(line string) { lines = append(lines, line) })
	for n := range 2000 {
		p.failures = n + 1
		d := p.pause(failure{host: "r", status: 503})
		most := min(firstPause<<min(n, 10), longest*firstPause)
		if d < most/2 || d > most {
			t.Fatalf("pause %d is %v, want up to %v", n, d, most)
		}
	}
	if len(lines) < 1900 || !strings.HasPrefix(lines[len(lines)-1], "r answers 503; trying again in ") {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}
