// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
)

// Why a row does not count as seen, beside what [gpu.Observation.Discount] says.
const (
	earlierImage  = "earlier image"
	otherPlatform = "platform not known" // it passed, and is of an index of several platforms
	undated       = "no date"            // or that of a clock that was never set
	fromTheFuture = "date in the future"
	unverified    = "image not verified"
)

// seen is a row of an image, beside what the document says of it.
type seen struct {
	gpu.Observation

	row       Row
	platforms []int // that it is of
	fails     bool  // it did not pass
	disagrees bool  // with what was predicted for its very host
	otherwise bool  // than is predicted, here and now, for its driver branch and GPU
}

// counts reports whether it was seen on a GPU by this very image.
func (s seen) counts() bool { return s.row.Discount == "" }

// against reports whether it is a failure that nobody predicted.
func (s seen) against() bool {
	return s.counts() && s.fails && (s.disagrees || s.Row.Prediction.Result == "")
}

// place is where a row was seen, and what ran there.
func (s seen) place() [6]string {
	return [...]string{hostOf(s.Observation), s.row.GPU, s.row.Driver, s.row.Test, s.row.Engine, s.row.Sharing}
}

// found is where a digest is in the record.
type found struct{ image, platform int } // platform -1 is an index

// once tells rows apart that stand both in a ledger and in the record.
type once struct {
	digest, cell, sample, test, engine, devices, result, prediction string
	host                                                            string
	agrees                                                          string
	started                                                         time.Time
	standIn, dry                                                    bool
	client                                                          int
}

// place gives every row its image, and counts those that have none.
func (m *maker) place() {
	cells := m.in.Run.Cells
	m.rows = make([][]seen, len(cells))
	ids, digests := map[string]int{}, map[string][]found{}
	note := func(digest string, at found) {
		if digest != "" && !slices.Contains(digests[digest], at) {
			digests[digest] = append(digests[digest], at)
		}
	}
	for i, c := range cells {
		ids[c.ID] = i
		for p, r := range c.Images {
			note(r.Digest, found{i, p})
			note(r.Config, found{i, p})
		}
		if len(digests[c.Digest]) == 0 {
			note(c.Digest, found{i, -1})
		}
	}
	had, outside := map[once]bool{}, map[string]int{}
	add := func(o gpu.Observation, holder int) {
		k := onceOf(o)
		if had[k] {
			return
		}
		had[k] = true
		m.seenHost(o)
		at := m.imagesOf(o.Row, digests)
		switch i, known := ids[o.Row.Cell]; {
		case len(at) > 0:
		case holder >= 0:
			at = map[int][]int{holder: nil}
		case known:
			at = map[int][]int{i: nil}
		default:
			outside["images that are not in the record"]++
			return
		}
		for i, platforms := range at {
			s := m.see(o, platforms)
			s.row.ByConfig = s.counts() && len(digests[o.Row.Digest]) == 0
			switch {
			case s.row.Discount != earlierImage:
			case o.Row.Digest == cells[i].Digest:
				s.row.Discount = unverified
			default:
				outside["earlier images of "+cells[i].ID]++
			}
			m.rows[i] = append(m.rows[i], s)
		}
	}
	for _, l := range m.in.Ledgers {
		for _, o := range l.Rows {
			add(o, -1)
		}
	}
	for i, c := range cells {
		for _, r := range c.Rows {
			add(gpu.Observation{Host: r.Host, Row: r.Row}, i)
		}
	}
	for _, rows := range m.rows {
		slices.SortStableFunc(rows, func(a, b seen) int { return b.row.Started.Compare(a.row.Started) })
	}
	m.doc.Outside = counts(outside)
}

// imagesOf are the images of which a row is, with the platforms.
func (m *maker) imagesOf(r gpu.Row, digests map[string][]found) map[int][]int {
	at := map[int][]int{}
	for _, digest := range []string{r.Digest, r.Config} {
		for _, f := range digests[digest] {
			switch {
			case f.platform >= 0:
				if !slices.Contains(at[f.image], f.platform) {
					at[f.image] = append(at[f.image], f.platform)
				}
			case r.Result == gpu.Passed && len(m.in.Run.Cells[f.image].Images) > 1:
				at[f.image] = append(at[f.image], -1)
			default: // a failure is one on all platforms, as long as nobody knows better
				for p := range m.in.Run.Cells[f.image].Images {
					at[f.image] = append(at[f.image], p)
				}
			}
		}
		if len(at) > 0 {
			break
		}
	}
	return at
}

func onceOf(o gpu.Observation) once {
	r := o.Row
	k := once{
		host: hostOf(o) + " " + o.Driver(), digest: r.Digest, cell: r.Cell, sample: r.Sample, test: r.Test, engine: r.Engine, devices: strings.Join(r.Devices, " "), result: string(r.Result),
		prediction: r.Prediction.Verdict + " " + string(r.Prediction.Result), agrees: fmt.Sprint(r.Agrees == nil, r.Agrees != nil && *r.Agrees),
		started: r.Started.UTC(), standIn: r.StandIn || o.Host.StandIn, dry: r.Dry,
	}
	if r.Sharing != nil {
		k.client = 1 + r.Sharing.Client
	}
	return k
}

func (m *maker) see(o gpu.Observation, platforms []int) seen {
	r := o.Row
	s := seen{Observation: o, platforms: platforms, fails: r.Result != gpu.Passed}
	again := r
	again.Judge()
	s.disagrees = r.Agrees != nil && !*r.Agrees || again.Agrees != nil && !*again.Agrees
	s.row = Row{
		Test: r.Sample, Engine: r.Engine, Driver: o.Driver(), Started: r.Started.UTC(), Result: string(r.Result), Agrees: r.Agrees, Reason: r.Reason,
		CUDAError: r.CUDAError, Digest: r.Digest, Libcuda: r.LoadedLibcuda, Sharing: sharing(r.Sharing), File: o.File,
		Predicted: strings.TrimSuffix(r.Prediction.Verdict+": "+r.Prediction.Why, ": "),
	}
	s.row.GPU, s.row.Arch = o.Device()
	s.row.Discount = s.discount(m.in.Today)
	return s
}

func (s seen) discount(today time.Time) string {
	date := oddDate(s.row.Started, today)
	switch why := s.Discount(); {
	case why != "":
		return why
	case date != "":
		return date
	case len(s.platforms) == 0:
		return earlierImage
	case s.platforms[0] < 0:
		return otherPlatform
	case !compat.IsVersion(s.row.Driver):
		return gpu.WithoutDriver
	}
	return ""
}

// oddDate is why nobody can tell when a row was seen, "" if its date can be one.
func oddDate(started, today time.Time) string {
	const firstCUDA = 2007
	switch {
	case started.Year() < firstCUDA:
		return undated
	case started.After(today.AddDate(0, 0, 1)):
		return fromTheFuture
	}
	return ""
}

func sharing(s *gpu.Sharing) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%d of %d clients by %s, %d %% of the threads", s.Client+1, s.Clients, s.By, s.Threads)
}

func branchOf(driver string) string { return strconv.Itoa(compat.Major(driver)) }

func counts(of map[string]int) []Count {
	all := []Count{}
	for what, n := range of {
		all = append(all, Count{what, n})
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.What, b.What)) })
	return all
}
