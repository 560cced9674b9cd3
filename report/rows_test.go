// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/reporttest"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report"
)

// discounts are changes after which a row does not count, and why.
var discounts = map[string]struct {
	change func(*gpu.Observation)
	why    string
}{
	"stand-in":                     {func(o *gpu.Observation) { o.Row.StandIn = true }, gpu.StandIn},
	"stand-in of a host":           {func(o *gpu.Observation) { o.Host.StandIn = true }, gpu.StandIn},
	"dry":                          {func(o *gpu.Observation) { o.Row.Dry = true }, gpu.WithoutDriver},
	"not ended":                    {func(o *gpu.Observation) { o.Row.Result, o.Row.Agrees = "", nil }, gpu.NotEnded},
	"another result":               {func(o *gpu.Observation) { o.Row.Result, o.Row.Agrees = "PASS", nil }, gpu.OddResult},
	"another image":                {func(o *gpu.Observation) { o.Row.Digest, o.Row.Config = reporttest.Digest("x"), reporttest.Digest("y") }, "earlier image"},
	"no digest":                    {func(o *gpu.Observation) { o.Row.Digest, o.Row.Config = "", "" }, gpu.NoDigest},
	"configuration alone":          {func(o *gpu.Observation) { o.Row.Digest = "" }, gpu.NoDigest},
	"no version of a driver":       {func(o *gpu.Observation) { o.Host.Driver, o.Row.Under = "abc", nil }, gpu.WithoutDriver},
	"no date":                      {func(o *gpu.Observation) { o.Row.Started = time.Time{} }, "no date"},
	"of a clock without a battery": {func(o *gpu.Observation) { o.Row.Started = time.Unix(100, 0) }, "no date"},
	"of the future":                {func(o *gpu.Observation) { o.Row.Started = reporttest.Today.AddDate(70, 0, 0) }, "date in the future"},
	"no driver on the host":        {func(o *gpu.Observation) { o.Host.Driver, o.Row.Under = "", nil }, gpu.WithoutDriver},
}

// TestDiscounts: rows that do not count are shown as such, and nothing is seen by them.
func TestDiscounts(t *testing.T) {
	t.Parallel()
	for name, d := range discounts {
		for _, where := range []string{"ledger", "record"} {
			t.Run(name+" in the "+where, func(t *testing.T) {
				t.Parallel()
				in := fine()
				o := &in.Ledgers[0].Rows[0]
				d.change(o)
				if where == "record" {
					i := slices.IndexFunc(in.Run.Cells, func(c record.Cell) bool { return c.ID == subject })
					in.Run.Cells[i].Rows = []record.Row{{Row: o.Row, Host: o.Host}}
					in.Ledgers = nil
				}
				p := write(t, in)
				if rows := p.image(subject).Rows; len(rows) != 1 || rows[0].Discount != d.why {
					t.Errorf("rows %+v, want one discounted as %q", rows, d.why)
				}
				if n := p.answers(subject); n["seen"]+n["disagrees"] > 0 {
					t.Errorf("answers %v, want none that was seen", n)
				}
				p.shows(t, subject, report.Good)
				if !strings.Contains(p.details, `<tr class="off">`) || !strings.Contains(p.details, "<td>no: "+d.why) || strings.Contains(p.details, "<td>yes") {
					t.Errorf("the page does not say that the row does not count, as it is %s", d.why)
				}
				if line := p.line(subject); strings.Contains(line, "1 passed") || !strings.Contains(line, "1 not counted") {
					t.Errorf("the Markdown says %q, want a row that is not counted", line)
				}
				if strings.Contains(p.markdown, ", seen") || strings.Contains(p.Verdict.Sentence, "seen") {
					t.Errorf("the Markdown says that something was seen:\n%s", p.markdown)
				}
				if !slices.ContainsFunc(p.Todo, func(i report.Item) bool {
					return i.Kind == "stale" && slices.Contains(i.Images, subject) && strings.Contains(i.Text, d.why)
				}) {
					t.Errorf("no item says that nobody has seen it: %+v", p.Todo)
				}
			})
		}
	}
}

