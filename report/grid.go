// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/verify"
)

// columns fills Drivers and GPUs: all for which something was predicted, and all on which something was seen.
func (m *maker) columns() {
	drivers, archs := map[string]*Driver{}, map[string]*GPU{}
	driver := func(version string) *Driver {
		branch := branchOf(version)
		if drivers[branch] == nil {
			end := compat.DriverEnd(branch)
			drivers[branch] = &Driver{Branch: branch, Ends: end, Ended: end.Past(m.in.Today), Seen: []string{}}
		}
		return drivers[branch]
	}
	arch := func(name string) *GPU {
		if archs[name] == nil {
			target, _ := compat.ParseTarget(name)
			archs[name] = &GPU{Arch: name, Name: target.Name(), Seen: []string{}}
		}
		return archs[name]
	}
	predicted := map[[2]string]bool{}
	for _, c := range m.in.Run.Cells {
		for _, r := range c.Images {
			for _, p := range m.report(r).Portability.Predictions {
				if d := driver(p.Driver); compat.Compare(p.Driver, d.Version) > 0 {
					d.Version = p.Driver
				}
				arch(p.GPU)
				predicted[[2]string{branchOf(p.Driver), p.GPU}] = true
			}
		}
	}
	m.allRows(func(o gpu.Observation) {
		version := o.Driver()
		if o.Row.StandIn || o.Host.StandIn || o.Row.Dry || !compat.IsVersion(version) {
			return
		}
		addTo(&driver(version).Seen, version)
		if model, name := o.Device(); name != "" {
			addTo(&arch(name).Seen, model)
		}
	})
	m.doc.Drivers, m.doc.GPUs = []Driver{}, []GPU{}
	for _, d := range drivers {
		slices.SortFunc(d.Seen, compat.Compare)
		d.Hosts = m.hosts(d.Branch)
		m.doc.Drivers = append(m.doc.Drivers, *d)
	}
	for _, g := range archs {
		slices.Sort(g.Seen)
		m.doc.GPUs = append(m.doc.GPUs, *g)
	}
	slices.SortFunc(m.doc.Drivers, func(a, b Driver) int { return compat.Compare(a.Branch, b.Branch) })
	slices.SortFunc(m.doc.GPUs, func(a, b GPU) int {
		x, _ := compat.ParseTarget(a.Arch)
		y, _ := compat.ParseTarget(b.Arch)
		return cmp.Or(compat.CompareTargets(x, y), cmp.Compare(a.Arch, b.Arch))
	})
	m.exists = make([]bool, len(m.doc.Drivers)*len(m.doc.GPUs))
	for i, d := range m.doc.Drivers {
		for j, g := range m.doc.GPUs {
			target, _ := compat.ParseTarget(g.Arch)
			known := compat.Predict(compat.Needs{}, compat.Host{Driver: d.host(), GPU: target}).Verdict.Runs()
			m.exists[i*len(m.doc.GPUs)+j] = known || predicted[[2]string{d.Branch, g.Arch}]
		}
	}
}

// host is the driver of it that predictions are for.
func (d Driver) host() string {
	if d.Version == "" && len(d.Seen) > 0 {
		return d.Seen[len(d.Seen)-1]
	}
	return cmp.Or(d.Version, d.Branch)
}

func (m *maker) allRows(each func(gpu.Observation)) {
	for _, l := range m.in.Ledgers {
		for _, o := range l.Rows {
			each(o)
		}
	}
	for _, c := range m.in.Run.Cells {
		for _, r := range c.Rows {
			each(gpu.Observation{Host: r.Host, Row: r.Row})
		}
	}
}

func addTo(list *[]string, s string) {
	if s != "" && !slices.Contains(*list, s) {
		*list = append(*list, s)
	}
}

