// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/cudabuild/cudabuild/support"
)

// soon is how many days before an end it is to be known.
const soon = 90

// ends are the ends of images, and of the driver branches: those that hosts have, or that end soon. Where nothing ends soon the
// next end is there.
func (m *maker) ends() []Ending {
	all, at := []Ending{}, map[support.End]int{}
	add := func(end *support.End, ids, hosts []string) {
		if end == nil {
			return
		}
		days, dated := daysUntil(end, m.in.Today)
		ended := end.Past(m.in.Today)
		if !ended && !dated {
			return
		}
		i, known := at[*end]
		if !known {
			i = len(all)
			at[*end] = i
			all = append(all, Ending{End: *end, Ended: ended, Days: days, Images: []string{}, Hosts: []string{}})
		}
		all[i].Images, all[i].Hosts = append(all[i].Images, ids...), append(all[i].Hosts, hosts...)
	}
	for _, img := range m.doc.Images {
		add(img.Ends, []string{img.ID}, nil)
	}
	for _, d := range m.doc.Drivers {
		days, _ := daysUntil(cmp.Or(d.Ends, &support.End{}), m.in.Today)
		if len(d.Hosts) > 0 || !d.Ended && days <= soon {
			add(d.Ends, nil, d.Hosts)
		}
	}
	slices.SortStableFunc(all, func(a, b Ending) int {
		order := cmp.Compare(a.End.Date, b.End.Date)
		if a.Ended && b.Ended {
			order = -order // what has ended last comes first
		}
		return cmp.Or(cmp.Compare(b2i(a.Ended), b2i(b.Ended)), order, cmp.Compare(a.End.What, b.End.What))
	})
	near, ahead := 0, 0
	for _, e := range all {
		ahead += b2i(!e.Ended)
		near += b2i(!e.Ended && e.Days <= soon)
	}
	return slices.Delete(all, min(ahead, max(1, near)), ahead)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// daysUntil is false of an end without a date.
func daysUntil(end *support.End, today time.Time) (days int, dated bool) {
	last, err := time.Parse(time.DateOnly, end.Date)
	if err != nil {
		return 0, false
	}
	return int(last.Sub(today.UTC().Truncate(24*time.Hour)).Hours() / 24), true
}
