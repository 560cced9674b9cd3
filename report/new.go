// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// New makes the document. Nothing in it is shared with the input that would change with it, and no list is nil.
func New(in Input) *Document {
	m := &maker{in: in, answers: map[string]int{}, newest: map[string]gpu.Observation{}, layers: map[string]int{}, rules: map[string]verify.Rule{}, failHere: map[string]bool{}}
	for _, rule := range verify.Rules() {
		m.rules[rule.ID] = rule
	}
	m.doc = &Document{
		Version: 1, Made: in.Today.UTC(), Packages: newest(in.Run), Program: in.Program, Title: title(in), Changes: in.Changes,
		Images: []Image{}, Answers: []Answer{}, Layers: []Layer{}, Trends: []Trend{}, Looser: []Looser{},
	}
	m.place()
	m.columns()
	for i, c := range in.Run.Cells {
		m.doc.Images = append(m.doc.Images, m.image(i, c))
	}
	for i, c := range in.Run.Cells {
		for _, r := range c.Images {
			m.doc.Looser = append(m.doc.Looser, m.looser(i, r)...)
		}
	}
	m.doc.Trends = trends(m.doc.Images, m.rows)
	m.slow()
	m.doc.Ends = m.ends()
	m.doc.Sources = m.sources()
	m.doc.Todo = m.todo()
	m.doc.Verdict = m.verdict()
	m.doc.Verdict.FailsOn, m.doc.Verdict.LimitedOn = m.failsOnBranches()
	return m.doc
}

// maker is a document in the making.
type maker struct {
	in      Input
	doc     *Document
	rows    [][]seen                   // by image, newest first, as Image.Rows
	newest  map[string]gpu.Observation // by host
	exists  []bool                     // by driver and GPU, as a grid: the pair is known to somebody
	answers map[string]int
	layers  map[string]int // by digest
	rules   map[string]verify.Rule
	ids     map[string]int // how many cells have one
	// oldestDriver is by the digest of an image.
	oldestDriver map[string]string
	failHere     map[string]bool // IDs of images that do not run where hosts are; known with what is to do
}

// repository is the one that the images were looked for in, as the user wrote it; "" if none was.
func (m *maker) repository() string {
	if i := slices.IndexFunc(m.in.Sources, func(s Source) bool { return s.Kind == "registry" }); i >= 0 {
		return m.in.Sources[i].Name
	}
	return ""
}

func title(in Input) string {
	if in.Title != "" {
		return in.Title
	}
	for _, c := range in.Run.Cells {
		for _, tag := range c.Tags {
			if i := strings.LastIndex(tag, ":"); i > 0 {
				return tag[:i]
			}
		}
	}
	return "images"
}

// sources says what is in those of which nobody has said it.
func (m *maker) sources() []Source {
	all := slices.Clone(m.in.Sources)
	for i, s := range all {
		if s.Says != "" {
			continue
		}
		switch s.Kind {
		case "run":
			all[i].Says = runSays(m.in.Run)
		case "since":
			if m.in.Before != nil {
				all[i].Says = runSays(m.in.Before)
			}
		case "ledger":
			if j := slices.IndexFunc(m.in.Ledgers, func(l Ledger) bool { return l.Name == s.Name && (len(l.Rows) > 0 || s.Problem == "") }); j >= 0 {
				all[i].Says = ledgerSays(m.in.Ledgers[j].Rows)
			}
		}
	}
	return orEmpty(all)
}

func runSays(run *record.Run) string {
	says := count(len(run.Cells), "cell")
	if day := newest(run); !day.IsZero() {
		says += ", packages of " + day.Format(time.DateOnly)
	}
	return says
}

// newest is the newest day of the package lists of a run.
func newest(run *record.Run) (day time.Time) {
	for _, in := range run.Inputs {
		if in.Date.After(day) {
			day = in.Date.UTC()
		}
	}
	return day
}

func ledgerSays(rows []gpu.Observation) string {
	if len(rows) == 0 {
		return "no rows"
	}
	hosts, standIns := map[string]bool{}, 0
	for _, o := range rows {
		hosts[hostOf(o)] = true
		if o.Row.StandIn || o.Host.StandIn {
			standIns++
		}
	}
	says := count(len(rows), "row") + " of " + count(len(hosts), "host")
	if standIns > 0 {
		says += fmt.Sprintf(", %d of them of stand-ins", standIns)
	}
	return says
}

// orEmpty is a list that is never nil.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// rank orders states, the worst last.
func (s State) rank() int {
	order := []State{Good, Noted, Warned, NotKnown, Skipped, Cancelled, Bad}
	if i := slices.Index(order, s); i >= 0 {
		return i
	}
	return slices.Index(order, NotKnown)
}

// Worse reports whether s is worse than other.
func (s State) Worse(other State) bool { return s.rank() > other.rank() }
