// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/spec"
	"github.com/cudabuild/cudabuild/support"
)

// ends is until when a vendor maintains an OS or a CUDA release, as its file says it.
type ends struct {
	Date   string `yaml:"date"`   // 2026-06-30, or 2026-06 for its last day
	Driver int    `yaml:"driver"` // in place of a date: the driver branch with which it ends
	// Source is who says so: a document of the repository by its short name, or in words.
	Source string `yaml:"source" form:"line"`
}

// check reports what is wrong with the key ends of a file.
func (e ends) check(f *spec.File) {
	if e == (ends{}) {
		return
	}
	const none = "take it out if nobody says it"
	_, ok := support.Day(e.Date)
	switch {
	case e.Driver != 0 && (e.Date != "" || compat.DriverEnd(strconv.Itoa(e.Driver)) == nil):
		f.At(f.Find("ends", "driver"), none, "ends: want a driver branch whose end is known, and no date beside it, got %d", e.Driver)
	case e.Driver == 0 && !ok:
		f.At(f.Find("ends", "date"), none, "ends: want a date such as 2026-06-30 or 2026-06, got %q", e.Date)
	case e.Source == "":
		f.At(f.Find("ends"), none, "ends: want source, who says so")
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

// end returns when a toolkit's images end, as it says itself, or else as its vendor's policy has it:
// when a newer point release is there, and with the driver branch that it shipped with.
func (t toolkitFile) end(s Source, newest string) *support.End {
	what := "CUDA " + t.CUDA
	if end := t.Ends.end(what, s); end != nil || s.Policy == "" {
		return end
	}
	policy := s.title(s.Policy)
	if compat.Compare(newest, t.CUDA) > 0 {
		return &support.End{What: fmt.Sprintf("%s, by CUDA %s", what, newest), Source: policy}
	}
	return withDriver(what, compat.FirstDriver(t.CUDA), policy)
}

// newestPoints returns the newest point release of each minor one, "12.8.1" for "12.8".
func newestPoints(toolkits []toolkitFile) map[string]string {
	newest := map[string]string{}
	for _, t := range toolkits {
		if of := minor(t.CUDA); compat.Compare(t.CUDA, cmp.Or(newest[of], "0")) > 0 {
			newest[of] = t.CUDA
		}
	}
	return newest
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
