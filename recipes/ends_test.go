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
	for os, want := range map[string]string{
		"ubuntu24.04": "CUDA 13.1.0, by CUDA 13.1.9 ended",
		"ubi9":        "CUDA 13.1.0, with driver branch R590 ended", // 13.1.9 is not for it
	} {
		if end := find(t, c, os, "13.1.0").Ends; end.What+" "+end.Until() != want {
			t.Errorf("CUDA 13.1.0 on %s ends: %+v, want %s", os, end, want)
		}
	}
	r, _ := c.Recipe("plan9", "13.1.9")
	if ends := r.EndsAll(); ends[1] != nil {
		t.Errorf("plan9, of which nobody says it, ends %+v", ends[1])
	}
}

// TestPointReleases: a point release ends the ones before it where its vendor says that it is: on its own
// OSes and platforms, and not by what somebody else says.
func TestPointReleases(t *testing.T) {
	t.Parallel()
	const read, amd64 = "documents: {N: {title: its Dockerfiles, date: 2026-01-31}}\nread: {N: [ubuntu24.04", "os: {linux/amd64: [ubuntu24.04]}\n"
	const both = "os: {linux/amd64: [ubuntu24.04], linux/arm64: [ubuntu24.04]}\n"
	const copied = "documents: {N: {title: a copy, date: 2026-01-31, kind: copy}}\nwitness: {N: [ubuntu24.04]}\n"
	index := func(place, key string) string { return "  " + place + ": " + state(key) + "\n" }
	_, pins, _ := strings.Cut(strings.TrimSuffix(pointRelease, "admits:\n  - {branches: C@580}\n"), "pins:\n")
	for name, test := range map[string]struct {
		text string
		ends bool
	}{
		"read":                 {both + read + "]}\n", true},
		"one platform of two":  {amd64 + read + "]}\n", false},
		"read for one of two":  {both + read + " linux/arm64]}\n", false},
		"a copy":               {both + copied, false},
		"repositories":         {both + "index:\n" + index("ubuntu2404/x86_64", "3bf863cc") + index("ubuntu2404/sbsa", "3bf863cc"), true},
		"one repository":       {both + "index:\n" + index("ubuntu2404/x86_64", "3bf863cc"), false},
		"somebody's key":       {both + "index:\n" + index("ubuntu2404/x86_64", "00000001") + index("ubuntu2404/sbsa", "00000001"), false},
		"read, and repository": {both + read + " linux/arm64]}\nindex:\n" + index("ubuntu2404/x86_64", "3bf863cc"), true},
	} {
		c := load(t, dir(t, map[string]string{"toolkit/13.1.9.yaml": "cuda: \"13.1.9\"\n" + test.text + "pins:\n" + pins}))
		want := map[bool]string{true: "CUDA 13.1.0, by CUDA 13.1.9", false: "CUDA 13.1.0, with driver branch R590"}
		for os, ends := range map[string]bool{"ubuntu24.04": test.ends, "rockylinux9": false} {
			if end := find(t, c, os, "13.1.0").Ends; end.What != want[ends] {
				t.Errorf("%s: CUDA 13.1.0 on %s ends: %+v, want %s", name, os, end, want[ends])
			}
		}
	}
}

func TestWrongEnds(t *testing.T) {
	t.Parallel()
	line := strings.Count(pointRelease, "\n") + 1
	for said, want := range map[string]string{
		"{date: 2026-06-31, source: x}":           "8: ends: there is no 2026-06-31",
		"{date: 2026-13, source: x}":              "8: ends: there is no 2026-13",
		"{date: soon, source: x}":                 `14: date: "soon": want a day as YYYY-MM-DD, or YYYY-MM for the last one of a month`,
		"{date: 2026-6-3, source: x}":             `14: date: "2026-6-3": want a day as`,
		"{date: 0000-01-01, source: x}":           `14: date: "0000-01-01": want a day as`,
		"{source: x}":                             "1: ends: want a date such as 2026-06-30 or 2026-06",
		"{date: 2026-06, source: cahrt}":          `23: ends: no document is named "cahrt"`,
		"{date: 2026-06}":                         "1: ends: want source, who says so",
		"{driver: 535}":                           "1: ends: want source, who says so",
		"{driver: 615, source: x}":                "8: ends: want a driver branch whose end is known, and no date beside it, got 615",
		"{driver: 999, source: x}":                "8: ends: want a driver branch whose end is known, and no date beside it, got 999",
		"{driver: 536, source: x}":                "8: ends: want a driver branch whose end is known, and no date beside it, got 536",
		"{driver: 535, date: 2026-06, source: x}": "8: ends: want a driver branch whose end is known, and no date beside it, got 535",
	} {
		_, err := recipes.Load(dir(t, map[string]string{"toolkit/13.1.9.yaml": strings.ReplaceAll(pointRelease, "plan9, ", "") + "ends: " + said + "\n"}))
		if want = fmt.Sprintf("13.1.9.yaml:%d:%s", line, want); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ends: %s: %v, want %s", said, err, want)
		}
	}
}