// TestNothingGetsBetter: whatever is made of a row of the example, there is never more that was seen, and where the row had
// passed as predicted no image and no answer gets better.
func TestNothingGetsBetter(t *testing.T) {
	t.Parallel()
	base := write(t, reporttest.Run())
	for i, o := range reporttest.Run().Ledgers[0].Rows {
		passed := o.Row.Figures.GFLOPS == 0 && o.Row.Result == gpu.Passed && o.Row.Agrees != nil && *o.Row.Agrees && base.counts(o)
		for name, d := range discounts {
			in := reporttest.Run()
			d.change(&in.Ledgers[0].Rows[i])
			p := printed{Document: report.New(in)}
			for at, img := range p.Images {
				was := base.Images[at]
				if passed && was.State.Worse(img.State) {
					t.Errorf("row %d, %s: %s was %s and is %s, want nothing better", i, name, img.ID, was.State, img.State)
				}
				a, b := counting(img), counting(was)
				if a > b || a == b && base.counts(o) && img.ID == o.Row.Cell {
					t.Errorf("row %d, %s: %d rows of %s count, %d before", i, name, a, img.ID, b)
				}
				before, now := base.answers(img.ID), p.answers(img.ID)
				if now["seen"]+now["disagrees"] > before["seen"]+before["disagrees"] || now["seen yes"] > before["seen yes"] {
					t.Errorf("row %d, %s: of %s more was seen than before: %v, %v", i, name, img.ID, now, before)
				}
			}
		}
	}
}

func counting(img report.Image) (n int) {
	for _, r := range img.Rows {
		if r.Discount == "" {
			n++
		}
	}
	return n
}

// counts reports whether a row counts.
func (p printed) counts(o gpu.Observation) bool {
	return slices.ContainsFunc(p.Images, func(img report.Image) bool {
		return slices.ContainsFunc(img.Rows, func(r report.Row) bool {
			return r.Discount == "" && img.ID == o.Row.Cell && r.Started.Equal(o.Row.Started) && r.Test == o.Row.Sample && r.Engine == o.Row.Engine && r.Driver == o.Host.Driver
		})
	})
}

// TestWorstOfSeveralRows: a failure is not forgotten for a pass before or after it.
func TestWorstOfSeveralRows(t *testing.T) {
	t.Parallel()
	for _, hours := range []int{-48, 20} {
		in := fine()
		failed := in.Ledgers[0].Rows[0]
		failed.Row.Result, failed.Row.Started = gpu.Failed, failed.Row.Started.Add(time.Duration(hours)*time.Hour)
		in.Ledgers[0].Rows = append(in.Ledgers[0].Rows, failed)
		if n := write(t, in).answers(subject); n["disagrees no"] != 1 || n["seen yes"] > 0 {
			t.Errorf("a failure %d hours from a pass: %v, want an answer that disagrees", hours, n)
		}
	}
}

// TestRowsOnce: a row that stands in two ledgers and in the record is one.
func TestRowsOnce(t *testing.T) {
	t.Parallel()
	in := fine()
	again := in.Ledgers[0].Rows[0]
	in.Ledgers = append(in.Ledgers, report.Ledger{Name: "example-copy", Rows: []gpu.Observation{again}})
	i := slices.IndexFunc(in.Run.Cells, func(c record.Cell) bool { return c.ID == subject })
	in.Run.Cells[i].Rows = []record.Row{{Row: again.Row, Host: again.Host}}
	if rows := write(t, in).image(subject).Rows; len(rows) != 1 || rows[0].File == "" {
		t.Errorf("rows %+v, want one, of the ledger", rows)
	}
}

// TestHostHasItsNewestDriver: a host that was updated has its old driver no more, and rows of two hosts are two.
func TestHostHasItsNewestDriver(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{true, false} {
		in := fine()
		old := reporttest.Row(reporttest.Host("gpu1", "535.161.07", "NVIDIA H200", "9.0"), "example-gpu1", subject, "deviceQuery", "direct", reporttest.Today.AddDate(0, -6, 0))
		in.Ledgers[0].Rows = append(in.Ledgers[0].Rows, old)
		if !named {
			for i := range in.Ledgers[0].Rows {
				in.Ledgers[0].Rows[i].Row.Node = nil
			}
		}
		d := report.New(in)
		for _, driver := range d.Drivers {
			if want := map[string]int{"580": 1}[driver.Branch]; len(driver.Hosts) != want {
				t.Errorf("R%s has hosts %q, want %d", driver.Branch, driver.Hosts, want)
			}
		}
		if says := d.Sources[1].Says; says != "2 rows of 1 host" {
			t.Errorf("the ledger has %s, want 2 rows of 1 host", says)
		}
	}
	in := fine()
	one := in.Ledgers[0].Rows[0]
	one.Row.Started, one.Row.Devices, one.Row.Under = time.Time{}, []string{}, nil
	two := one
	two.Host.Driver = "550.54.14"
	in.Ledgers[0].Rows = []gpu.Observation{one, two}
	if rows := write(t, in).image(subject).Rows; len(rows) != 2 {
		t.Errorf("%d rows of two hosts without a start time, want 2", len(rows))
	}
}

