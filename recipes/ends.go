// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
	"github.com/cudabuild/cudabuild/support"
)

// ends is until when a vendor maintains an OS or a CUDA release, as its file says it.
type ends struct {
	Date   string `yaml:"date" form:"day"` // 2026-06-30, or 2026-06 for its last day
	Driver int    `yaml:"driver"`          // in place of a date: the driver branch with which it ends
	// Source is who says so: a document of the repository by its short name, or in words.
	Source string `yaml:"source" form:"line"`
}

// check reports what is wrong with the key ends of a file about something of the source.
func (e ends) check(f *spec.File, s Source) {
	if e == (ends{}) {
		return
	}
	const none = "take it out if nobody says it"
	_, ok := support.Day(e.Date)
	near := suggest.Nearest(e.Source, sortedKeys(s.Documents), 1)
	switch {
	case e.Driver != 0 && (e.Date != "" || !slices.Contains(compat.Branches(), e.Driver) || compat.DriverEnd(strconv.Itoa(e.Driver)) == nil):
		f.At(f.Find("ends", "driver"), none, "ends: want a driver branch whose end is known, and no date beside it, got %d", e.Driver)
	case e.Driver == 0 && e.Date == "":
		f.At(f.Find("ends"), none, "ends: want a date such as 2026-06-30 or 2026-06")
	case e.Driver == 0 && !ok:
		f.At(f.Find("ends", "date"), "write a day that there is", "ends: there is no %s", e.Date)
	case e.Source == "":
		f.At(f.Find("ends"), none, "ends: want source, who says so")
	case len(near) > 0 && !slices.Contains(near, e.Source):
		f.At(f.Find("ends", "source"), suggest.Hint(e.Source, near), "ends: no document is named %q", e.Source)
	}
}

// end returns what the file says of a thing of that name, nil if it says nothing.
func (e ends) end(what string, s Source) *support.End {
	source := s.title(e.Source)
	if e.Driver != 0 {
		return withDriver(what, strconv.Itoa(e.Driver), source)
	}
	day, ok := support.Day(e.Date)
	if !ok {
		return nil
	}
	return &support.End{Date: day, What: what, Source: source}
}

// withDriver is the end of what ends with the branch of a driver.
func withDriver(what, driver, source string) *support.End {
	end := compat.DriverEnd(driver)
	if end == nil {
		return nil
	}
	return &support.End{Date: end.Date, What: fmt.Sprintf("%s, with %s", what, end.What), Source: source + "; " + end.Source}
}

// title is a document by its title and date; what is no document's name stays.
func (s Source) title(name string) string {
	if d, ok := s.Documents[name]; ok {
		return d.Title + ", " + d.Date
	}
	return name
}

// end returns when a toolkit's images of an OS end, as it says itself, or else as its vendor's policy
// has it: when a newer point release is there on all of their platforms, and with the driver
// branch that it shipped with.
func (t toolkitFile) end(s Source, os string, newest map[point]string) *support.End {
	what := "CUDA " + t.CUDA
	if end := t.Ends.end(what, s); end != nil || s.Policy == "" {
		return end
	}
	policy := s.title(s.Policy)
	if by := t.replaced(s, os, newest); by != "" {
		return &support.End{What: fmt.Sprintf("%s, by CUDA %s", what, by), Source: policy}
	}
	if compat.NewFeature(compat.FirstDriver(t.CUDA)) {
		return nil // the vendor's chart has none end with such a branch, and says of this one nothing
	}
	return withDriver(what, compat.FirstDriver(t.CUDA), policy)
}

// point is what a point release is the newest of.
type point struct{ source, minor, os, platform string }

// newestPoints returns the newest point release of each that its vendor says is there.
func newestPoints(c *Catalog, toolkits []toolkitFile) map[point]string {
	newest := map[point]string{}
	for _, t := range toolkits {
		s := c.sources[t.source(c)]
		for os, platforms := range t.systems() {
			for _, platform := range platforms {
				of := point{s.Name, minor(t.CUDA), os, platform}
				if t.exists(s, c.os[os], platform) && compat.Compare(t.CUDA, cmp.Or(newest[of], "0")) > 0 {
					newest[of] = t.CUDA
				}
			}
		}
	}
	return newest
}

// exists reports whether the vendor says that there is the release for an OS on a platform: a
// document of it was read, for that or for no platform in particular, or its repository has it.
// A copy makes no other release old.
func (t toolkitFile) exists(s Source, o OS, platform string) bool {
	for _, items := range t.Read {
		for _, item := range items {
			if os, on := place(item); on == "" || os == o.Name && on == platform {
				return true
			}
		}
	}
	return slices.ContainsFunc(s.placed(o, platform), func(p Placed) bool {
		return s.vouches(t.Index[p.Place].Key, p.Address, o.Repository)
	})
}

// replaced returns the newer point release that is there for the OS on all platforms on which the
// toolkit is, "" if one lacks it.
func (t toolkitFile) replaced(s Source, os string, newest map[point]string) (by string) {
	for _, platform := range t.systems()[os] {
		newer := cmp.Or(newest[point{s.Name, minor(t.CUDA), os, platform}], "0")
		if compat.Compare(newer, t.CUDA) <= 0 {
			return ""
		}
		if by == "" || compat.Compare(newer, by) < 0 {
			by = newer
		}
	}
	return by
}

// Ends returns when its images end: with the CUDA release or with the OS, whichever comes first.
// It is nil if no source says it of either.
func (r *Recipe) Ends() *support.End { return support.First(r.EndsAll()...) }

// End returns when the OS ends, nil if no source says it.
func (o OS) End() *support.End { return o.Ends.end(o.Title, Source{}) }

// EndsAll returns the ends of the CUDA release and of the OS, each nil if it is not known.
func (r *Recipe) EndsAll() []*support.End {
	return []*support.End{r.Release.Ends, r.OS.Ends.end(r.OS.Title, r.Source)}
}
