// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

// newer is a point release of a minor one, newer than all that there will be of it.
func newer(minor string) string {
	return strings.NewReplacer("13.1.9\"", minor+".99\"", "plan9, ", "", "admits:\n  - {branches: C@580}\n", "").Replace(pointRelease)
}

// TestEnds: what a toolkit says itself, else a newer point release, else its driver branch; and
// the OS, if that ends earlier. Every end has a source.
func TestEnds(t *testing.T) {
	t.Parallel()
	c := load(t, dir(t, map[string]string{
		"toolkit/13.0.99.yaml": strings.ReplaceAll(newer("13.0"), "rockylinux9]", "rockylinux9, ubuntu22.04]"),
	}))
	for _, tt := range []struct{ os, cuda, want string }{
		{"ubuntu22.04", "12.2.2", "CUDA 12.2.2, with driver branch R535 until 2026-06-30"}, // by the chart
		{"ubuntu24.04", "12.6.2", "CUDA 12.6.2 until 2024-12-03"},
		{"ubuntu24.04", "13.0.0", "CUDA 13.0.0, by CUDA 13.0.99 ended"},
		{"ubuntu24.04", "13.0.99", "CUDA 13.0.99, with driver branch R580 until 2028-06-30"},
		{"ubuntu22.04", "13.0.99", "Ubuntu 22.04 until 2027-04-30"},
		{"ubuntu24.04", "13.3.1", "Ubuntu 24.04 until 2029-05-31"}, // it came with a new feature branch
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

// TestEndsOfOwnRecipes: what a file says of itself counts.
func TestEndsOfOwnRecipes(t *testing.T) {
	t.Parallel()
	c := load(t, dir(t, map[string]string{
		"toolkit/13.1.9.yaml": pointRelease + "ends: {date: 2031-02, source: \"a letter: of ours\"}\n", "os/plan9.yaml": newOS,
	}))
	if end := find(t, c, "rockylinux9", "13.1.9").Ends; end == nil || end.What+" "+end.Until() != "CUDA 13.1.9 until 2031-02-28" || end.Source != "a letter: of ours" {
		t.Errorf("CUDA 13.1.9 ends: %+v", end)
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
	_, pins, _ := strings.Cut(newer("13.4"), "pins:\n")
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
		c := load(t, dir(t, map[string]string{
			"toolkit/13.4.98.yaml": strings.ReplaceAll(newer("13.4"), "13.4.99", "13.4.98"),
			"toolkit/13.4.99.yaml": "cuda: \"13.4.99\"\n" + test.text + "pins:\n" + pins,
		}))
		for os, ends := range map[string]bool{"ubuntu24.04": test.ends, "rockylinux9": false} {
			end := find(t, c, os, "13.4.98").Ends
			if by := end != nil && end.What == "CUDA 13.4.98, by CUDA 13.4.99"; by != ends {
				t.Errorf("%s: CUDA 13.4.98 on %s ends: %+v, by the newer: want %v", name, os, end, ends)
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
