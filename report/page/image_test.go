// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/report"
)

// TestDisagreement: a row says whether it agrees, and why it does not count.
func TestDisagreement(t *testing.T) {
	t.Parallel()
	no := false
	d := one(report.Answer{How: report.Predicted, Runs: "yes"})
	d.Images[0].Rows = []report.Row{{Result: "fail", Agrees: &no}, {Result: "pass", Discount: "stand-in"}, {Discount: "not ended"}}
	text := details(t, written(t, d))
	for _, want := range []string{"<strong>disagrees</strong>", `<tr class="off">`, "no: stand-in", "<td>not ended"} {
		if !strings.Contains(text, want) {
			t.Errorf("the image has no %q", want)
		}
	}
	if strings.Contains(text, "<strong>agrees") {
		t.Error("a row that disagrees stands as one that agrees")
	}
}

// TestManyRows: of many rows the newest are shown, and of each answer one that failed, if any did.
func TestManyRows(t *testing.T) {
	t.Parallel()
	d := one(report.Answer{How: report.Disagrees, Runs: "no", Rows: []int{700, 701, 702}}, report.Answer{How: report.Seen, Runs: "yes", Rows: []int{99, 800}},
		report.Answer{How: report.Seen, Runs: "yes", Rows: []int{900}}, report.Answer{How: report.Seen, Runs: "yes", Rows: []int{5000}})
	for i := range 1000 {
		d.Images[0].Rows = append(d.Images[0].Rows, report.Row{Result: "pass", Reason: fmt.Sprintf("row-%d.", i)})
	}
	d.Images[0].Rows[701].Result = "fail"
	text := details(t, written(t, d))
	for i := range 1000 {
		if shown, want := strings.Contains(text, fmt.Sprintf("row-%d.", i)), i < 100 || i == 701 || i == 900; shown != want {
			t.Errorf("row %d is there: %t, want %t", i, shown, want)
		}
	}
	for _, want := range []string{" 99 701 900\"", "102 of 1000"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q", want)
		}
	}
}
