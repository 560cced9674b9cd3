// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Under is what this host is to a container that gets gpus.
func (h Host) Under(gpus []GPU) *Circumstances {
	var models []string
	for _, g := range gpus {
		if !slices.Contains(models, g.Name) {
			models = append(models, g.Name)
		}
	}
	return &Circumstances{Driver: h.Driver, GPU: strings.Join(models, ", "), Kernel: h.Kernel, Hook: h.Hook, Runtime: h.Runtime, Runc: h.Runc, Daemon: h.Daemon}
}

// sameStart says whether two rows are the same image and test, judged in the same way in the
// same circumstances, so that only chance tells them apart. Rows without circumstances are like no other.
func (r Row) sameStart(other Row) bool {
	return r.Under != nil && other.Under != nil && *r.Under == *other.Under &&
		(r.Digest == other.Digest || r.Config != "" && r.Config == other.Config) &&
		r.Sample == other.Sample && r.Test == other.Test && r.Expect == other.Expect && r.Engine == other.Engine && len(r.Devices) == len(other.Devices) &&
		r.StandIn == other.StandIn && r.Dry == other.Dry && r.sharing() == other.sharing()
}

// flaky says how many starts like row failed, if one that failed was followed by one that
// passed; rows has row itself.
func flaky(row Row, rows []Row) string {
	rows = slices.DeleteFunc(rows, func(r Row) bool { return !row.sameStart(r) })
	slices.SortStableFunc(rows, func(a, b Row) int { return a.Started.Compare(b.Started) })
	failed, found := 0, false
	for _, r := range rows {
		if r.Result != Passed {
			failed++
		}
		found = found || failed > 0 && r.Result == Passed
	}
	if !found {
		return ""
	}
	return fmt.Sprintf("%d of %d starts failed in the same circumstances", failed, len(rows))
}

// Known returns the newest start of the ledger that is like row, if it says what another one
// would say: it passed, as predicted, and not before since. What the clock says is yet to
// come, as after it was set back, would be known for ever.
func Known(row Row, ledger []Observation, since time.Time) (newest Observation, known bool) {
	now := time.Now()
	for _, o := range ledger {
		if row.sameStart(o.Row) && !o.Row.Started.After(now) && o.Row.Started.After(newest.Row.Started) {
			newest = o
		}
	}
	r := newest.Row
	return newest, r.Result == Passed && !r.Dry && (r.Agrees == nil || *r.Agrees) && !r.Started.Before(since)
}
