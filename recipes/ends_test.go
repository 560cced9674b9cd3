// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

// TestEnds: what a toolkit says itself, else a newer point release, else its driver branch; and
// the OS, if that ends earlier. Every end has a source.
func TestEnds(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tt := range []struct{ os, cuda, want string }{
		{"ubuntu22.04", "12.2.2", "CUDA 12.2.2, with driver branch R535 until 2026-06-30"}, // by the chart
		{"ubuntu24.04", "12.6.2", "CUDA 12.6.2 until 2024-12-03"},
		{"ubuntu24.04", "12.8.0", "CUDA 12.8.0, by CUDA 12.8.1 ended"},
		{"ubuntu24.04", "13.0.2", "CUDA 13.0.2, with driver branch R580 until 2028-06-30"},
		{"ubuntu22.04", "13.0.2", "Ubuntu 22.04 until 2027-04-30"},
		{"debian12", "11.8", "Debian 12 until 2028-06-30"},
	} {
		r, ok := c.Recipe(tt.os, tt.cuda)
		if !ok {
			t.Fatalf("no recipe for CUDA %s on %s", tt.cuda, tt.os)
		}
		end := r.Ends()
		if end == nil || end.What+" "+end.Until() != tt.want {
			t.Errorf("CUDA %s on %s ends: %+v, want %s", tt.cuda, tt.os, end, tt.want)
		}
	}
	for _, name := range c.OSNames() {
		for _, cuda := range c.CUDAFor(name) {
			r, _ := c.Recipe(name, cuda)
			for _, end := range r.EndsAll() {
				if end != nil && (end.Source == "" || strings.HasPrefix(end.Source, ";")) {
					t.Errorf("CUDA %s on %s: %+v has no source", cuda, name, end)
				}
			}
		}
	}
}

// TestEndsOfOwnRecipes: a point release that somebody adds ends the one before it, and what a file says
// of itself counts.
func TestEndsOfOwnRecipes(t *testing.T) {
	t.Parallel()
	c := load(t, dir(t, map[string]string{
		"toolkit/13.1.9.yaml": pointRelease + "ends: {date: 2031-02, source: \"a letter: of ours\"}\n", "os/plan9.yaml": newOS,
	}))
	for cuda, want := range map[string]string{"13.1.0": "CUDA 13.1.0, by CUDA 13.1.9 ended", "13.1.9": "CUDA 13.1.9 until 2031-02-28"} {
		if end := find(t, c, "rockylinux9", cuda).Ends; end == nil || end.What+" "+end.Until() != want {
			t.Errorf("CUDA %s ends: %+v, want %s", cuda, end, want)
		}
	}
	r, _ := c.Recipe("plan9", "13.1.9")
	if ends := r.EndsAll(); ends[1] != nil {
		t.Errorf("plan9, of which nobody says it, ends %+v", ends[1])
	}
}

func TestWrongEnds(t *testing.T) {
	t.Parallel()
	line := strings.Count(pointRelease, "\n") + 1
	for said, want := range map[string]string{
		"{date: 2026-06-31, source: x}":           `8: ends: want a date such as 2026-06-30 or 2026-06, got "2026-06-31"`,
		"{date: soon, source: x}":                 `8: ends: want a date such as 2026-06-30 or 2026-06, got "soon"`,
		"{source: x}":                             `1: ends: want a date such as 2026-06-30 or 2026-06, got ""`,
		"{date: 2026-06}":                         "1: ends: want source, who says so",
		"{driver: 535}":                           "1: ends: want source, who says so",
		"{driver: 615, source: x}":                "8: ends: want a driver branch whose end is known, and no date beside it, got 615",
		"{driver: 535, date: 2026-06, source: x}": "8: ends: want a driver branch whose end is known, and no date beside it, got 535",
	} {
		_, err := recipes.Load(dir(t, map[string]string{"toolkit/13.1.9.yaml": strings.ReplaceAll(pointRelease, "plan9, ", "") + "ends: " + said + "\n"}))
		if want = fmt.Sprintf("13.1.9.yaml:%d:%s", line, want); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ends: %s: %v, want %s", said, err, want)
		}
	}
}