// TestPassedSince: a failure stays one, and says when it was and that it has passed since.
func TestPassedSince(t *testing.T) {
	t.Parallel()
	in := fine()
	failed := in.Ledgers[0].Rows[0]
	failed.Row.Result, failed.Row.Reason, failed.Row.Started = gpu.Failed, "out of luck", failed.Row.Started.AddDate(0, 0, -60)
	in.Ledgers[0].Rows = append(in.Ledgers[0].Rows, failed)
	if img := write(t, in).image(subject); img.State != report.Bad || !strings.HasSuffix(img.Why, " (2026-10-02, and it has passed there since)") {
		t.Errorf("the image is %s, %q", img.State, img.Why)
	}
	failed.Row.Started = in.Ledgers[0].Rows[0].Row.Started.Add(time.Minute)
	in.Ledgers[0].Rows = append(in.Ledgers[0].Rows, failed)
	if text := fmt.Sprint(write(t, in).Todo); strings.Contains(text, "passed there since") || !strings.Contains(text, "(2026-12-01)") {
		t.Errorf("the newest row has failed, and the items are\n%s", text)
	}
}

// TestRowByConfiguration: the same configuration is the same image, however its layers were packed, and the row says so.
func TestRowByConfiguration(t *testing.T) {
	t.Parallel()
	in := fine()
	in.Ledgers[0].Rows[0].Row.Digest = reporttest.Digest("packed in another way")
	p := write(t, in)
	if rows := p.image(subject).Rows; len(rows) != 1 || rows[0].Discount != "" || !rows[0].ByConfig || p.answers(subject)["seen yes"] != 1 {
		t.Errorf("rows %+v, want one that counts by its configuration", rows)
	}
	if !strings.Contains(p.details, "<td>yes, by the same configuration in another manifest") {
		t.Error("the page does not say by what the row counts")
	}
	if write(t, fine()).image(subject).Rows[0].ByConfig {
		t.Error("a row of the very digest counts by its configuration")
	}
}

// TestRowOfAnIndex: of an index nobody knows which platform ran. A pass is then none, and a failure one of all platforms.
func TestRowOfAnIndex(t *testing.T) {
	t.Parallel()
	const two = "12.4-base-debian13"
	for _, result := range []gpu.Result{gpu.Passed, gpu.Failed} {
		in := fine()
		r := &in.Ledgers[0].Rows[0].Row
		r.Cell, r.Digest, r.Config, r.Result = two, reporttest.Digest("index of "+two), "", result
		p := write(t, in)
		n, img := p.answers(two), p.image(two)
		switch {
		case result == gpu.Passed && (n["seen"] > 0 || img.State != report.Good || img.Rows[0].Discount != "platform not known"):
			t.Errorf("passed: %v, %s, %+v, want nothing seen", n, img.State, img.Rows)
		case result == gpu.Failed && (n["disagrees no"] != 2 || img.State != report.Bad):
			t.Errorf("failed: %v, %s, want a failure on both platforms", n, img.State)
		}
	}
}

// TestOutside: rows of no image here are counted, and said of what they are.
func TestOutside(t *testing.T) {
	t.Parallel()
	in := fine()
	r := &in.Ledgers[0].Rows[0].Row
	r.Digest, r.Config, r.Cell = reporttest.Digest("x"), "", "another-cell"
	p := write(t, in)
	for where, text := range map[string]string{"page": p.page, "Markdown": p.markdown} {
		if !strings.Contains(text, "Not counted: 1 row is of images that are not in the record.") {
			t.Errorf("the %s does not say which rows are not counted", where)
		}
	}
}
