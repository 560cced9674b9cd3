// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
)

// age is a flag's duration in days, hours and minutes.
type age time.Duration

var ageParts = regexp.MustCompile(`^(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,4})m)?$`)

// Set reads "7d", "36h", "1d12h30m".
func (a *age) Set(text string) error {
	parts := ageParts.FindStringSubmatch(text)
	sum := time.Duration(0)
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		if parts != nil && parts[i+1] != "" {
			n, _ := strconv.Atoi(parts[i+1])
			sum += time.Duration(n) * unit
		}
	}
	if sum == 0 {
		return errors.New("want days, hours and minutes such as 7d, 36h or 1d12h30m")
	}
	*a = age(sum)
	return nil
}

func (a *age) String() string {
	if *a == 0 {
		return ""
	}
	minutes := time.Duration(*a) / time.Minute
	return fmt.Sprintf("%dd%dh%dm", minutes/(24*60), minutes/60%24, minutes%60)
}

// Type names the value in help.
func (*age) Type() string { return "AGE" }

// skipped is what was not run, because the ledger knows it.
type skipped struct {
	Image  string    `json:"image"`
	Cell   string    `json:"cell"`
	Test   string    `json:"test"`
	Engine string    `json:"engine"`
	Why    string    `json:"why"`
	Since  time.Time `json:"since"` // when it passed

	row gpu.Row // that would have been
}

// readBaseline reads the ledger to compare with. That of --ledger may be yet to come, as on the
// first day.
func (f *gpuFlags) readBaseline() ([]gpu.Observation, error) {
	if f.baseline == "" {
		return nil, nil
	}
	rows, err := gpu.ReadLedger(f.baseline)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return rows, err
	case f.ledger != "" && filepath.Clean(f.ledger) == filepath.Clean(f.baseline):
		return nil, nil
	}
	return nil, &exitError{code: exitUnknown, err: fmt.Errorf("--baseline %s: no such directory", f.baseline), hint: "'--ledger " + f.baseline + "' makes one of the rows of a run"}
}

// skipKnown returns what says of a row that it is known, and keeps those that are in left.
// What was worse than the baseline when it passed is not known.
func (f *gpuFlags) skipKnown(baseline []gpu.Observation, left *[]skipped) (func(gpu.Row) bool, error) {
	if f.known == 0 {
		return nil, nil
	}
	ledger, err := gpu.ReadLedger(f.ledger)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	since := time.Now().Add(-time.Duration(f.known))
	return func(row gpu.Row) bool {
		seen, known := gpu.Known(row, ledger, since)
		if !known {
			return false
		}
		if worse, _ := gpu.Compare(seen.Host, []gpu.Row{seen.Row}, baseline); len(worse) > 0 {
			return false
		}
		why := fmt.Sprintf("passed on %s in the same circumstances", seen.Row.Started.Format("2006-01-02 15:04"))
		*left = append(*left, skipped{row.Image, row.Cell, row.Sample, row.Engine, why, seen.Row.Started, row})
		return true
	}, nil
}
