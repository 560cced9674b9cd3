// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/internal/reporttest"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/support"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	golden.Check(t, "testdata/example.json", document(t, reporttest.Run()))
}

func document(t *testing.T, in report.Input) string {
	t.Helper()
	var b bytes.Buffer
	if err := plain.JSON(&b, report.New(in)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPure: the same input makes the same document, whatever the order of maps, and stays as it was.
func TestPure(t *testing.T) {
	t.Parallel()
	in := reporttest.Run()
	first := document(t, in)
	for range 5 {
		if document(t, in) != first {
			t.Fatal("one input makes two documents")
		}
	}
	if fresh := reporttest.Run(); !reflect.DeepEqual(in.Run, fresh.Run) || !reflect.DeepEqual(in.Ledgers, fresh.Ledgers) || !reflect.DeepEqual(in.Contents, fresh.Contents) {
		t.Error("New has changed its input")
	}
}

// TestNoListIsNull: programs that read the document need not ask.
func TestNoListIsNull(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]report.Input{"example": reporttest.Run(), "nothing": {Run: &record.Run{}}, "bare cell": {Run: &record.Run{Cells: []record.Cell{{ID: "x"}}}}} {
		in.Changes = nil // package diff's
		for line := range strings.Lines(document(t, in)) {
			field := strings.TrimSpace(line)
			if strings.HasSuffix(strings.TrimSuffix(field, ","), ": null") && !slices.ContainsFunc([]string{"before", "ends", "agrees"}, func(may string) bool { return strings.HasPrefix(field, `"`+may+`"`) }) {
				t.Errorf("%s: %s", name, field)
			}
		}
	}
}

// TestNotTagged: where the repository lacks tags, no sentence says that images are tagged.
func TestNotTagged(t *testing.T) {
	t.Parallel()
	in := fine()
	in.Sources = append(in.Sources, report.Source{Kind: "registry", Name: "registry.example/cuda", Says: "nothing"})
	in.Absent = map[string][]string{}
	for _, c := range in.Run.Cells {
		in.Absent[c.ID] = []string{c.ID}
	}
	p := write(t, in)
	want := "All 3 images are built and verified, and 1 was seen to run on GPUs; 3 have warnings; above all 12.4-base-debian13 has a tag that is not in the registry (12.4-base-debian13)."
	if p.Verdict.Sentence != want || !slices.ContainsFunc(p.Todo, func(i report.Item) bool { return i.Do == "Run 'cudabuild push registry.example/cuda'." }) {
		t.Errorf("the verdict is %q, want %q, and how to push there", p.Verdict.Sentence, want)
	}
}

// TestDetails: an item about several images has what is said of each, up to three.
func TestDetails(t *testing.T) {
	t.Parallel()
	in := fine()
	in.Absent = map[string][]string{in.Run.Cells[0].ID: {"a"}, in.Run.Cells[1].ID: {"b"}}
	if text := fmt.Sprint(write(t, in).Todo); !strings.Contains(text, "12.4-base-debian13 and 12.4-deviceQuery-debian13 have a tag that is not in the registry (a; b).") {
		t.Errorf("the items are\n%s", text)
	}
}

// TestFailsOnBranches counts images of all items, not of the first alone; where they are few it names them.
func TestFailsOnBranches(t *testing.T) {
	t.Parallel()
	fails := "8 images on R470 (on example-gpu3); 13.0-base-ubuntu24.04, 13.0-nbody-ubuntu24.04 and 13.0-runtime-ubuntu24.04 on R535 (on example-gpu2), R550 and R570: driver 580.65.06 or newer is needed"
	limited := "11.8-base-debian12 and 11.8-runtime-debian12 on R470 (on example-gpu3); 5 images on R535 (on example-gpu2)"
	if got := reporttest.Document().Verdict; got.FailsOn != fails || got.LimitedOn != limited {
		t.Errorf("it fails on %q, limited on %q, want %q, %q", got.FailsOn, got.LimitedOn, fails, limited)
	}
}

// TestGone: images of the earlier run that this one has not may be of a job that left no record.
func TestGone(t *testing.T) {
	t.Parallel()
	in := fine()
	before := *in.Run
	in.Before = &before
	in.Run = &record.Run{Version: 1, Cells: slices.DeleteFunc(slices.Clone(before.Cells), func(c record.Cell) bool { return c.ID == "12.4-runtime-debian13" })}
	p := write(t, in)
	want := "All 2 images are built, verified and tagged, and 1 was seen to run on GPUs; 1 of the earlier run is missing."
	if p.Verdict.State != report.Warned || p.Verdict.Sentence != want {
		t.Errorf("the verdict is %+v, want %q", p.Verdict, want)
	}
	if !slices.ContainsFunc(p.Todo, func(i report.Item) bool {
		return i.Text == "1 image of the earlier run is not in this one: 12.4-runtime-debian13." && i.State == report.Warned
	}) {
		t.Errorf("no item says that it is gone: %+v", p.Todo)
	}
}

// TestFailsHere: images that do not run where hosts are make a warning, elsewhere a note.
func TestFailsHere(t *testing.T) {
	t.Parallel()
	in := fine()
	o := reporttest.Row(reporttest.Host("gpu3", "470.57.02", "Tesla T4", "7.5"), "example-gpu3", "another-cell", "nbody", "direct", reporttest.Today)
	o.Row.Digest, o.Row.Config = reporttest.Digest("x"), ""
	in.Ledgers[0].Rows = append(in.Ledgers[0].Rows, o)
	for _, want := range []report.State{report.Warned, report.Good} {
		p := write(t, in)
		if p.Verdict.State != want || strings.Contains(p.Verdict.Sentence, "3 are predicted to fail on driver branches that hosts here have") != (want == report.Warned) {
			t.Errorf("with %d rows the verdict is %+v, want %s", len(in.Ledgers[0].Rows), p.Verdict, want)
		}
		in.Ledgers[0].Rows = in.Ledgers[0].Rows[:1]
	}
}

// TestStarts: what a container starts stands on the page of its image.
func TestStarts(t *testing.T) {
	t.Parallel()
	p := write(t, fine())
	if got := p.image(subject).Platforms[0].Starts; got != "deviceQuery, as root, in /" || !strings.Contains(p.details, "A container starts <code>"+got) {
		t.Errorf("it starts %q", got)
	}
}

// TestFailsOn: which image fails on a branch, and why, is one item, whether or not a host has it.
func TestFailsOn(t *testing.T) {
	t.Parallel()
	in := reporttest.Run()
	in.Ledgers = nil
	i := slices.IndexFunc(report.New(in).Todo, func(i report.Item) bool { return strings.Contains(i.Text, "not to run on R535") })
	if i < 0 {
		t.Fatal("no item says what does not run on R535")
	}
	item := report.New(in).Todo[i]
	if item.Text != "3 images are predicted not to run on R535, R550 and R570: driver 580.65.06 or newer is needed." ||
		!slices.Equal(item.Images, []string{"13.0-base-ubuntu24.04", "13.0-nbody-ubuntu24.04", "13.0-runtime-ubuntu24.04"}) {
		t.Errorf("the item is %+v", item)
	}
	in = reporttest.Run()
	if text := fmt.Sprint(report.New(in).Todo); !strings.Contains(text, "R535 (on example-gpu2)") {
		t.Errorf("no item says that a host has R535:\n%s", text)
	}
}

// TestTodoIsShort: however many images there are and whatever ails them, one reads a few dozen items.
func TestTodoIsShort(t *testing.T) {
	t.Parallel()
	in := many(600, 19, 14)
	for i := range in.Run.Cells {
		c := &in.Run.Cells[i]
		c.Status, c.Stage, c.Reason = record.Failed, record.StageBuild, fmt.Sprintf("reason %d", i)
	}
	d := report.New(in)
	if len(d.Todo) > 60 || !strings.Contains(d.Todo[8].Text, "592 more") || len(d.Todo[8].Images) != 592 {
		t.Errorf("%d items, the ninth %.200q", len(d.Todo), d.Todo[8].Text)
	}
}

// TestTrend goes by the rule of package gpu.
func TestTrend(t *testing.T) {
	t.Parallel()
	d := reporttest.Document()
	if len(d.Trends) != 1 {
		t.Fatalf("%d trends, want 1", len(d.Trends))
	}
	tr := d.Trends[0]
	last := tr.Points[len(tr.Points)-1]
	if tr.Starts != 12 || tr.Median != 36075 || !tr.Worse || !last.Now || last.Median != 31000 || tr.Points[0].Now {
		t.Errorf("the trend is %+v", tr)
	}
	rows := reporttest.Run().Ledgers[0].Rows
	worse, figures := gpu.Compare(rows[12].Host, []gpu.Row{rows[12].Row}, rows[:12])
	if len(worse) != 1 || figures[0].Limit != tr.Limit || figures[0].Spread != tr.Spread {
		t.Errorf("gpu.Compare says %+v, the trend %+v", figures, tr)
	}
}

// TestEnds: 90 days before an end it is known, and the last day is none on which it has ended.
func TestEnds(t *testing.T) {
	t.Parallel()
	for days, want := range map[int]string{91: "", 90: "ends", 0: "ends", -1: "ended"} {
		in := fine()
		in.Ends = map[string]*support.End{subject: {Date: in.Today.AddDate(0, 0, days).Format(time.DateOnly), What: "an example"}}
		d := report.New(in)
		got := ""
		for _, i := range d.Todo {
			if strings.HasPrefix(i.Text, "An example ") {
				got = i.Kind
			}
		}
		var ends []int // the next is there, however far: that of the driver branch, behind the example's
		for _, e := range d.Ends {
			ends = append(ends, e.Days)
		}
		if wants := map[bool][]int{false: {days}, true: {577, -1}}[days < 0]; got != want || !slices.Equal(ends, wants) {
			t.Errorf("%d days: item %q, ends in %v days, want %q, %v", days, got, ends, want, wants)
		}
	}
}

// TestNextEnd: if nothing ends soon, what ends next is known, and nothing is to do about it.
func TestNextEnd(t *testing.T) {
	t.Parallel()
	in := fine()
	day := func(n int) string { return in.Today.AddDate(0, 0, n).Format(time.DateOnly) }
	in.Ledgers = nil
	in.Ends = map[string]*support.End{subject: {Date: day(900), What: "the next"}, in.Run.Cells[0].ID: {Date: day(901), What: "the one after"}}
	d := report.New(in)
	if len(d.Ends) != 1 || d.Ends[0].End.What != "the next" || slices.ContainsFunc(d.Todo, func(i report.Item) bool { return i.Kind == "ends" }) {
		t.Errorf("ends %+v, want the next one, and no item", d.Ends)
	}
}

// TestEndOfBranchThatWasLeft: the end of a driver branch that a host had before its update concerns nobody.
func TestEndOfBranchThatWasLeft(t *testing.T) {
	t.Parallel()
	for since, want := range map[time.Duration]bool{-time.Hour: false, time.Hour: true} {
		in := fine()
		rows := in.Ledgers[0].Rows
		other := rows[len(rows)-1]
		other.Host.Driver, other.Row.Started = "470.82.01", other.Row.Started.Add(since)
		other.Row.Under = nil
		in.Ledgers[0].Rows = append(slices.Clone(rows), other)
		d := report.New(in)
		if got := slices.ContainsFunc(d.Ends, func(e report.Ending) bool { return strings.Contains(e.End.What, "470") }); got != want {
			t.Errorf("R470 %s from the newest row: ends %+v, want it there: %v", since, d.Ends, want)
		}
	}
}

// TestLooserAdmitsNothingThatFails: what a requirement could be admits no driver on which the image would fail with every GPU.
func TestLooserAdmitsNothingThatFails(t *testing.T) {
	t.Parallel()
	in := reporttest.Run()
	d := report.New(in)
	if len(d.Looser) != 1 || d.Looser[0].Image != "11.2-nbody-debian11" || d.Looser[0].Could != "driver>=450.80.02" {
		t.Fatalf("looser requirements: %+v", d.Looser)
	}
	could, err := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", d.Looser[0].Could)
	if err != nil {
		t.Fatal(err)
	}
	r := in.Reports[reporttest.Digest("11.2-nbody-debian11 linux/amd64")]
	r.Portability.Needs.Require = nil
	for _, driver := range compat.Drivers() {
		runs := slices.ContainsFunc(compat.GPUs(), func(g compat.Target) bool { return r.Predict(compat.Host{Driver: driver, GPU: g}).Verdict.Runs() })
		if admits := could.Check(compat.Host{Driver: driver}).Holds; admits && !runs {
			t.Errorf("%s admits driver %s, on which nothing runs", d.Looser[0].Could, driver)
		}
	}
}