// grid is the answers for a platform of an image, of which the record says r.
func (m *maker) grid(image, platform int, r verify.Report, untrusted string) []int {
	fresh := m.report(r)
	width := len(m.doc.GPUs)
	predictions := make([]*compat.Prediction, len(m.exists))
	for i, p := range fresh.Portability.Predictions {
		at := m.at(p.Driver, p.GPU)
		if at < 0 {
			continue
		}
		if old := predictions[at]; old == nil || worseVerdict(p.Verdict, old.Verdict) {
			predictions[at] = &fresh.Portability.Predictions[i].Prediction
		}
	}
	silent := fresh.Portability.Predictions == nil && untrusted == "" // else the list is there, be it empty
	rows, some := map[int][]int{}, silent || len(fresh.Portability.Predictions) > 0
	for i, s := range m.rows[image] {
		if s.counts() && slices.Contains(s.platforms, platform) {
			if at := m.at(s.row.Driver, s.row.Arch); at >= 0 {
				rows[at], some = append(rows[at], i), true
			}
		}
	}
	if !some {
		return []int{}
	}
	grid := make([]int, len(m.exists))
	for at := range grid {
		if !m.exists[at] && predictions[at] == nil && rows[at] == nil {
			grid[at] = -1
			continue
		}
		p := compat.Prediction{Verdict: compat.Unknown, Why: "nothing was predicted for it"}
		switch {
		case untrusted != "":
			p.Why = untrusted
		case predictions[at] != nil:
			p = *predictions[at]
		case m.hasNeeds(r):
			target, _ := compat.ParseTarget(m.doc.GPUs[at%width].Arch)
			p = fresh.Predict(compat.Host{Driver: m.doc.Drivers[at/width].host(), GPU: target})
		}
		grid[at] = m.answer(answer(p, m.rows[image], rows[at]))
	}
	return grid
}

// at is the place of a driver and a GPU in a grid, -1 if there is none.
func (m *maker) at(driver, arch string) int {
	branch := branchOf(driver)
	d := slices.IndexFunc(m.doc.Drivers, func(d Driver) bool { return d.Branch == branch })
	g := slices.IndexFunc(m.doc.GPUs, func(g GPU) bool { return g.Arch == arch })
	if d < 0 || g < 0 {
		return -1
	}
	return d*len(m.doc.GPUs) + g
}

// answer is what a prediction and what was seen come to. Of several rows the worst one counts; those that did otherwise than is
// predicted are marked.
func answer(p compat.Prediction, all []seen, rows []int) Answer {
	a := Answer{How: Predicted, Runs: runs(p.Verdict), Verdict: string(p.Verdict), Why: p.Why, Rows: orEmpty(rows)}
	if a.Runs == "" {
		a.How = Open
	}
	if len(rows) == 0 {
		return a
	}
	expected := a.Runs
	a.How = Seen
	if a.Runs != "limited" {
		a.Runs = "yes"
	}
	for _, i := range rows {
		s := &all[i]
		// Of what runs "limited" a failure may be the one that was predicted for this host.
		limits := expected == "limited" && s.Row.Prediction.Result == gpu.Failed
		s.otherwise = expected != "" && s.fails != (expected == "no") && !limits
		if s.disagrees || s.otherwise {
			a.How = Disagrees
		}
		if s.fails {
			a.Runs = "no"
		}
	}
	return a
}

// runs is whether a verdict means that an image runs, "" if nobody knows.
func runs(v compat.Verdict) string {
	switch {
	case v == compat.MinorCompat:
		return "limited"
	case v.Runs():
		return "yes"
	case v == compat.No:
		return "no"
	}
	return ""
}

func worseVerdict(a, b compat.Verdict) bool {
	order := []string{"yes", "limited", "", "no"}
	return slices.Index(order, runs(a)) > slices.Index(order, runs(b))
}

// answer is the index of an answer.
func (m *maker) answer(a Answer) int {
	key := string(a.How) + "\x00" + a.Runs + "\x00" + a.Verdict + "\x00" + a.Why
	if len(a.Rows) > 0 {
		key += fmt.Sprint("\x00", a.Rows)
	}
	i, known := m.answers[key]
	if !known {
		i = len(m.doc.Answers)
		m.answers[key] = i
		m.doc.Answers = append(m.doc.Answers, a)
	}
	return i
}

// report is the newest report on an image of which the record has r.
func (m *maker) report(r verify.Report) verify.Report {
	if fresh, known := m.in.Reports[r.Digest]; known && r.Digest != "" && fresh.Error == "" {
		return fresh
	}
	return r
}

func (m *maker) hasNeeds(r verify.Report) bool {
	fresh, known := m.in.Reports[r.Digest]
	return known && r.Digest != "" && fresh.Error == ""
}
